/** Makes hosted containers of the program that takes what it can get of its host (test/image/hostile-neighbour.c). */

import assert from 'node:assert/strict';
import type Dockerode from 'dockerode';
import { IMAGE } from '../../scripts/image.ts';
import { until } from './site.ts';

type Body = Dockerode.ContainerCreateOptions;

export class Attacker {
  readonly #docker: Dockerode;

  /** @param docker that makes hosted containers: the service's proxy */
  constructor(docker: Dockerode) {
    this.#docker = docker;
  }

  /** @param words what the program does, after what the create body has besides */
  async begin(...words: [Body | string, ...string[]]): Promise<Attack> {
    const body = typeof words[0] === 'string' ? {} : words[0];
    const Cmd = words.filter((word) => typeof word === 'string');
    const container = await this.#docker.createContainer({
      Image: IMAGE,
      Entrypoint: ['/hostile-neighbour'],
      Cmd,
      Labels: { 'ecs-host-service.interactive': 'true' },
      ...body,
    });
    await container.start();
    return new Attack(container);
  }
}

export class Attack implements AsyncDisposable {
  readonly #container: Dockerode.Container;

  constructor(container: Dockerode.Container) {
    this.#container = container;
  }

  get dockerId(): string {
    return this.#container.id;
  }

  /** Waits until it has said it. */
  async said(what: RegExp): Promise<RegExpExecArray> {
    let [log, found]: [string, RegExpExecArray | null] = ['', null];
    const hasSaid = async () => {
      log = String(await this.#container.logs({ stdout: true, stderr: true, tail: 12 }));
      found = what.exec(log);
      return found !== null;
    };
    await until(`it says ${what}`, hasSaid).catch((error: unknown) => {
      throw new Error(`it said: ${log}`, { cause: error });
    });
    return found as unknown as RegExpExecArray;
  }

  async isRunning(): Promise<boolean> {
    return (await this.#container.inspect()).State.Running;
  }

  /** Waits until the program, or what it had begun, was ended by the kernel. */
  async diedOf(): Promise<string> {
    let log = '';
    await until('it was killed', async () => {
      log = String(await this.#container.logs({ stdout: true, stderr: true, tail: 5 }));
      const { State } = await this.#container.inspect();
      return /file: /.test(log) || !State.Running;
    });
    const { State } = await this.#container.inspect();
    return /file: Killed/.test(log) || State.OOMKilled ? 'out of memory' : `${log} ${State.ExitCode}`;
  }

  async end(): Promise<void> {
    await this.#container.remove({ force: true }).catch((error: { statusCode?: number }) => {
      assert.equal(error.statusCode, 404);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

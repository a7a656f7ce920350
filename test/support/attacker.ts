/** Makes hosted containers of the program that takes as much of its host as it can (test/image/hostile-neighbour.c). */

import assert from 'node:assert/strict';
import type Dockerode from 'dockerode';
import { IMAGE } from '../../scripts/image.ts';
import { until } from './site.ts';

type Body = Dockerode.ContainerCreateOptions;

export class Attacker {
  readonly #docker: Dockerode;

  /** @param docker the service's proxy, which makes hosted containers */
  constructor(docker: Dockerode) {
    this.#docker = docker;
  }

  /** @param words the program's arguments, optionally after additional fields of the create body */
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

  /** Resolves when the program has printed a matching line. */
  async said(what: RegExp): Promise<RegExpExecArray> {
    let [log, found]: [string, RegExpExecArray | null] = ['', null];
    const hasSaid = async () => {
      log = String(await this.#container.logs({ stdout: true, stderr: true, tail: 12 }));
      found = what.exec(log);
      return found !== null;
    };
    await until(`it prints ${what}`, hasSaid).catch((error: unknown) => {
      throw new Error(`it said: ${log}`, { cause: error });
    });
    return found as unknown as RegExpExecArray;
  }

  async isRunning(): Promise<boolean> {
    return (await this.#container.inspect()).State.Running;
  }

  /** Resolves when the kernel has killed the program, or what it had started. */
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

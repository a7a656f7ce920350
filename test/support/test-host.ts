/** What an integration test has to itself: Docker, the image, and a root directory for each service. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { mountsBelow } from '../../host/directories.ts';
import { importImage } from '../../scripts/image.ts';
import { ServiceProcess, type StartOptions } from './service-process.ts';

export const IMAGE = 'fractal/demo:current-build';
export const SOCKET = '/run/docker.sock';

export class TestHost implements AsyncDisposable {
  readonly docker = new Dockerode({ socketPath: SOCKET });
  readonly #services: { readonly root: string; readonly process: ServiceProcess }[] = [];
  #engine: ChildProcess | undefined;

  /** With Docker running and the image in it. */
  static async open(): Promise<TestHost> {
    const host = new TestHost();
    await host.startDocker();
    await importImage(host.docker, IMAGE);
    return host;
  }

  constructor() {
    assert.equal(process.env.TEST_OWN_HOST, 'yes', 'run it with "make test FILES=…", on a host of its own');
    mkdirSync('/run/test', { recursive: true });
  }

  async startDocker(): Promise<void> {
    const log = openSync('/run/test/dockerd.log', 'a');
    this.#engine = spawn('dockerd', [], { stdio: ['ignore', log, log] });
    while (
      await this.docker.ping().then(
        () => false,
        () => true,
      )
    )
      await pause(20);
  }

  async stopDocker(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#engine || this.#engine.exitCode !== null || this.#engine.signalCode !== null) return;
    const ended = once(this.#engine, 'exit');
    this.#engine.kill(signal);
    await ended;
  }

  /** A root directory as the service finds it on a new host. */
  newRoot(): string {
    return mkdtempSync('/run/test/root-');
  }

  start(options: StartOptions = {}): ServiceProcess {
    const root = options.env?.ROOT ?? this.newRoot();
    const service = new ServiceProcess(root, options);
    this.#services.push({ root, process: service });
    return service;
  }

  /** Nothing of any service is left: no container, directory, mount, port or holding. */
  async audit(): Promise<void> {
    const containers = await this.docker.listContainers({ all: true });
    assert.deepEqual(
      containers.map(({ Names, Status }) => [Names, Status]),
      [],
      'containers are left',
    );
    for (const { root, process: service } of this.#services) {
      assert.deepEqual(await filesBelow(root), [], `files are left below ${root}`);
      assert.deepEqual(await mountsBelow(root), [], `mounts are left below ${root}`);
      assert.deepEqual(
        service.lines.filter(({ msg }) => msg === 'still held at the end'),
        [],
        'something is still held',
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process: service } of this.#services) if (!service.hasEnded) await service.stop('SIGKILL');
    await this.stopDocker();
  }
}

/** All but the host id, which stays, and the directories that lead to it. */
async function filesBelow(root: string): Promise<string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  const kept = ['run', 'var', 'var/lib', 'var/lib/ecs-host-service', 'var/lib/ecs-host-service/host-id'];
  return found
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .filter((path) => !kept.includes(path));
}

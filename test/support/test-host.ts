/** What an integration test has for itself: Docker, the image, and a root directory for each service. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { mountsBelow } from '../../host/directories.ts';
import { IMAGE, importImage } from '../../scripts/image.ts';
import { host as makeContainer } from './callers.ts';
import { containerIdOf, hostPortOf } from './inspect.ts';
import { ServiceProcess, type StartOptions } from './service-process.ts';

const MOST_STARTS = 5;

interface Started {
  readonly root: string;
  readonly process: ServiceProcess;
}

/** Files about managed nodes that outlive the service. */
const OF_NODES = [
  'rejected.json',
  'images.json',
  'ports.json',
  'spec-key',
  'echostream.json',
  'receipts',
].map((name) => `nodes/${name}`);

export class TestHost implements AsyncDisposable {
  readonly docker = new Dockerode({ socketPath: '/run/docker.sock' });
  readonly #services: Started[] = [];
  #engine: ChildProcess | undefined;

  constructor() {
    assert.equal(process.env.TEST_OWN_HOST, 'yes', 'run it with make test FILES="…", on its own host');
    mkdirSync('/run/test', { recursive: true });
  }

  /** Starts Docker with the image. @param words options of dockerd */
  static async open(words: readonly string[] = []): Promise<TestHost> {
    const host = new TestHost();
    await host.startDocker(words);
    await host.importImage(IMAGE);
    return host;
  }

  /** On a busy machine, Docker gives up on its own containerd after some seconds and exits. Then it is started again. */
  async startDocker(words: readonly string[] = []): Promise<void> {
    const log = openSync('/run/test/dockerd.log', 'a');
    for (let starts = 0; !(await this.dockerAnswers()); await pause(20)) {
      const engine = this.#engine;
      if (starts > 0 && engine?.exitCode === null && engine.signalCode === null) continue;
      assert.ok(starts < MOST_STARTS, 'Docker does not start; see dockerd.log');
      this.#engine = spawn('dockerd', words, { stdio: ['ignore', log, log] });
      starts += 1;
    }
  }

  /** @param words the program's arguments @param program another one than the image's */
  async importImage(tag: string, words: readonly string[] = [], program?: string): Promise<void> {
    await importImage(this.docker, tag, words, program);
  }

  dockerAnswers(): Promise<boolean> {
    return this.docker.ping().then(
      () => true,
      () => false,
    );
  }

  async stopDocker(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const engine = this.#engine;
    if (!engine || engine.exitCode !== null || engine.signalCode !== null) return;
    const ended = once(engine, 'exit');
    engine.kill(signal);
    await ended;
  }

  /** A root directory like that of a new host. */
  newRoot(): string {
    return mkdtempSync('/run/test/root-');
  }

  start(options: StartOptions = {}): ServiceProcess {
    const root = options.env?.ROOT ?? this.newRoot();
    const service = new ServiceProcess(root, options);
    this.#services.push({ root, process: service });
    return service;
  }

  /** The host port of a container's port. */
  hostPort(dockerId: string, port?: string): Promise<number> {
    return hostPortOf(this.docker, dockerId, port);
  }

  containerIdOf(dockerId: string): Promise<string> {
    return containerIdOf(this.docker, dockerId);
  }

  /** Makes a container that is not set up yet. `files` is the directory of its user's files. */
  async container(service: ServiceProcess, root: string, fields: Readonly<Record<string, unknown>> = {}) {
    const dockerId = await makeContainer(service, fields);
    const id = await this.containerIdOf(dockerId);
    const own = join(root, 'fractal', id);
    const files = join(own, 'userConfigs/unpacked_configs');
    return { dockerId, id, own, files, port: await this.hostPort(dockerId) };
  }

  /** Ends the containers in use that a dead service left behind, and releases their resources. */
  async endLeft(service: ServiceProcess): Promise<void> {
    const ROOT = this.#services.find((one) => one.process === service)?.root as string;
    await this.#removeContainers();
    assert.equal(await this.start({ env: { ROOT }, arguments: ['wait'] }).ended(), 0);
  }

  /** Runs after each test: a service that still runs is ended and is the test's fault. Then nothing may be left. */
  async finish(): Promise<void> {
    const running = this.#services.filter(({ process: service }) => !service.hasEnded);
    for (const { process: service } of running) await service.stop('SIGKILL');
    try {
      assert.deepEqual(
        running.map(({ root }) => root),
        [],
        'services are still running',
      );
      await this.audit();
    } finally {
      await this.#clear();
    }
  }

  /** Removes what a service left behind on purpose. */
  async abandon(service: ServiceProcess): Promise<void> {
    const index = this.#services.findIndex((one) => one.process === service);
    for (const { root } of this.#services.splice(index, 1)) await rm(root, { recursive: true, force: true });
    await this.#removeContainers();
  }

  async #removeContainers(): Promise<void> {
    for (const { Id } of await this.docker.listContainers({ all: true })) {
      await this.docker.getContainer(Id).remove({ force: true });
    }
  }

  async #clear(): Promise<void> {
    await this.#removeContainers();
    for (const { root } of this.#services.splice(0)) await rm(root, { recursive: true, force: true });
  }

  /**
   * Asserts that ended services have left nothing: no container, file or mount, and so no holding, because the ledger consists
   * of files.
   */
  async audit(): Promise<void> {
    const containers = await this.docker.listContainers({ all: true });
    assert.deepEqual(
      containers.map(({ Names, Status }) => [Names, Status]),
      [],
      'containers are left',
    );
    for (const { root, process: service } of this.#services) {
      const held = service.lines.flatMap(({ msg, what }) =>
        msg === 'a resource is still held at the end' ? what : [],
      );
      assert.deepEqual(await mountsBelow(root), [], `mounts are left below ${root}`);
      assert.deepEqual(
        await this.filesBelow(root),
        [],
        `files are left below ${root}; still held at the end: ${held.join()}`,
      );
    }
  }

  /** All files of a service except the host id, receipts, logs, and the records of saves and of the webserver, which stay. */
  async filesBelow(root: string): Promise<string[]> {
    const found = await readdir(root, { recursive: true, withFileTypes: true });
    const state = 'var/lib/ecs-host-service';
    const stay = ['host-id', 'spool', 'receipts', 'logs', 'seen-configs', 'nodes', ...OF_NODES].map(
      (name) => `${state}/${name}`,
    );
    const kept = ['run', 'var', 'var/lib', state, ...stay];
    const isOfEnded = (path: string) =>
      /\/(receipts\/\w{60}\.json|nodes\/receipts\/[\w.-]+\.json|logs\/\w{60}\.log|seen-configs\/\w{64}|webserver-registration\.json)$/.test(
        path,
      );
    return found
      .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
      .filter((path) => !kept.includes(path) && !isOfEnded(path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process: service } of this.#services) await service.stop('SIGKILL');
    await this.stopDocker();
  }
}

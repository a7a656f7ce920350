/** A root directory on which a service dies: the processes that run on it then, and how a test sees that none is left. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Receipt } from '../../container/receipts.ts';
import { pathsBelow } from '../../host/paths.ts';
import { claim, host as hostContainer } from './callers.ts';
import type { ServiceProcess } from './service-process.ts';
import type { TestHost } from './test-host.ts';

/** As systemd and the launcher report it. */
export const KILLED = { SERVICE_RESULT: 'signal', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL' };

const PATIENCE = 120_000;

/** Checks repeatedly. @throws if it takes too long */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const late = AbortSignal.timeout(PATIENCE);
  while (!(await holds())) {
    if (late.aborted) assert.fail(`it never happened: ${what}`);
    await pause(20);
  }
}

/** @returns '' if it does not exist, or was removed at this moment */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A root, and its current and former processes. */
export class Site {
  readonly root: string;
  readonly #host: TestHost;
  readonly #settings: Readonly<Record<string, string>>;

  constructor(host: TestHost, settings: Readonly<Record<string, string>> = {}) {
    this.root = host.newRoot();
    this.#host = host;
    this.#settings = settings;
  }

  run(words: readonly string[], how: Readonly<Record<string, string>> = {}): ServiceProcess {
    return this.#host.start({ env: { ...this.#settings, ...how, ROOT: this.root }, arguments: words });
  }

  start(): Promise<ServiceProcess> {
    return this.run([]).ready();
  }

  /** Kills it with SIGKILL. */
  async kill(service: ServiceProcess): Promise<void> {
    assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  }

  async bury(how = KILLED): Promise<ServiceProcess> {
    const bury = this.run(['bury'], how);
    assert.equal(await bury.ended(), 0, bury.log());
    return bury;
  }

  get runDirectory(): string {
    return join(this.root, 'run/ecs-host-service');
  }

  get dockerProxy(): string {
    return pathsBelow(this.root).dockerProxy;
  }

  get waitLog(): string {
    return textOf(join(this.runDirectory, 'wait.log'));
  }

  /** Runs the search for leaks, like an operator. */
  async assertNoLeaks(): Promise<void> {
    const doctor = this.run(['doctor', '--leaks']);
    assert.equal(await doctor.ended(), 0, doctor.log());
  }

  /** Resolves when a wait process runs and knows its containers. */
  async waits(): Promise<void> {
    await until('a wait process runs', () => this.waitLog.includes('"step":"containers"'));
  }

  /** Resolves when no process waits any more. */
  async over(): Promise<void> {
    let log = '';
    const isOver = () => {
      log = this.waitLog || log;
      return !existsSync(this.runDirectory);
    };
    await until('no process waits any more', isOver).catch((error: unknown) => {
      throw new Error(log, { cause: error });
    });
  }
}

/** Waits for the receipt of an ended container; its times are text. @param id its container id */
export async function receiptOf(root: string, id: string): Promise<Receipt> {
  const path = join(pathsBelow(root).receipts, `${id}.json`);
  await until('its receipt exists', () => existsSync(path));
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** @returns the docker ids of an unclaimed container and of one in use, and the port of the latter */
export async function hostTwo(host: TestHost, service: ServiceProcess) {
  const unclaimed = await hostContainer(service);
  const claimed = await hostContainer(service);
  const port = await host.hostPort(claimed);
  await claim(service, port);
  return { unclaimed, claimed, port };
}

/** The docker ids of all running containers. */
export async function running(host: TestHost): Promise<string[]> {
  return (await host.docker.listContainers()).map(({ Id }) => Id);
}

export async function end(host: TestHost, dockerId: string): Promise<void> {
  await host.docker.getContainer(dockerId).stop({ t: 0 });
}

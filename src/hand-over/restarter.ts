/**
 * Whoever watches the service and starts it again: systemd, or `launcher/` under `make run`. It tells a restart from a
 * stop, and keeps descriptors.
 *
 * Systemd sends the same signal for both, but its queue of jobs says which one is under way. Without proof of a restart
 * of this unit alone, it is a stop: a restart of Docker restarts this unit too, and may end containers. The launcher has a
 * signal of its own.
 *
 * Source: systemctl(1) on list-jobs; systemd's job types; org.freedesktop.systemd1(5) on NFileDescriptorStore;
 * proc_pid_cgroup(5).
 */

import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Systemctl } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { messageOf } from '../../errors/service-error.ts';
import type { Logger } from '../../logging/logger.ts';
import { childEnvironment } from '../../settings/load.ts';

/** The exit code of a service that has handed its host over. */
export const HANDED_OVER = 79;

/** The first version of systemd that keeps the names of descriptors. */
const NAMED = 233;
const DOCKER = 'docker.service';
const RESTARTS = ['restart', 'try-restart'];
/** How often, and at which interval in milliseconds, systemd is asked whether it has stored the descriptors. */
const LOOKS = 20;
const BETWEEN_LOOKS = 50;

export interface Restarter {
  /** Whether this signal is part of a restart. Never rejects. */
  restarts(signal: string): Promise<boolean>;
  /** Whether the store contains this number of descriptors, or has room for them. Never rejects. */
  holds(descriptors: number): Promise<boolean>;
}

/** @returns undefined if nobody would start this process again */
export async function findRestarter(
  environment: NodeJS.ProcessEnv,
  log: Logger,
): Promise<Restarter | undefined> {
  if (environment.NOTIFY_SOCKET && isLaunched(environment)) {
    return {
      restarts: async (signal) => signal === 'SIGPWR',
      holds: async (descriptors) => descriptors <= Number(environment.FDSTORE),
    };
  }
  const unit = await ownUnit(environment);
  return unit === undefined ? undefined : new Systemd(unit, environment, log);
}

/** @returns the unit as which systemd watches this process; undefined if it does not */
export async function ownUnit(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (!environment.NOTIFY_SOCKET || isLaunched(environment)) return undefined;
  return await unitOfProcess();
}

function isLaunched({ RESTART_STATUS }: NodeJS.ProcessEnv): boolean {
  return RESTART_STATUS === String(HANDED_OVER);
}

/** @returns the unit of this process; undefined if it is in none of systemd's services */
export async function unitOfProcess(): Promise<string | undefined> {
  return unitIn(await readFile('/proc/self/cgroup', 'utf8').catch(() => ''));
}

/** @returns the unit of a process; undefined if it is in none of systemd's services */
export function unitIn(cgroups: string): string | undefined {
  return /\/([^/\n]+\.service)(?:\/|$)/m.exec(cgroups)?.[1];
}

/** @param listed the output of `systemctl list-jobs --no-legend` */
export function isRestart(unit: string, listed: string): boolean {
  const jobs = listed.split('\n').flatMap((line) => {
    const [, name, type] = /^\D*\d+\s+(\S+)\s+(\S+)/.exec(line) ?? [];
    return name && type ? [{ name, type }] : [];
  });
  const has = (wanted: string, types: readonly string[]) =>
    jobs.some(({ name, type }) => name === wanted && types.includes(type));
  return has(unit, RESTARTS) && !has(DOCKER, ['stop', ...RESTARTS]);
}

/** Whether a restart of a unit, and of nothing that it needs, waits in systemd's queue. Never rejects. */
export async function isBeingRestarted(
  unit: string,
  environment: NodeJS.ProcessEnv,
  log: Logger,
): Promise<boolean> {
  try {
    const systemctl = new Systemctl(childEnvironment(environment));
    return isRestart(unit, await systemctl.run('list-jobs', '--no-legend', '--no-pager'));
  } catch (error) {
    log.warn({ why: messageOf(error) }, 'cannot ask systemd whether this is a restart, so it is a stop');
    return false;
  }
}

class Systemd implements Restarter {
  readonly #unit: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #log: Logger;

  constructor(unit: string, environment: NodeJS.ProcessEnv, log: Logger) {
    this.#unit = unit;
    this.#environment = environment;
    this.#log = log;
  }

  async restarts(signal: string): Promise<boolean> {
    return signal === 'SIGTERM' && (await isBeingRestarted(this.#unit, this.#environment, this.#log));
  }

  /** Systemd says nothing about a descriptor that it refuses, and gives them no names before version 233. */
  async holds(descriptors: number): Promise<boolean> {
    const systemctl = new Systemctl(childEnvironment(this.#environment));
    const version = await systemctl.run('show', '--property=Version').catch(() => '');
    if (Number(/\d+/.exec(version)?.[0] ?? 0) < NAMED) return false;
    for (let look = 1; look <= LOOKS; look++) {
      const found = await systemctl
        .run('show', this.#unit, '--property=NFileDescriptorStore')
        .catch(() => '');
      if (Number(/\d+/.exec(found)?.[0] ?? -1) >= descriptors) return true;
      await pause(BETWEEN_LOOKS);
    }
    return false;
  }
}

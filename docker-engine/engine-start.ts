/**
 * Makes sure that the Docker Engine answers. If it does not run, systemd starts it. Without systemd, this service
 * starts it as a child process and stops it at its own end.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { exists } from '../host/directories.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Docker } from './docker.ts';

/** dockerd's default sockets. The service starts an Engine only for these. */
const DEFAULT_SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];
/** Time limits in milliseconds for the Engine to answer, and to stop. */
const START_DEADLINE = 60_000;
const STOP_DEADLINE = 30_000;

export interface EngineOptions {
  /** The directory for the log of an Engine that runs as a child. */
  readonly run: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** @throws {ServiceError} `docker.unavailable` when Docker does not answer and cannot be started */
export async function reachDocker(lifetime: Lifetime, docker: Docker, options: EngineOptions): Promise<void> {
  const silence = await docker.ping(lifetime.signal).catch((error: unknown) => error);
  if (!silence) return;
  if (!DEFAULT_SOCKETS.includes(docker.socket)) throw silence;
  options.log.info('Docker does not answer yet; starting it');
  try {
    const engine = (await exists('/run/systemd/system'))
      ? await startUnit(options, lifetime.signal)
      : await startChild(lifetime, options);
    await untilAnswers(docker, engine, lifetime.signal);
  } catch (error) {
    lifetime.signal.throwIfAborted();
    throw new ServiceError(
      'docker.unavailable',
      { socket: docker.socket, why: messageOf(error) },
      { cause: error },
    );
  }
}

async function startUnit({ environment }: EngineOptions, signal: AbortSignal): Promise<undefined> {
  const [code] = await once(
    spawn('systemctl', ['start', 'docker'], { stdio: 'ignore', env: environment, signal }),
    'exit',
  );
  if (code !== 0) throw new Error('"systemctl start docker" failed; see "journalctl -u docker"');
}

async function startChild(lifetime: Lifetime, { run, environment }: EngineOptions): Promise<ChildProcess> {
  const log = join(run, 'dockerd.log');
  return await lifetime.acquire({
    kind: 'docker engine',
    what: 'dockerd',
    take: () => spawnEngine(log, environment),
    release: async (child, signal) => {
      const ended = hasEnded(child) ? undefined : once(child, 'exit');
      signal.addEventListener('abort', () => child.kill('SIGKILL'));
      child.kill('SIGTERM');
      await ended;
      await rm(log);
    },
    seenGone: (child) => `process ${child.pid} has ended`,
    deadline: STOP_DEADLINE,
  });
}

async function spawnEngine(log: string, environment: NodeJS.ProcessEnv): Promise<ChildProcess> {
  await using output = await open(log, 'w', 0o600);
  // The child gets its own session, so that Ctrl-C on the terminal does not stop it before the containers have ended.
  const options = { detached: true, env: environment };
  const child = spawn('dockerd', [], { ...options, stdio: ['ignore', output.fd, output.fd] });
  try {
    await once(child, 'spawn');
  } catch (error) {
    await rm(log);
    throw error;
  }
  return child;
}

async function untilAnswers(
  docker: Docker,
  child: ChildProcess | undefined,
  signal: AbortSignal,
): Promise<void> {
  await withDeadline(START_DEADLINE, 'starting Docker', async (late) => {
    while (await docker.ping(signal).catch(() => true)) {
      signal.throwIfAborted();
      if (child && hasEnded(child))
        throw new Error(`dockerd ended with code ${child.exitCode}; run it by hand to see why`);
      await pause(50, undefined, { signal: late });
    }
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

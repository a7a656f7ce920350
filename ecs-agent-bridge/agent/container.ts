/**
 * Runs the ECS agent in the same container that its packages would create, on hosts without these packages. The
 * container belongs to Docker. The agent uses Docker only through this service's proxy, because the proxy's socket is
 * mounted in place of Docker's.
 *
 * Source: amazon-ecs-init, the getHostConfig of its docker package.
 */

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { exists } from '../../host/directories.ts';
import type { AgentPaths } from '../../host/paths.ts';
import { end, findProcesses, identify, isRunning, kill, type ProcessIdentity } from '../../host/processes.ts';
import { unlessAborted } from '../../lifetime/deadline.ts';
import type { Logger } from '../../logging/logger.ts';
import type { AgentDocker, FoundContainer } from './agent-docker.ts';
import { Lines } from './agent-log.ts';
import type { Ended, Reports, RunningAgent, Way } from './way.ts';

export const CONTAINER_NAME = 'ecs-agent';
/**
 * Names the host of the agent. It is not the label of hosted containers, because untracked hosted containers are
 * removed.
 */
const LABEL = 'ecs-host-service.agent-of';

/** Milliseconds between checks, and the number of attempts to ask Docker how an agent ended. */
const BETWEEN_LOOKS = 100;
const LOOKS = 50;
/** The time limit in milliseconds for its last lines if Docker is reachable. */
const LAST_LINES = 1000;

export interface ContainerOptions {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly isExternal: boolean;
  readonly hostId: string;
  readonly paths: AgentPaths;
  /** The path of ECS_DATADIR on the host. */
  readonly data: string;
  /** The socket of the Docker API proxy. */
  readonly socket: string;
  readonly api: AgentDocker;
  readonly docker: Pick<Docker, 'start' | 'remove'>;
  readonly reports: Reports;
  readonly log: Logger;
}

export class Container implements Way {
  readonly mode = 'container';
  readonly #options: ContainerOptions;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  async start(signal: AbortSignal): Promise<RunningAgent> {
    const { api, docker, image, hostId, paths, reports } = this.#options;
    if (!(await api.hasImage(image))) await unlessAborted(this.#load(archiveIn(paths)), signal);
    const old = await api.find(CONTAINER_NAME);
    if (old) await removeOld(old, hostId, docker);
    signal.throwIfAborted();
    const id = await api.create(await bodyOf(this.#options));
    try {
      await docker.start(id);
      const { pid = 0 } = (await api.find(id)) ?? {};
      const identity = identify(pid);
      if (identity) reports.note(identity);
      return new RunningContainer(this.#options, id, identity);
    } catch (error) {
      // Docker may have started it before it became unreachable.
      await Promise.allSettled((await findProcesses(markOf(hostId))).map((one) => kill(one)));
      await docker.remove(id).catch(() => {});
      throw error;
    }
  }

  /** The agent has written the name of its new image's file to another file. */
  async update(): Promise<void> {
    const { cache } = this.#options.paths;
    const name = (await readFile(join(cache, 'desired-image'), 'utf8')).trim();
    await this.#load(join(cache, basename(name)));
  }

  async #load(archive: string): Promise<void> {
    const { api, image, log } = this.#options;
    const isThere = await exists(archive);
    if (isThere) await api.load(archive);
    if (!isThere || !(await api.hasImage(image)))
      throw new ServiceError('agent.no_image', { image, archive });
    log.info({ image, archive }, 'Docker has loaded the image of the ECS agent');
  }
}

class RunningContainer implements RunningAgent {
  readonly ended: Promise<Ended>;
  readonly #options: ContainerOptions;
  readonly #id: DockerId;
  readonly #identity: ProcessIdentity | undefined;
  #isKilled = false;
  /** Whether the failed removal of its container has been logged. */
  #isLeft = false;

  constructor(options: ContainerOptions, id: DockerId, identity: ProcessIdentity | undefined) {
    this.#options = options;
    this.#id = id;
    this.#identity = identity;
    const reading = new AbortController();
    const log = this.#followLog(reading.signal);
    this.ended = this.#untilOver().then(async (ended) => {
      await Promise.race([log, pause(LAST_LINES, undefined, { ref: false })]);
      reading.abort();
      return ended;
    });
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    if (this.#identity) await kill(this.#identity);
    await this.ended;
  }

  async stop(milliseconds: number): Promise<void> {
    const { docker, log, reports } = this.#options;
    if (this.#identity && (await end([this.#identity], milliseconds))) reports.killed();
    await this.ended;
    try {
      await docker.remove(this.#id);
    } catch (error) {
      if (!this.#isLeft)
        log.warn(
          `could not remove the ended container of the ECS agent; it stays until the next start: ${messageOf(error)}`,
        );
      this.#isLeft = true;
    }
  }

  seenGone(): string {
    const { pid } = this.#identity ?? {};
    if (this.#isAlive)
      throw new ServiceError('still.there', { what: `process ${pid}`, why: 'it is an ECS agent' });
    return pid === undefined ? 'its container has ended' : `process ${pid} has ended`;
  }

  get #isAlive(): boolean {
    return this.#identity !== undefined && isRunning(this.#identity);
  }

  /** Docker may become unreachable during the wait call without ending it, so the process itself is checked. */
  async #untilOver(): Promise<Ended> {
    while (this.#isAlive) await pause(BETWEEN_LOOKS);
    return this.#isKilled ? { signal: 'SIGKILL' } : await this.#askHow();
  }

  /** Docker notices the end a little later than the kernel. */
  async #askHow(): Promise<Ended> {
    for (let look = 0; look < LOOKS; look++) {
      const found = await this.#options.api.find(this.#id).catch(() => undefined);
      if (!found) break;
      if (found.pid === 0) return { code: found.exitCode };
      await pause(BETWEEN_LOOKS);
    }
    return {};
  }

  /** The log is reopened while the agent runs, because Docker can restart without it. */
  async #followLog(signal: AbortSignal): Promise<void> {
    const { api, reports } = this.#options;
    const lines = new Lines(reports.line);
    let since = 0;
    const take = (bytes: Uint8Array) => {
      since = (Date.now() + 1) / 1000;
      lines.push(bytes);
    };
    do {
      await api.logs(this.#id, since, take, signal).catch(() => {});
      lines.end();
      await pause(BETWEEN_LOOKS);
    } while (this.#isAlive && !signal.aborted);
  }
}

/** A variable in the agent's environment that identifies its processes while Docker is unreachable. */
function markOf(hostId: string): string {
  return `ECS_HOST_SERVICE=${hostId}`;
}

/** Whether it is the agent of this host. */
export function isOurs({ labels }: FoundContainer, hostId: string): boolean {
  return labels[LABEL] === hostId;
}

/** The archive that the agent's packages contain. */
export function archiveIn({ cache }: AgentPaths): string {
  return join(cache, 'ecs-agent.tar');
}

async function removeOld(old: FoundContainer, hostId: string, docker: Pick<Docker, 'remove'>): Promise<void> {
  if (!isOurs(old, hostId)) {
    throw new ServiceError('agent.name_taken', { name: CONTAINER_NAME, id: old.dockerId });
  }
  await docker.remove(old.dockerId);
}

async function bodyOf(options: ContainerOptions) {
  const { image, environment, isExternal, hostId } = options;
  return {
    name: CONTAINER_NAME,
    Image: image,
    Env: [...Object.entries(environment).map(([name, value]) => `${name}=${value}`), markOf(hostId)],
    Labels: { [LABEL]: hostId },
    HostConfig: {
      NetworkMode: 'host',
      UsernsMode: 'host',
      Init: true,
      CapAdd: isExternal ? [] : ['NET_ADMIN', 'SYS_ADMIN'],
      Binds: await bindsOf(options),
      RestartPolicy: { Name: '' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '16m', 'max-file': '4' } },
    },
  };
}

/** Leaves out missing paths, because Docker would create directories for them. */
async function bindsOf({ paths, data, socket, isExternal }: ContainerOptions): Promise<string[]> {
  const config = join(paths.config, '..');
  const optional = [
    `${join(paths.state, 'deps')}:/managed-agents:ro`,
    `${join(paths.state, 'deps/execute-command/config')}:/managed-agents/execute-command/config`,
    ...(isExternal ? ['/root/.aws:/rotatingcreds:ro'] : []),
    ...['/sys/fs/cgroup:/sys/fs/cgroup', '/proc:/host/proc:ro', '/sbin:/host/sbin:ro'],
    ...['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/usr/sbin', '/etc/alternatives'].map(readOnly),
    ...['/run/docker/plugins', '/etc/docker/plugins', '/usr/lib/docker/plugins'].map(readOnly),
  ];
  const there = await Promise.all(optional.map((bind) => exists(bind.split(':', 1)[0] as string)));
  return [
    `${socket}:/var/run/docker.sock`,
    `${paths.log}:/log`,
    `${data}:/data`,
    `${config}:/etc/ecs`,
    `${paths.cache}:/var/cache/ecs`,
    `${paths.state}:/var/lib/ecs`,
    ...optional.filter((_, i) => there[i]),
  ];
}

function readOnly(path: string): string {
  return `${path}:${path}:ro`;
}

/**
 * Runs the ECS agent through its own packages: the unit ecs.service, which creates a container for the agent. Two small
 * changes make its agent use Docker through this service, and are removed afterwards. A drop-in leaves restarts to this
 * service and keeps the unit's own process off the proxy. A line in the settings that the packages pass to the
 * container, which sees the host's /var/run, names the proxy's socket.
 *
 * Source: amazon-ecs-init, the getContainerConfig of its docker package.
 */

import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { removeDrafts, writeFileAtomically } from '../../host/atomic-file.ts';
import { exists, removeIfEmpty, seenGone } from '../../host/directories.ts';
import type { AgentPaths } from '../../host/paths.ts';
import { end, findProcesses, identify, isRunning, kill, type ProcessIdentity } from '../../host/processes.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { FollowedFile } from './followed-file.ts';
import { type Systemctl, UNIT } from './systemctl.ts';
import type { Ended, Reports, RunningAgent, Way } from './way.ts';

/** The kind of holding for a change to the unit. */
export const UNIT_KIND = 'change of ecs.service';

const DROP_IN = `# Of ecs-host-service, which starts and stops this unit; it is removed when that ends.
[Service]
UnsetEnvironment=DOCKER_HOST
Restart=no
`;
/**
 * In milliseconds: the interval of checks of the unit, and the interval of questions to systemd while its process runs.
 */
const BETWEEN_LOOKS = 500;
const BETWEEN_QUESTIONS = 30_000;
/** How often a unit that does not end is killed. */
const KILLS = 10;
/** The path of the agent's program in its image. */
const AGENT = '/agent';

export interface UnitOptions {
  readonly systemctl: Systemctl;
  readonly paths: AgentPaths;
  /** The socket of the Docker API proxy, below /run. */
  readonly socket: string;
  readonly reports: Reports;
}

export class Unit implements Way {
  readonly mode = 'unit';
  readonly #options: UnitOptions;

  constructor(options: UnitOptions) {
    this.#options = options;
  }

  /** Makes the two changes until the lifetime ends. @throws {ServiceError} `host.filesystem`, `agent.systemd` */
  async prepare(lifetime: Lifetime): Promise<void> {
    const { systemctl, paths, socket } = this.#options;
    const { directory, file } = dropInOf(paths);
    await lifetime.acquire({
      kind: UNIT_KIND,
      what: paths.packagedConfig,
      take: () => setLine(paths, `${lineOf(socket)}\n`),
      release: () => setLine(paths, ''),
      seenGone: () => seenUnset(paths),
    });
    await lifetime.acquire({
      kind: UNIT_KIND,
      what: file,
      take: async () => {
        await mkdir(directory, { recursive: true });
        await writeFileAtomically(file, DROP_IN, 0o644);
        await systemctl.run('daemon-reload');
      },
      release: () => removeDropIn(paths, systemctl),
      seenGone: () => seenGone(file),
    });
  }

  async start(signal: AbortSignal): Promise<RunningAgent> {
    const { systemctl, paths, reports } = this.#options;
    // Two agents on one data directory would wait for each other silently and forever.
    if (await stopUnit(systemctl, this.#options)) reports.killed();
    signal.throwIfAborted();
    const following = new AbortController();
    const file = new FollowedFile(join(paths.log, 'ecs-agent.log'), reports.line);
    const { over } = await file.begin(following.signal);
    const read = over.catch((error: unknown) => reports.line(`the log cannot be read: ${messageOf(error)}`));
    try {
      await systemctl.run('start', '--no-block', UNIT);
    } catch (error) {
      following.abort();
      await read;
      throw error;
    }
    const ended = untilOver(this.#options).then(async (found) => {
      following.abort();
      await read;
      return found;
    });
    return new RunningUnit(this.#options, ended);
  }
}

class RunningUnit implements RunningAgent {
  readonly ended: Promise<Ended>;
  readonly #options: UnitOptions;
  /** Processes that were left when the unit ended. Later, the unit and other agents may belong to a successor. */
  #left: readonly ProcessIdentity[] | undefined;

  constructor(options: UnitOptions, ended: Promise<Ended>) {
    this.#options = options;
    this.ended = ended.then(async (found) => {
      this.#left = await agentsOf(options.socket).catch(() => []);
      return found;
    });
  }

  async kill(): Promise<void> {
    if (!this.#left) await killUnit(this.#options.systemctl);
    await kill(...(this.#left ?? (await agentsOf(this.#options.socket))));
    await this.ended;
  }

  async stop(milliseconds: number): Promise<void> {
    const { systemctl, reports } = this.#options;
    const isKilled = !this.#left && (await stopUnit(systemctl, this.#options, milliseconds));
    await this.ended;
    if ((await end(this.#left ?? [], milliseconds)) || isKilled) reports.killed();
  }

  async seenGone(): Promise<string> {
    const left = this.#left?.find(isRunning);
    if (left)
      throw new ServiceError('still.there', { what: `process ${left.pid}`, why: 'it is an ECS agent' });
    return `${UNIT} and its agent have ended`;
  }
}

/**
 * Ends the unit, and an agent that it has left behind.
 * @returns whether one was killed
 * @throws {ServiceError} `agent.systemd`, `still.there`
 */
async function stopUnit(
  systemctl: Systemctl,
  { socket }: Pick<UnitOptions, 'socket'>,
  milliseconds = 10_000,
): Promise<boolean> {
  let kills = 0;
  if (!(await systemctl.state()).isOver) {
    await systemctl.run('stop', '--no-block', UNIT);
    const late = performance.now() + milliseconds;
    while (!(await systemctl.state()).isOver) {
      if (kills === KILLS)
        throw new ServiceError('still.there', { what: UNIT, why: 'systemd has not ended it' });
      if (performance.now() > late) {
        await killUnit(systemctl);
        kills += 1;
      }
      await pause(BETWEEN_LOOKS);
    }
  }
  return (await end(await agentsOf(socket), milliseconds)) || kills > 0;
}

/** It is no error if the unit has no processes. */
async function killUnit(systemctl: Systemctl): Promise<void> {
  await systemctl.run('kill', '--signal=SIGKILL', UNIT).catch(() => {});
}

/** The processes of an agent that uses this socket. They belong to Docker, not to the unit. */
async function agentsOf(socket: string): Promise<ProcessIdentity[]> {
  return await findProcesses(lineOf(socket), AGENT);
}

async function untilOver(options: UnitOptions): Promise<Ended> {
  const { systemctl } = options;
  let first = '';
  for (;;) {
    // If systemd does not answer, the state of the unit is unknown.
    const state = await systemctl.state().catch(() => undefined);
    first ||= state?.invocation ?? '';
    if (state?.isOver) return endOf(state);
    // Another program, for example Docker, has restarted the unit, so this service's run of it has ended.
    if (state?.invocation && state.invocation !== first) {
      await stopUnit(systemctl, options).catch(() => {});
      return { code: 0 };
    }
    await whileRuns(identify(state?.pid ?? 0));
  }
}

/** Waits until another question to systemd is worthwhile, because each starts a process. */
async function whileRuns(main: ProcessIdentity | undefined): Promise<void> {
  const late = performance.now() + BETWEEN_QUESTIONS;
  do await pause(BETWEEN_LOOKS);
  while (main && isRunning(main) && performance.now() < late);
}

function endOf({ isKilled, status, result }: Awaited<ReturnType<Systemctl['state']>>): Ended {
  if (isKilled) return { signal: String(status) };
  // A command before the main process may have failed.
  return { code: status === 0 && result !== 'success' ? 1 : status };
}

/** Ends the unit of a crashed service and removes its changes. Can be repeated. @returns as `stopUnit` */
export async function undoUnit(
  systemctl: Systemctl,
  options: Pick<UnitOptions, 'paths' | 'socket'>,
): Promise<boolean> {
  const isKilled = await stopUnit(systemctl, options);
  await setLine(options.paths, '');
  await removeDropIn(options.paths, systemctl);
  return isKilled;
}

async function removeDropIn(paths: AgentPaths, systemctl: Systemctl): Promise<void> {
  const { directory, file } = dropInOf(paths);
  await rm(file, { force: true });
  await removeDrafts(directory);
  await removeIfEmpty(directory);
  await systemctl.run('daemon-reload');
}

function dropInOf({ systemd }: AgentPaths) {
  const directory = join(systemd, `${UNIT}.d`);
  return { directory, file: join(directory, 'ecs-host-service.conf') };
}

/** In the agent's container, the host's /run is /var/run. */
function lineOf(socket: string): string {
  return `DOCKER_HOST=unix:///var${socket.replace(/^\/var(?=\/run\/)/, '')}`;
}

/** This service's line in the packages' settings, with any socket. No other program uses this directory. */
const OURS = /^DOCKER_HOST=unix:\/\/\S*\/ecs-host-service\/\S*\n?/gm;

/** @param line the only line of this service from now on; it comes last, because the last one counts. Empty: none */
async function setLine({ packagedConfig }: AgentPaths, line: string): Promise<void> {
  // A killed service may have left drafts, which are copies of the settings.
  await removeDrafts(dirname(packagedConfig));
  const found = await readSettings(packagedConfig);
  const others = found.replace(OURS, '');
  const isWhole = others === '' || others.endsWith('\n');
  const content = line ? `${others}${isWhole ? '' : '\n'}${line}` : others;
  if (content === found) return;
  // The file may contain secrets.
  const mode = found === '' ? 0o644 : (await stat(packagedConfig)).mode & 0o777;
  if (content) await writeFileAtomically(packagedConfig, content, mode);
  else await rm(packagedConfig, { force: true });
}

async function readSettings(path: string): Promise<string> {
  return (await exists(path)) ? await readFile(path, 'utf8') : '';
}

/** @throws {ServiceError} `still.there` */
async function seenUnset({ packagedConfig }: AgentPaths): Promise<string> {
  if ((await readSettings(packagedConfig)).search(OURS) >= 0)
    throw new ServiceError('still.there', {
      what: `our line in ${packagedConfig}`,
      why: 'it was written again',
    });
  return 'its line is no longer there';
}

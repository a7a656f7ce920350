/**
 * Cleans up after a crash of the service. It reads the ledger, reports the crash, and removes the unassigned containers
 * with everything that belonged to them. Assigned containers keep running. For them, and for users' files that are not
 * saved yet, it leaves a `wait` process behind until the last of them has ended. It can be killed at any point and
 * repeated. If nothing was left, it does nothing.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { claimedIn, projectsIn, removeUnclaimed } from '../../container/after-death/take-over.ts';
import { clearLimits } from '../../container/disk-quotas.ts';
import { HostedDocker } from '../../container/hosted-docker.ts';
import { stopLeftAgent } from '../../ecs-agent-bridge/agent/left-agent.ts';
import { Systemctl } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { exists, MARK, makeWithParents, removeMarked } from '../../host/directories.ts';
import { readHostId } from '../../host/host-id.ts';
import { isLocked, lock } from '../../host/lock.ts';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { Ledger, type Page } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { readLastLines } from '../../logging/last-lines.ts';
import { createLogger, type Logger, openStdout } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import { childEnvironment, loadSettings, type Settings } from '../../settings/load.ts';
import { SHELL_SCOPES } from '../../ttys/shell-scope.ts';
import { giveBackLeft } from '../front-console.ts';
import { judge, type Verdict } from '../hand-over/after.ts';
import { unitOfProcess } from '../hand-over/restarter.ts';
import { SERVICE_PAGE } from '../observe.ts';
import { ownWords } from '../process/self.ts';
import { Reporting, serviceFactsIn } from '../reporting.ts';
import { causeOfDeath } from './cause-of-death.ts';
import { clearRunDirectory, countUnsaved, removeRemains } from './remains.ts';
import { endHandedOver } from './wait.ts';

/** The time limit for the report in milliseconds. A report that is late delays the calls to Docker too. */
const PATIENCE = 10_000;
/** The number of log lines in the report. */
const LAST_LINES = 20;

export interface BuryOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** The unit that hosts the containers in use; undefined: a child process hosts them. */
  readonly waitUnit?: string | undefined;
}

/** @throws {ServiceError} when something could not be cleaned up; another call continues */
export async function bury({ environment, waitUnit }: BuryOptions): Promise<void> {
  const settings = loadSettings(environment);
  const outlets = new Outlets(await openStdout(process.stdout.isTTY));
  const log = createLogger({ level: settings.LOG_LEVEL, stream: outlets });
  const paths = pathsBelow(settings.ROOT);
  const reporting = new Reporting({ settings, outlets, log });
  const shells = () => (waitUnit ? endShells(environment, log) : undefined);
  if (!(await exists(paths.run))) {
    await shells();
    if (!(await reporting.owesHeartbeat())) return;
    await makeWithParents(paths.run, MARK | 0o700);
  }
  const lifetime = new Lifetime('bury');
  let isLeft = true;
  let verdict: Verdict = 'none';
  try {
    await lock(lifetime, { run: paths.run, root: paths.root, as: 'bury' });
    const unit = waitUnit && (await unitOfProcess());
    verdict = await judge({ environment, paths, unit, log });
    if (verdict !== 'goes on') await shells();
    const hasFailed = verdict === 'failed';
    if (verdict === 'none' || hasFailed)
      isLeft = await new Burial({ environment, settings, reporting, log, paths, hasFailed }).run();
    else isLeft = false;
  } catch (error) {
    if (!isLocked(error)) throw error;
    log.info('another process hosts the containers of this host; there is nothing to clean up');
    isLeft = false;
  } finally {
    await lifetime.end();
    if (isLeft) await beginWait(environment, paths, waitUnit, log);
    else await removeMarked(paths.run);
  }
  if (verdict !== 'stops') return;
  await endHandedOver(environment);
  if (await reporting.owesHeartbeat()) await beginWait(environment, paths, waitUnit, log);
}

interface Parts {
  readonly environment: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly reporting: Reporting;
  readonly log: Logger;
  readonly paths: Paths;
  /** Whether the service handed its host over and no other service took it. */
  readonly hasFailed: boolean;
}

class Burial {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * @returns whether containers keep running, users' files must be saved, or the webserver must still be told
   * @throws {ServiceError} `docker.*`
   */
  async run(): Promise<boolean> {
    const { reporting, log, paths, hasFailed } = this.#parts;
    const ledger = new Ledger(paths.ledger);
    const pages = ledger.open();
    if (pages.length === 0) {
      await this.#clear(ledger);
      return await reporting.owesHeartbeat();
    }
    const { pid, ...facts } = serviceFactsIn(pages) ?? { isReported: true };
    const { isReported, ...unreported } = facts;
    const left = hasFailed ? { ...unreported, wasRunning: true } : facts;
    reporting.keepIdentity(left, (identity) => ledger.note(SERVICE_PAGE, { pid, ...identity }));
    reporting.ownInstance();
    try {
      // In parallel, because remote services and Docker may both be slow.
      const told = isReported && !hasFailed ? undefined : this.#report(reporting, pages, pid);
      const [removed, report] = await Promise.allSettled([this.#remove(ledger, pages), told]);
      if (report.status === 'rejected') log.error({ error: report.reason }, messageOf(report.reason));
      if (removed.status === 'rejected') throw removed.reason;
      const claimed = claimedIn(pages).length;
      const unsaved = await countUnsaved(paths);
      log.info({ claimed, unsaved }, 'cleaned up after the crash; left containers in use and unsaved files');
      if (claimed + unsaved > 0) return true;
      await reporting.terminateInstance(0);
      await removeRemains(pages);
      await giveBackLeft(pages);
      await this.#clear(ledger);
      return await reporting.owesHeartbeat();
    } finally {
      await reporting.close();
    }
  }

  /** Removes what is left of a service that holds nothing else: its files, and its page of the ledger. */
  async #clear(ledger: Ledger): Promise<void> {
    await clearRunDirectory(this.#parts.paths);
    ledger.remove(SERVICE_PAGE);
  }

  async #remove(ledger: Ledger, pages: readonly Page[]): Promise<void> {
    const { environment, settings, paths, log } = this.#parts;
    const docker = await HostedDocker.open(settings.DOCKER_HOST);
    const hostId = await readHostId(paths.state);
    const proxySocket = paths.dockerProxy;
    const agent = { docker, hostId, paths, ledger, log, environment, proxySocket };
    // If the agent cannot be stopped, the containers are still removed.
    const [stopped] = await Promise.allSettled([stopLeftAgent(pages, agent)]);
    await removeUnclaimed({ docker, hostId, paths, ledger, log }, pages);
    const { directory } = await docker.describe();
    await clearLimits([paths.containers, directory], projectsIn(pages));
    if (stopped.status === 'rejected') throw stopped.reason;
  }

  async #report(reporting: Reporting, pages: readonly Page[], pid: number | undefined) {
    const { environment, log, paths } = this.#parts;
    const error = new ServiceError('service.died', { cause: causeOfDeath(environment, pid) });
    const lastLines = readLastLines(paths.run, LAST_LINES);
    const held = pages.flatMap(({ entries }) => entries).map(({ kind, what }) => `${kind} ${what}`);
    await reporting.open();
    const say = () => log.fatal({ error, held, lastLines }, messageOf(error));
    await reporting.tellDeath(error, say, PATIENCE);
  }
}

/** Ends everything that runs in shells on the host. No service owns them any more. */
async function endShells(environment: NodeJS.ProcessEnv, log: Logger): Promise<void> {
  try {
    await new Systemctl(childEnvironment(environment)).run('stop', SHELL_SCOPES);
  } catch (error) {
    log.error({ error }, `shells on the host keep running: ${messageOf(error)}`);
  }
}

/** The `wait` process is neither a child of this one nor in its unit, so it outlives this process. */
async function beginWait(
  environment: NodeJS.ProcessEnv,
  paths: Paths,
  unit: string | undefined,
  log: Logger,
): Promise<void> {
  if (unit) {
    const words = ['start', '--no-block', unit];
    const systemctl = spawn('systemctl', words, { stdio: 'ignore', env: childEnvironment(environment) });
    const [code] = await once(systemctl, 'exit').catch(() => []);
    if (code !== 0) throw new ServiceError('bury.no_wait', { unit });
    return;
  }
  await using output = await open(paths.waitLog, 'a', 0o600);
  const child = spawn(process.execPath, [...ownWords(), 'wait'], {
    detached: true,
    env: environment,
    stdio: ['ignore', output.fd, output.fd],
  });
  await once(child, 'spawn');
  child.unref();
  log.info({ pid: child.pid }, 'a wait process hosts the containers in use until they have ended');
}

/**
 * Waits for the containers that a dead service left in use: hosts each on until it ends by itself, saves its user
 * config, and releases what was its. Then it waits until files of users that are kept have been removed in their time.
 * No new containers come and nobody is listened to. It may be killed at any moment: whoever comes next goes on with
 * what is left, and a service that starts does so to take over.
 */

import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { DestinationStream } from 'pino';
import { countKept, nothingKept } from '../container/kept-files.ts';
import { claimedIn } from '../container/take-over.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { removeMarked } from '../host/directories.ts';
import { isLocked } from '../host/lock.ts';
import { type Paths, pathsBelow } from '../host/paths.ts';
import { createLogger, openStdout } from '../logging/logger.ts';
import { Outlets } from '../logging/outlets.ts';
import { loadSettings, type Settings } from '../settings/load.ts';
import { causeOfDeath } from './cause-of-death.ts';
import { endService } from './end.ts';
import { giveBackLeft } from './front-console.ts';
import { countUnsaved, removeRemains } from './remains.ts';
import { Reporting, serviceFactsIn } from './reporting.ts';
import { Service } from './service.ts';

/** Milliseconds before another attempt, while Docker is away for example: at first, and at most. */
const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

interface Parts {
  readonly environment: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly stdout: DestinationStream;
}

export async function waitForClaimed(environment: NodeJS.ProcessEnv): Promise<void> {
  process.title = 'ecs-host-service wait';
  const settings = loadSettings(environment);
  const stdout = await openStdout(process.stdout.isTTY);
  for (let between = SHORTEST_PAUSE; ; between = Math.min(2 * between, LONGEST_PAUSE)) {
    // An attempt that failed does not count when a later one does not.
    process.exitCode = 0;
    if (await attempt({ environment, settings, stdout })) return;
    await pause(between);
  }
}

/** @returns whether it is over */
async function attempt({ environment, settings, stdout }: Parts): Promise<boolean> {
  // Its own: what reports in it is closed with it.
  const outlets = new Outlets(stdout);
  const log = createLogger({ level: settings.LOG_LEVEL, stream: outlets });
  const reporting = new Reporting({ settings, outlets, log });
  const service = new Service({ settings, environment, log, observer: {}, reporting, as: 'wait' });
  try {
    await takePlace(service);
    await service.heedNotices();
    const told = service.root.track('the last heartbeat', tellWebserver(settings, service));
    await service.step('filesystem', () => service.makeDirectories());
    await keepFrontConsole(service);
    await service.step('docker', () => service.reachDocker());
    const stopped = stopAgent(service);
    const hosted = hostOn(service, pathsBelow(settings.ROOT)).then(() => Promise.all([stopped, told]));
    const by = await Promise.race([hosted.then(() => 'draining' as const), takenBy(service)]);
    // What waits for others does so no longer.
    hosted.catch(() => {});
    if (by === 'draining') await removeRemains(service.left);
    const left = await endService({ kind: 'asked', by }, service);
    // Until then there were containers, for which it was needed.
    if (by === 'EC2') await removeRemains(service.left);
    const paths = pathsBelow(settings.ROOT);
    await rm(paths.waitLog, { force: true });
    await removeMarked(paths.run);
    // The ledger is over: what is learnt of the host now must not begin it again.
    reporting.keepIdentity({}, () => {});
    reporting.ownInstance();
    await reporting.terminateInstance(left + (await countUnsaved(paths)));
    return true;
  } catch (error) {
    if (isLocked(error)) return await giveWay(service);
    await service.presence?.leave(error);
    await endService({ kind: 'died', error }, service);
    return false;
  } finally {
    await reporting.close();
  }
}

/** A service takes over, or another one waits already. That is no failure: whoever keeps this process must not start it again. */
async function giveWay({ root, log }: Service): Promise<true> {
  log.info('another process takes care of this host');
  await root.end();
  return true;
}

/** Who should have done it died before. */
async function reportUnreported({ left, reporting, log }: Service): Promise<void> {
  const facts = serviceFactsIn(left);
  if (!facts || facts.isReported) return;
  const error = new ServiceError('service.died', { cause: causeOfDeath({}, facts.pid) });
  await reporting.tellDeath(error, () => log.fatal({ error }, messageOf(error)));
}

/** Delivers the last heartbeat if one is owed. An instance that is to be terminated does not wait for that. */
async function tellWebserver(
  { ON_DEATH: onDeath }: Settings,
  { left, reporting, root, log }: Service,
): Promise<void> {
  if (onDeath === 'terminate' && serviceFactsIn(left)?.wasRunning) return;
  await reporting.payHeartbeat(root.signal).catch((error: unknown) => {
    if (!root.signal.aborted) log.error({ error }, messageOf(error));
  });
}

async function takePlace(service: Service): Promise<void> {
  await service.step('reporting', () => service.openReporting());
  await service.step('lock', () => service.lock());
  await reportUnreported(service);
}

/** EC2 takes this host, and it is time to stop. */
async function takenBy({ heeding }: Service): Promise<'EC2'> {
  await heeding.taken;
  return 'EC2';
}

/** Users' files do not wait for it. Without a container in use, nobody needs it. */
async function keepFrontConsole(service: Service): Promise<void> {
  const isNeeded = claimedIn(service.left).length > 0;
  try {
    if (isNeeded) await service.step('front console', () => service.keepFrontConsole());
    else await giveBackLeft(service.left);
  } catch (error) {
    service.log.error({ error }, messageOf(error));
  }
}

/** Users' files do not wait for one that does not end, which is then tried again. */
function stopAgent(service: Service): Promise<void> {
  const stopped = service.step('ecs agent', () => service.runAgent());
  stopped.catch((error: unknown) => service.log.error({ error }, messageOf(error)));
  return service.root.track('stopping the ECS agent', stopped);
}

async function hostOn(service: Service, paths: Paths): Promise<void> {
  await service.step('user configs', () => service.keepUserConfigs());
  await service.step('containers', () => service.hostContainers());
  await service.hosting?.tracker.drain();
  await service.userConfigs?.uploaded();
  const kept = await countKept(paths);
  if (kept > 0) service.log.info({ kept }, 'waiting until the kept files of users may be removed');
  await nothingKept(paths, service.root.signal);
}

/**
 * Waits for the containers that a dead service left in use: hosts each on until it ends by itself, saves its user
 * config, and releases what was its. Then it waits until files of users that are kept have been removed in their time.
 * No new containers come and nobody is listened to. It may be killed at any moment: whoever comes next goes on with
 * what is left, and a service that starts does so to take over.
 */

import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { DestinationStream } from 'pino';
import { claimedIn } from '../../container/after-death/take-over.ts';
import type { HostedDocker } from '../../container/hosted-docker.ts';
import { countKept, nothingKept } from '../../container/kept-files.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { removeMarked } from '../../host/directories.ts';
import { isLocked } from '../../host/lock.ts';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import { createLogger, openStdout } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import { loadSettings, type Settings } from '../../settings/load.ts';
import { endService } from '../end.ts';
import { giveBackLeft } from '../front-console.ts';
import type { Presence } from '../presence.ts';
import { Reporting, serviceFactsIn } from '../reporting.ts';
import { Service } from '../service.ts';
import { causeOfDeath } from './cause-of-death.ts';
import { countUnsaved, removeRemains } from './remains.ts';

/** Before another attempt, while Docker is away for example. */
const PAUSE: Backoff = { shortest: 1000, longest: 60_000 };

interface HostOnParts {
  readonly docker: HostedDocker;
  readonly presence: Presence;
  readonly paths: Paths;
}

interface Parts {
  readonly environment: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly stdout: DestinationStream;
}

export async function waitForClaimed(environment: NodeJS.ProcessEnv): Promise<void> {
  process.title = 'ecs-host-service wait';
  const settings = loadSettings(environment);
  const stdout = await openStdout(process.stdout.isTTY);
  for (let failures = 0; ; failures++) {
    // An attempt that failed does not count when a later one does not.
    process.exitCode = 0;
    if (await attempt({ environment, settings, stdout })) return;
    await pause(backoff(failures, PAUSE));
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
    const presence = await takePlace(service);
    await service.heedNotices();
    const told = service.root.track('the last heartbeat', tellWebserver(settings, presence, service));
    await service.step('filesystem', () => service.makeDirectories(presence));
    await keepFrontConsole(service, presence);
    const docker = await service.step('docker', () => service.reachDocker());
    const stopped = stopAgent(service, docker, presence);
    const parts = { docker, presence, paths: pathsBelow(settings.ROOT) };
    const hosted = hostOn(service, parts).then(() => Promise.all([stopped, told]));
    const by = await Promise.race([hosted.then(() => 'draining' as const), takenBy(service)]);
    // What waits for others does so no longer.
    hosted.catch(() => {});
    if (by === 'draining') await removeRemains(presence.left);
    const left = await endService({ kind: 'asked', by }, service);
    // Until then there were containers, for which it was needed.
    if (by === 'EC2') await removeRemains(presence.left);
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
    await service.presence?.lifetime.leave(error);
    await endService({ kind: 'died', error }, service);
    return false;
  } finally {
    await reporting.close();
  }
}

/** A service takes over, or another one waits already. That is no failure: whoever keeps this process must not start it again. */
async function giveWay({ root, log }: Service): Promise<true> {
  log.info('another process hosts the containers of this host');
  await root.end();
  return true;
}

/** Who should have done it died before. */
async function reportUnreported({ left }: Presence, { reporting, log }: Service): Promise<void> {
  const facts = serviceFactsIn(left);
  if (!facts || facts.isReported) return;
  const error = new ServiceError('service.died', { cause: causeOfDeath({}, facts.pid) });
  await reporting.tellDeath(error, () => log.fatal({ error }, messageOf(error)));
}

/** Delivers the last heartbeat if one is owed. An instance that is to be terminated does not wait for that. */
async function tellWebserver(
  { ON_DEATH: onDeath }: Settings,
  { left }: Presence,
  { reporting, root, log }: Service,
): Promise<void> {
  if (onDeath === 'terminate' && serviceFactsIn(left)?.wasRunning) return;
  await reporting.payHeartbeat(root.signal).catch((error: unknown) => {
    if (!root.signal.aborted) log.error({ error }, messageOf(error));
  });
}

async function takePlace(service: Service): Promise<Presence> {
  await service.step('reporting', () => service.openReporting());
  const presence = await service.step('lock', () => service.lock());
  await reportUnreported(presence, service);
  return presence;
}

/** EC2 takes this host, and it is time to stop. */
async function takenBy({ heeding }: Service): Promise<'EC2'> {
  await heeding.taken;
  return 'EC2';
}

/** Users' files do not wait for it. Without a container in use, nobody needs it. */
async function keepFrontConsole(service: Service, presence: Presence): Promise<void> {
  const isNeeded = claimedIn(presence.left).length > 0;
  try {
    if (isNeeded) await service.step('front console', () => service.keepFrontConsole(presence));
    else await giveBackLeft(presence.left);
  } catch (error) {
    service.log.error({ error }, messageOf(error));
  }
}

/** Users' files do not wait for one that does not end, which is then tried again. */
function stopAgent(service: Service, docker: HostedDocker, presence: Presence): Promise<void> {
  const stopped = service.step('ecs agent', () => service.runAgent(docker, presence));
  stopped.catch((error: unknown) => service.log.error({ error }, messageOf(error)));
  return service.root.track('stopping the ECS agent', stopped);
}

async function hostOn(service: Service, { docker, presence, paths }: HostOnParts): Promise<void> {
  const userConfigs = await service.step('user configs', () => service.keepUserConfigs(presence));
  // They have the input devices that they had.
  const parts = { docker, userConfigs, canInput: false, left: presence.left };
  const { tracker } = await service.step('containers', () => service.hostContainers(parts));
  await tracker.drain();
  await userConfigs?.uploaded();
  const kept = await countKept(paths);
  if (kept > 0) service.log.info({ kept }, "waiting until the kept users' files may be removed");
  await nothingKept(paths, service.root.signal);
}

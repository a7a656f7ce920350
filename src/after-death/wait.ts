/**
 * Hosts the containers in use that a crashed service left. It hosts each until it ends, saves its user config, and
 * releases its resources. Then it waits until kept files of users have expired. It accepts no new containers and no
 * requests. It can be killed at any moment; the next process continues. A starting service kills it to take over.
 */

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
import { forgetHandOver } from '../hand-over/state.ts';
import type { Presence } from '../presence.ts';
import { Reporting, serviceFactsIn } from '../reporting.ts';
import { Service } from '../service.ts';
import { causeOfDeath } from './cause-of-death.ts';
import { clearRunDirectory, countUnsaved, removeRemains } from './remains.ts';

/** The pause before another attempt, for example while Docker is unreachable. */
const PAUSE: Backoff = { shortest: 1000, longest: 60_000 };

interface HostOnParts {
  readonly purpose: Purpose;
  readonly docker: HostedDocker;
  readonly presence: Presence;
  readonly paths: Paths;
}

/** What becomes of the containers: they are hosted until they end, or ended at once, as in a stop. */
type Purpose = 'wait' | 'stop';

interface Parts {
  readonly purpose: Purpose;
  readonly environment: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly stdout: DestinationStream;
}

export async function waitForClaimed(environment: NodeJS.ProcessEnv): Promise<void> {
  process.title = 'ecs-host-service wait';
  await untilDone(environment, 'wait');
}

/** Ends all containers of a service that handed its host over, because no other service will take it. */
export async function endHandedOver(environment: NodeJS.ProcessEnv): Promise<void> {
  await untilDone(environment, 'stop');
}

async function untilDone(environment: NodeJS.ProcessEnv, purpose: Purpose): Promise<void> {
  const settings = loadSettings(environment);
  const stdout = await openStdout(process.stdout.isTTY);
  for (let failures = 0; ; failures++) {
    // A failed attempt does not count if a later one succeeds.
    process.exitCode = 0;
    if (await attempt({ purpose, environment, settings, stdout })) return;
    await pause(backoff(failures, PAUSE));
  }
}

/** @returns whether the work is done */
async function attempt({ purpose, environment, settings, stdout }: Parts): Promise<boolean> {
  // Each attempt has its own outlets, because its reporting is closed with them.
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
    const parts = { purpose, docker, presence, paths: pathsBelow(settings.ROOT) };
    const hosted = hostOn(service, parts).then(() =>
      Promise.all([stopped, ...(purpose === 'wait' ? [told] : [])]),
    );
    const by = await Promise.race([hosted.then(() => 'draining' as const), takenBy(service)]);
    // If EC2 ends the race, a later failure of this promise needs no handling.
    hosted.catch(() => {});
    if (by === 'draining' && purpose === 'wait') await removeRemains(presence.left);
    const left = await endService({ kind: 'asked', by }, service);
    // Before this point, the certificate and directories were needed for the containers.
    if (by === 'EC2' || purpose === 'stop') await removeRemains(presence.left);
    const paths = pathsBelow(settings.ROOT);
    await forgetHandOver(paths);
    await clearRunDirectory(paths);
    await removeMarked(paths.run);
    // The ledger is closed, so later facts about the host must not create it again.
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

/**
 * A service takes over, or another `wait` process runs already. Neither counts as a failure, so nothing restarts this
 * process.
 */
async function giveWay({ root, log }: Service): Promise<true> {
  log.info('another process hosts the containers of this host');
  await root.end();
  return true;
}

/** The process that should have reported the crash died before. */
async function reportUnreported({ left }: Presence, { reporting, log }: Service): Promise<void> {
  const facts = serviceFactsIn(left);
  if (!facts || facts.isReported) return;
  const error = new ServiceError('service.died', { cause: causeOfDeath({}, facts.pid) });
  await reporting.tellDeath(error, () => log.fatal({ error }, messageOf(error)));
}

/** Delivers the last heartbeat if one is owed. An instance that will be terminated does not wait for that. */
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

/** Resolves when EC2 will reclaim this host and it is time to stop. */
async function takenBy({ heeding }: Service): Promise<'EC2'> {
  await heeding.taken;
  return 'EC2';
}

/** Runs in parallel with the saving of users' files. Without containers in use, the console is not needed. */
async function keepFrontConsole(service: Service, presence: Presence): Promise<void> {
  const isNeeded = claimedIn(presence.left).length > 0;
  try {
    if (isNeeded) await service.step('front console', () => service.keepFrontConsole(presence));
    else await giveBackLeft(presence.left);
  } catch (error) {
    service.log.error({ error }, messageOf(error));
  }
}

/** Runs in parallel with the saving of users' files. If the agent does not end, another attempt follows. */
function stopAgent(service: Service, docker: HostedDocker, presence: Presence): Promise<void> {
  const stopped = service.step('ecs agent', () => service.runAgent(docker, presence));
  stopped.catch((error: unknown) => service.log.error({ error }, messageOf(error)));
  return service.root.track('stopping the ECS agent', stopped);
}

async function hostOn(service: Service, { purpose, docker, presence, paths }: HostOnParts): Promise<void> {
  const userConfigs = await service.step('user configs', () => service.keepUserConfigs(presence));
  // The containers keep the input devices that they have.
  const parts = { docker, userConfigs, canInput: false, left: presence.left };
  const { tracker } = await service.step('containers', () => service.hostContainers(parts));
  if (purpose === 'stop') return;
  await tracker.drain();
  await userConfigs?.uploaded();
  const kept = await countKept(paths);
  if (kept > 0) service.log.info({ kept }, "waiting until the kept users' files may be removed");
  await nothingKept(paths, service.root.signal);
}

/** The story of the process: it starts step by step, hosts containers, and ends. Every end goes through `end`. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { createLogger, openStdout } from '../logging/logger.ts';
import { Outlets } from '../logging/outlets.ts';
import { loadSettings } from '../settings/load.ts';
import { trimMemory } from '../uinput-native/memory.ts';
import { type Cause, endService, type WatchedEnd, watchForEnd } from './end.ts';
import { endByHandOver } from './hand-over/hand-over.ts';
import { findRestarter } from './hand-over/restarter.ts';
import { forgetHandOver } from './hand-over/state.ts';
import type { Observer } from './observe.ts';
import { OpenHandles } from './process/open-handles.ts';
import { Watchdog } from './process/watchdog.ts';
import { Reporting } from './reporting.ts';
import { Service } from './service.ts';

/** The time limit in milliseconds for what is still to be sent when a host is handed over. */
const HURRY = 300;

/** Runs the service until it is asked to stop or dies. Then everything is released and the exit code is set. */
export async function runService(environment: NodeJS.ProcessEnv, observer: Observer = {}): Promise<void> {
  process.title = 'ecs-host-service';
  // A socket gets its own mode only after it listens. The umask applies to all threads, so it is set before any other
  // work.
  process.umask(process.umask() | 0o022);
  const outlets = new Outlets(await openStdout(process.stdout.isTTY));
  try {
    if (process.getuid?.() !== 0) throw new ServiceError('start.not_root', {});
    const settings = loadSettings(environment);
    const log = createLogger({ level: settings.LOG_LEVEL, stream: outlets });
    const watchdog = new Watchdog(environment, log);
    const end = watchForEnd(log, environment.RESTART_STATUS !== undefined);
    const handles = new OpenHandles();
    const reporting = new Reporting({ settings, outlets, log });
    let handedOver: number | undefined;
    try {
      const service = new Service({ settings, environment, log, observer, reporting });
      handedOver = await live(service, { end, watchdog, environment });
    } finally {
      await reporting.close(handedOver === undefined ? undefined : HURRY);
    }
    end.over();
    if (handles.letGo(log) > 0) process.exitCode = 1;
    if (handedOver !== undefined) process.exitCode = handedOver;
  } catch (error) {
    createLogger({ level: 'info', stream: outlets }).fatal(messageOf(error));
    process.exitCode = 1;
  }
}

interface Watched {
  readonly end: WatchedEnd;
  readonly watchdog: Watchdog;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Spans the first step to the last cleanup, however the end comes.
 * @returns the exit code of a hand-over; undefined if it ends in another way
 */
async function live(service: Service, { end, watchdog, environment }: Watched): Promise<number | undefined> {
  void end.drain.then(() => service.drain());
  const cause = await Promise.race([
    end.cause,
    whenStartFails(start(service, watchdog).then(() => end.started())),
    whenStartFails(service.passing.late()),
    whenDrained(service),
    whenTaken(service),
  ]);
  end.known();
  watchdog.stopping();
  const restarter = await findRestarter(environment, service.log);
  const handedOver = await endByHandOver(cause, service, restarter).catch((error: unknown) =>
    dieHandingOver(error, service),
  );
  if (typeof handedOver === 'number') return handedOver;
  await endService(handedOver ?? cause, service, () => service.passing.handed !== undefined);
  return undefined;
}

/** What the hand-over has let go of until then is left as by any crash. @returns the cause of the end */
async function dieHandingOver(error: unknown, { paths, presence }: Service): Promise<Cause> {
  await forgetHandOver(paths);
  await presence?.lifetime.leave(error);
  return { kind: 'died', error };
}

/** Each step provides what the next ones need. If one fails, the end undoes the steps before it. */
function start(service: Service, watchdog: Watchdog): Promise<void> {
  const steps = async () => {
    await service.step('reporting', () => service.openReporting());
    const presence = await service.step('lock', () => service.lock());
    await service.step('filesystem', () => service.makeDirectories(presence));
    const canInput = await service.step('input devices', () => service.checkInputDevices());
    await service.step('front console', () => service.keepFrontConsole(presence));
    const { handed } = service.passing;
    // Connections wait in the socket until they can be served, because callers take a refusal for the end of the host.
    const listen = () => service.step('https', () => service.serveHttps());
    if (!handed) await listen();
    await service.step('host', () => service.describeHost());
    const docker = await service.step('docker', () => service.reachDocker());
    const userConfigs = await service.step('user configs', () => service.keepUserConfigs(presence));
    const parts = { docker, userConfigs, canInput, left: presence.left };
    const hosting = await service.step('containers', () => service.hostContainers(parts));
    if (handed) await listen();
    await service.step('nodes', () => service.keepNodes(docker, (text) => watchdog.status(text)));
    await service.step('docker proxy', () => service.serveDocker(hosting));
    await service.step('ecs agent', () => service.runAgent(docker, presence));
    if (handed?.isDraining) service.drain();
    await service.step('heartbeats', () => service.beginHeartbeats());
    watchdog.ready();
    // Returns the memory that only the start needed, about a twentieth of the whole.
    void trimMemory().catch(() => {});
  };
  return service.root.track('starting', steps());
}

async function whenDrained(service: Service): Promise<Cause> {
  await service.draining.drained;
  return { kind: 'asked', by: 'draining' };
}

/** Resolves when EC2 will reclaim this host and it is time to stop. */
async function whenTaken(service: Service): Promise<Cause> {
  await service.heeding.taken;
  return { kind: 'asked', by: 'EC2' };
}

async function whenStartFails(started: Promise<unknown>): Promise<Cause> {
  try {
    await started;
  } catch (error) {
    return { kind: 'died', error };
  }
  return await new Promise(() => {});
}

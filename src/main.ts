/** The story of the process: it starts step by step, hosts containers, and ends. Every end goes through `end`. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { createLogger, openStdout } from '../logging/logger.ts';
import { Outlets } from '../logging/outlets.ts';
import { loadSettings } from '../settings/load.ts';
import { type Cause, endService, type WatchedEnd, watchForEnd } from './end.ts';
import type { Observer } from './observe.ts';
import { OpenHandles } from './process/open-handles.ts';
import { Watchdog } from './process/watchdog.ts';
import { Reporting } from './reporting.ts';
import { Service } from './service.ts';

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
    const end = watchForEnd(log);
    const handles = new OpenHandles();
    const reporting = new Reporting({ settings, outlets, log });
    try {
      await live(new Service({ settings, environment, log, observer, reporting }), end, watchdog);
    } finally {
      await reporting.close();
    }
    end.over();
    if (handles.letGo(log) > 0) process.exitCode = 1;
  } catch (error) {
    createLogger({ level: 'info', stream: outlets }).fatal(messageOf(error));
    process.exitCode = 1;
  }
}

/** Spans the first step to the last cleanup, however the end comes. */
async function live(service: Service, end: WatchedEnd, watchdog: Watchdog): Promise<void> {
  void end.drain.then(() => service.drain());
  const cause = await Promise.race([
    end.cause,
    whenStartFails(start(service, watchdog)),
    whenDrained(service),
    whenTaken(service),
  ]);
  end.known();
  watchdog.stopping();
  await endService(cause, service);
}

/** Each step provides what the next ones need. If one fails, the end undoes the steps before it. */
function start(service: Service, watchdog: Watchdog): Promise<void> {
  const steps = async () => {
    await service.step('reporting', () => service.openReporting());
    const presence = await service.step('lock', () => service.lock());
    await service.step('filesystem', () => service.makeDirectories(presence));
    const canInput = await service.step('input devices', () => service.checkInputDevices());
    await service.step('front console', () => service.keepFrontConsole(presence));
    await service.step('https', () => service.serveHttps());
    await service.step('host', () => service.describeHost());
    const docker = await service.step('docker', () => service.reachDocker());
    const userConfigs = await service.step('user configs', () => service.keepUserConfigs(presence));
    const parts = { docker, userConfigs, canInput, left: presence.left };
    const hosting = await service.step('containers', () => service.hostContainers(parts));
    await service.step('nodes', () => service.keepNodes(docker, (text) => watchdog.status(text)));
    await service.step('docker proxy', () => service.serveDocker(hosting));
    await service.step('ecs agent', () => service.runAgent(docker, presence));
    await service.step('heartbeats', () => service.beginHeartbeats());
    watchdog.ready();
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

async function whenStartFails(started: Promise<void>): Promise<Cause> {
  try {
    await started;
  } catch (error) {
    return { kind: 'died', error };
  }
  return await new Promise(() => {});
}

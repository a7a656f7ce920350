/**
 * Waits for the containers that a dead service left in use: hosts each on until it ends by itself, saves its user
 * config, and releases what was its. No new ones come and nobody is listened to. It may be killed at any moment:
 * whoever comes next goes on with what is left, and a service that starts does so to take over.
 */

import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { pathsBelow } from '../host/paths.ts';
import { createLogger, type Logger, openStdout } from '../logging/logger.ts';
import { Outlets } from '../logging/outlets.ts';
import { loadSettings, type Settings } from '../settings/load.ts';
import { endService } from './end.ts';
import { removeIfEmpty, removeRemains } from './remains.ts';
import { Reporting, serviceFactsIn } from './reporting.ts';
import { Service } from './service.ts';

/** Milliseconds before another attempt, while Docker is away for example. */
const BETWEEN_ATTEMPTS = 10_000;

interface Parts {
  readonly environment: NodeJS.ProcessEnv;
  readonly settings: Settings;
  readonly outlets: Outlets;
  readonly log: Logger;
}

export async function waitForClaimed(environment: NodeJS.ProcessEnv): Promise<void> {
  process.title = 'ecs-host-service wait';
  const settings = loadSettings(environment);
  const outlets = new Outlets(await openStdout(process.stdout.isTTY));
  const log = createLogger({ level: settings.LOG_LEVEL, stream: outlets });
  while (!(await attempt({ environment, settings, outlets, log }))) await pause(BETWEEN_ATTEMPTS);
}

/** @returns whether it is over */
async function attempt({ environment, settings, outlets, log }: Parts): Promise<boolean> {
  const reporting = new Reporting({ settings, outlets, log });
  const service = new Service({ settings, environment, log, observer: {}, reporting, as: 'wait' });
  try {
    await begin(service);
    await service.hosting?.tracker.drain();
    const { madeRun } = serviceFactsIn(service.left) ?? {};
    await removeRemains(service.left);
    const left = await endService({ kind: 'asked', by: 'draining' }, service);
    const { run, waitLog } = pathsBelow(settings.ROOT);
    await rm(waitLog, { force: true });
    if (madeRun) await removeIfEmpty(run);
    reporting.ownInstance();
    await reporting.terminateInstance(left);
    return true;
  } catch (error) {
    const isOver = error instanceof ServiceError && error.code === 'start.locked';
    if (isOver) log.info('another process takes care of this host');
    else log.error({ error }, messageOf(error));
    await service.presence?.leave(error);
    await endService({ kind: 'died', error }, service);
    return isOver;
  } finally {
    await reporting.close();
  }
}

async function begin(service: Service): Promise<void> {
  await service.step('reporting', () => service.openReporting());
  await service.step('lock', () => service.lock());
  await service.step('filesystem', () => service.makeDirectories());
  await service.step('docker', () => service.reachDocker());
  await service.step('user configs', () => service.keepUserConfigs());
  await service.step('containers', () => service.hostContainers());
}

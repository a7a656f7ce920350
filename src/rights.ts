/**
 * Checks the rights over this host that the settings give to operators, so that no operator becomes root by accident.
 */

import { whyNotMountable } from '../container/creation/mountable.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type Paths, pathsBelow } from '../host/paths.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { whyEqualToRoot } from '../ttys/host-user.ts';
import type { Finding } from './doctor/host-checks.ts';

type Given = Pick<Settings, 'ALLOWED_MOUNTS' | 'DOCKER_HOST' | 'HOST_SHELL_AS_ROOT' | 'HOST_SHELL_USER'>;

/** @throws {ServiceError} `start.host_shell`, `start.mounts` */
export async function checkRights(settings: Given, paths: Paths, log: Logger): Promise<void> {
  const why = settings.ALLOWED_MOUNTS.map((path) => whyNotMountable(path, paths)).find(
    (one) => one !== undefined,
  );
  if (why !== undefined) throw new ServiceError('start.mounts', { why });
  const root = await whyShellIsRoot(settings);
  if (root === undefined) return;
  if (!settings.HOST_SHELL_AS_ROOT) throw new ServiceError('start.host_shell', { why: root });
  log.warn({ why: root }, 'operators can become root on this host through its shell');
}

/** The checks for the doctor. @param settings the valid settings */
export async function findRights(settings: Partial<Settings>): Promise<Finding[]> {
  const { ALLOWED_MOUNTS: mounts = [], ROOT = '/', HOST_SHELL_AS_ROOT: isMeant = false } = settings;
  const { DOCKER_HOST = '/var/run/docker.sock', HOST_SHELL_USER } = settings;
  const why = mounts.map((path) => whyNotMountable(path, pathsBelow(ROOT))).find((one) => one !== undefined);
  const root = await whyShellIsRoot({ DOCKER_HOST, HOST_SHELL_USER });
  const isOk = (check: string, found: string): Finding => ({ check, grade: 'ok', found });
  return [
    why === undefined
      ? isOk('allowed mounts', mounts.join(', ') || 'none')
      : { check: 'allowed mounts', grade: 'error', found: why, advice: 'take it out of ALLOWED_MOUNTS' },
    root === undefined
      ? isOk('host shell', HOST_SHELL_USER ?? 'off')
      : {
          check: 'host shell',
          grade: isMeant ? 'warning' : 'error',
          found: `operators become root by it: ${root}`,
          advice: 'set HOST_SHELL_USER to a user without these rights, or remove the setting',
        },
  ];
}

/** @returns undefined also if there is no shell or no such user */
export async function whyShellIsRoot({
  HOST_SHELL_USER: user,
  DOCKER_HOST: socket,
}: Pick<Given, 'DOCKER_HOST' | 'HOST_SHELL_USER'>): Promise<string | undefined> {
  if (user === undefined) return undefined;
  return await whyEqualToRoot(user, socket).catch((error: unknown) => {
    // The error is reported to whoever opens a shell.
    if (error instanceof ServiceError) return undefined;
    throw error;
  });
}

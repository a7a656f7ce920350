/**
 * The user of this host for operators' shells. A user who can become root without a password counts as root and gets no
 * shell, unless the settings allow it.
 */

import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isSystemError, ServiceError } from '../errors/service-error.ts';

const run = promisify(execFile);
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** The C locale, because the output of the programs is parsed. */
const ENV = { PATH, LC_ALL: 'C' };
/** The time limit for a program, in milliseconds. */
const LOOK = 10_000;

/**
 * Members of these groups can become root: they can start containers or virtual machines with the host's disks, read
 * its disks, memory or passwords, or run programs as root.
 */
const GROUPS = [
  ...['root', 'docker', 'lxd', 'incus-admin', 'libvirt', 'disk', 'kmem', 'shadow'],
  ...['sudo', 'wheel', 'admin'],
];

export interface HostUser {
  readonly uid: string;
  readonly gid: string;
  readonly home: string;
  readonly shell: string;
}

/** Source: passwd(5). @throws {ServiceError} `terminal.no_host_shell` */
export async function lookUp(user: string): Promise<HostUser> {
  try {
    const { stdout } = await run('getent', ['passwd', '--', user], { env: ENV });
    const [, , uid = '', gid = '', , home = '/', shell = ''] = stdout.trimEnd().split(':');
    return { uid, gid, home: home || '/', shell: shell || '/bin/sh' };
  } catch (error) {
    throw new ServiceError('terminal.no_host_shell', { why: `it has no user ${user}` }, { cause: error });
  }
}

/**
 * Why the user has root's rights, as far as this can detect.
 * @param socket of the Docker Engine
 * @returns undefined if the user does not have them
 * @throws {ServiceError} `terminal.no_host_shell` when there is no such user
 */
export async function whyEqualToRoot(user: string, socket: string): Promise<string | undefined> {
  const { uid } = await lookUp(user);
  if (Number(uid) === 0) return `${user} is root`;
  const [known, own] = await Promise.all([groupsEqualToRoot(), groupsOf(user)]);
  const found = own.find((id) => known.has(id));
  if (found !== undefined) return `${user} is in the group ${known.get(found)}`;
  if (await canWrite(socket, uid, own)) return `${user} can use Docker at ${socket}`;
  if (await maySudo(user)) return `sudo lets ${user} run programs as somebody else`;
  return undefined;
}

/** The ids of all groups of the user. Source: id(1). */
async function groupsOf(user: string): Promise<string[]> {
  const { stdout } = await run('id', ['-Gz', '--', user], { env: ENV });
  return stdout.split('\0').filter(Boolean);
}

/**
 * Group names by id. Source: getent(1), which fails if one of the groups does not exist, but still prints the others.
 */
async function groupsEqualToRoot(): Promise<Map<string, string>> {
  const stdout = await run('getent', ['group', '--', ...GROUPS], { env: ENV }).then(
    (said) => said.stdout,
    (error: { readonly stdout?: string }) => error.stdout ?? '',
  );
  const lines = stdout.split('\n').map((line) => line.split(':'));
  return new Map([['0', 'root'], ...lines.map(([name = '', , id = '']): [string, string] => [id, name])]);
}

async function canWrite(path: string, uid: string, groups: readonly string[]): Promise<boolean> {
  try {
    const found = await stat(path);
    const isOwner = found.uid === Number(uid) && (found.mode & 0o200) !== 0;
    const isMember = groups.includes(String(found.gid)) && (found.mode & 0o020) !== 0;
    return isOwner || isMember || (found.mode & 0o002) !== 0;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * Whether sudo lets the user run programs. Source: sudo(8).
 * @throws {ServiceError} `terminal.no_host_shell` when sudo does not answer
 */
async function maySudo(user: string): Promise<boolean> {
  try {
    const { stdout } = await run('sudo', ['-n', '-l', '-U', user], { env: ENV, timeout: LOOK });
    return /may run the following commands/.test(stdout);
  } catch (error) {
    // Otherwise sudo is missing, or it denies everything.
    if (!(error as { readonly killed?: boolean }).killed) return false;
    const why = `sudo did not say within ${LOOK / 1000} seconds whether ${user} may use it`;
    throw new ServiceError('terminal.no_host_shell', { why }, { cause: error });
  }
}

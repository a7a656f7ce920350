/**
 * The one control group that a container may write to: its own, in systemd's hierarchy on hosts with cgroup v1. A
 * systemd in the container needs it, and it gives no access to devices. All other control groups that Docker shows are
 * read-only and the container's own.
 *
 * The name of the group contains the docker id, which is unknown before the create call. So Docker binds a path in the
 * container's own directory, and a link at that path is set before the container starts.
 */

import { execFile } from 'node:child_process';
import { mkdir, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { exists, holdOwnDirectory, seenGone } from '../host/directories.ts';
import type { Entry } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { CreateBody } from './creation/create-body.ts';
import { WRITABLE_CGROUP } from './host-paths.ts';

const KIND = 'control group';
/** Milliseconds before another attempt to remove a group whose processes are still exiting. */
const PAUSE = 50;

/** @returns the path for Docker to bind; undefined if the host has no such hierarchy */
export async function holdCgroupPath(lifetime: Lifetime, own: string): Promise<string | undefined> {
  if (!(await exists(join(WRITABLE_CGROUP, 'cgroup.procs')))) return undefined;
  const path = pathIn(own);
  await holdOwnDirectory(lifetime, { path, mode: 0o700 });
  return path;
}

function pathIn(own: string): string {
  return join(own, 'cgroup');
}

/**
 * The path of a container's own group. Source: the drivers of Docker and runc; systemd.slice(5).
 * @param hierarchy the root of the groups
 * @param driver Docker's: `cgroupfs` or `systemd`
 * @param parent as in the create body; '': Docker's default
 */
export function cgroupOf(hierarchy: string, driver: string, parent: string, dockerId: DockerId): string {
  // The path stays within the hierarchy, because `..` ends at its root.
  if (driver !== 'systemd') return join(hierarchy, join('/', parent || 'docker'), dockerId);
  const slice = parent || 'system.slice';
  const words = slice.replace(/\.slice$/, '').split('-');
  const slices = words.map((_, i) => `${words.slice(0, i + 1).join('-')}.slice`);
  return join(hierarchy, join('/', ...slices), `docker-${dockerId}.scope`);
}

/**
 * Creates the container's group, if its body mounts the path, and sets the link to it. The group and everything that
 * the container created in it are removed when the lifetime ends.
 * @param path what `holdCgroupPath` returned
 */
export async function holdCgroup(
  lifetime: Lifetime,
  path: string,
  { HostConfig: host }: CreateBody,
  driver: string,
  dockerId: DockerId,
): Promise<void> {
  if (!host?.Mounts?.some(({ Source }) => Source === path)) return;
  const parent = typeof host.CgroupParent === 'string' ? host.CgroupParent : '';
  const group = cgroupOf(WRITABLE_CGROUP, driver, parent, dockerId);
  await hold(lifetime, group, async () => {
    await mkdir(group, { recursive: true });
    await rmdir(path);
    await symlink(group, path);
  });
}

/** Holds the path and the group of a container that an earlier service left. */
export async function adoptCgroup(lifetime: Lifetime, own: string, group: string | undefined): Promise<void> {
  const path = pathIn(own);
  if (await exists(path)) await holdOwnDirectory(lifetime, { path, mode: 0o700, isLeft: true });
  if (group !== undefined) await hold(lifetime, group, async () => {});
}

async function hold(lifetime: Lifetime, group: string, take: () => Promise<void>): Promise<void> {
  await lifetime.acquire({
    kind: KIND,
    what: group,
    take,
    release: (_, signal) => removeCgroup(group, signal),
    seenGone: () => seenGone(group),
    deadline: 60_000,
  });
}

/** The group in a page of the ledger. */
export function cgroupIn(entries: readonly Entry[]): string | undefined {
  return entries.find(({ kind }) => kind === KIND)?.what;
}

/**
 * Removes one level at a time from the innermost, because a container can nest groups until the path is too long for
 * the kernel.
 */
export async function removeCgroup(group: string, signal: AbortSignal): Promise<void> {
  const { PATH } = process.env;
  const words = [group, '-depth', '-type', 'd', '-delete'];
  while (await exists(group)) {
    await promisify(execFile)('find', words, { env: { PATH }, signal }).catch(() => {});
    if (await exists(group)) await pause(PAUSE, undefined, { signal });
  }
}

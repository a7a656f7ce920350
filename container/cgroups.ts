/**
 * The one control group that a container may write: its own, in the hierarchy of systemd's on hosts with cgroup v1. A
 * systemd inside needs it, and it gives no right to a device. All else Docker shows of control groups is the
 * container's own and read-only.
 *
 * Its name has in it what Docker calls the container, which is known too late for the create call. So Docker is told a
 * path in the container's own directory, and a link takes that path before the container is started.
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
/** Milliseconds before a group that processes are still leaving is removed again. */
const PAUSE = 50;

/** @returns what Docker is to bind; undefined where the host has no such hierarchy */
export async function holdCgroupPath(lifetime: Lifetime, own: string): Promise<string | undefined> {
  if (!(await exists(join(WRITABLE_CGROUP, 'cgroup.procs')))) return undefined;
  const path = join(own, 'cgroup');
  await holdOwnDirectory(lifetime, { path, mode: 0o700 });
  return path;
}

/**
 * A container's own group. Source: Docker's and runc's drivers; systemd.slice(5).
 * @param hierarchy where groups are made
 * @param driver Docker's: `cgroupfs` or `systemd`
 * @param parent as the create body has it; '': Docker's default
 */
export function cgroupOf(hierarchy: string, driver: string, parent: string, dockerId: DockerId): string {
  // None leads out of the hierarchy: `..` ends at its root.
  if (driver !== 'systemd') return join(hierarchy, join('/', parent || 'docker'), dockerId);
  const slice = parent || 'system.slice';
  const words = slice.replace(/\.slice$/, '').split('-');
  const slices = words.map((_, i) => `${words.slice(0, i + 1).join('-')}.slice`);
  return join(hierarchy, join('/', ...slices), `docker-${dockerId}.scope`);
}

/**
 * Makes the container's group, if its body mounts the path, and lets the path lead to it. The group goes, with all that
 * the container made in it, when the lifetime ends.
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

/** Holds the group of a container that a dead service left. */
export async function adoptCgroup(lifetime: Lifetime, group: string): Promise<void> {
  await hold(lifetime, group, async () => {});
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

/** The group that a page of the ledger names. */
export function cgroupIn(entries: readonly Entry[]): string | undefined {
  return entries.find(({ kind }) => kind === KIND)?.what;
}

/** Step by step from the innermost: a container can nest groups until their path is longer than the kernel takes. */
export async function removeCgroup(group: string, signal: AbortSignal): Promise<void> {
  const { PATH } = process.env;
  const words = [group, '-depth', '-type', 'd', '-delete'];
  while (await exists(group)) {
    await promisify(execFile)('find', words, { env: { PATH }, signal }).catch(() => {});
    if (await exists(group)) await pause(PAUSE, undefined, { signal });
  }
}

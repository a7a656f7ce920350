/**
 * Denies a container the host's console (5:1) and limits its pseudo-terminals, of which the kernel has one total for
 * all containers. Docker's device rules allow both in every container and cannot be changed. The seccomp profile
 * prevents programs from creating the console's device node, but an image or an archive can contain one.
 *
 * Access must be denied before the container's program runs, and after runc has checked that the device rules are as it
 * set them. In between, runc's own process has entered the container's filesystem and waits to start the program.
 */

import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { denyDevice } from '../uinput-native/device-denial.ts';
import { limitTerminals } from '../uinput-native/terminal-limit.ts';
import { cgroupOf } from './cgroups.ts';
import { CGROUPS } from './host-paths.ts';
import type { Surroundings } from './surroundings.ts';

/** The hierarchy that controls devices, on hosts with cgroup v1. */
const DEVICES = join(CGROUPS, 'devices');
/** Milliseconds between checks while Docker starts the container, and between checks if the kernel also reports changes. */
const BETWEEN = 2;
const BETWEEN_SURE = 20;
/**
 * The maximum of pseudo-terminals for a container. The kernel has 4096 in all and reserves 1024 of them for the host.
 */
const MOST_TERMINALS = 256;

/**
 * @param run makes Docker start it
 * @throws {ServiceError} `confinement.*`, when it runs but still has the console or unlimited terminals
 */
export async function startWithoutConsole(
  { docker, cgroupDriver }: Pick<Surroundings, 'docker' | 'cgroupDriver'>,
  { id, cgroupParent }: { readonly id: DockerId; readonly cgroupParent: string },
  run: (id: DockerId) => Promise<void>,
): Promise<void> {
  const started = new AbortController();
  const hierarchy = existsSync(DEVICES) ? DEVICES : CGROUPS;
  const taken = takeEarly(cgroupOf(hierarchy, cgroupDriver, cgroupParent, id), started.signal);
  taken.catch(() => {});
  await run(id).finally(() => started.abort());
  if (await taken.catch(() => false)) return;
  // Docker may be configured to create control groups elsewhere.
  const pid = (await docker.inspect(id))?.pid;
  const found = pid ? groupOf(pid) : undefined;
  if (pid && found !== undefined) take(found, pid);
}

/** @returns whether access was denied before `started` aborted */
async function takeEarly(group: string, started: AbortSignal): Promise<boolean> {
  await whenThere(group, started);
  for (; !started.aborted; await pause(BETWEEN)) {
    const pid = enteredBy(group);
    if (pid === undefined) continue;
    take(group, pid);
    return true;
  }
  return false;
}

/**
 * Resolves when the group exists, or `started` aborts. Many containers may wait for Docker for seconds, so this does not
 * look every few milliseconds if the kernel can tell.
 */
async function whenThere(group: string, started: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (started.aborted || existsSync(group)) resolve();
  };
  const parent = dirname(group);
  const watcher = existsSync(parent) ? watch(parent, look).on('error', look) : undefined;
  const timer = setInterval(look, watcher ? BETWEEN_SURE : BETWEEN);
  started.addEventListener('abort', look);
  look();
  await promise;
  clearInterval(timer);
  watcher?.close();
}

/** A process in the group that sees another filesystem than this service; undefined if there is none. */
function enteredBy(group: string): number | undefined {
  try {
    const [pid] = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n');
    return pid && rootOf(pid) !== rootOf('self') ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Source: proc_pid_mountinfo(5). */
function rootOf(pid: string): string | undefined {
  const [, device, root] = / (\d+:\d+) (\S+) \/ /.exec(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')) ?? [];
  return device && `${device} ${root}`;
}

/** @returns undefined if the process has ended */
function groupOf(pid: number): string | undefined {
  const isVersion1 = existsSync(DEVICES);
  try {
    const text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    const [, path] = (isVersion1 ? /^\d+:devices:(.*)$/m : /^0::(.*)$/m).exec(text) ?? [];
    return path && join(isVersion1 ? DEVICES : CGROUPS, path);
  } catch {
    return undefined;
  }
}

function take(group: string, pid: number): void {
  takeConsole(group);
  takeTerminals(pid);
}

function takeTerminals(pid: number): void {
  try {
    limitTerminals(pid, MOST_TERMINALS);
  } catch (error) {
    // The container has no terminals of its own, or has exited; or the kernel is older than 5.6 and has no such limit.
    const isNothing = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ESRCH', 'ENOSYS'].some((code) =>
      isSystemError(error, code),
    );
    if (!isNothing)
      throw new ServiceError('confinement.terminals', { why: messageOf(error) }, { cause: error });
  }
}

function takeConsole(group: string): void {
  try {
    if (existsSync(join(group, 'devices.deny'))) writeFileSync(join(group, 'devices.deny'), 'c 5:1 rwm');
    else denyDevice(group, 5, 1);
  } catch (error) {
    // A group disappears with its last process, and before that it refuses changes.
    if (existsSync(group) && !isSystemError(error, 'ENODEV'))
      throw new ServiceError('confinement.console', { why: messageOf(error) }, { cause: error });
  }
}

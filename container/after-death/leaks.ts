/**
 * Compares what the ledger, Docker, the filesystem and the kernel know about the resources of this host's containers. A
 * difference is a leak or was caused by another program; it is reported either way.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, mountsBelow } from '../../host/directories.ts';
import type { Paths } from '../../host/paths.ts';
import type { Page } from '../../lifetime/ledger.ts';
import { DEVICES } from '../../uinput-native/descriptions.ts';
import { readRecord } from '../../user-configs/session.ts';
import { directoriesOf } from '../directories.ts';
import type { ContainerFacts, MadeDevice } from '../facts.ts';
import type { Hosted } from '../hosted-docker.ts';
import { isContainerId } from '../identity.ts';
import { isLeftToMaker } from '../labels.ts';
import { isPortFree, type Protocol } from '../network/host-ports.ts';

const INPUT = '/sys/devices/virtual/input';

/** The state of this host at one moment. */
export interface Sight {
  /** The pages of the ledger. */
  readonly pages: readonly Page[];
  /** Docker's containers with this host's label. */
  readonly listed: readonly Hosted[];
  /** The container ids after which directories are named. */
  readonly directories: readonly string[];
  /** Those directories that contain unsaved files of a user. */
  readonly unsaved: readonly string[];
  /** Mount points below the containers' directories. */
  readonly mounts: readonly string[];
  /** The sysfs names of kernel devices with the names of this service's devices. */
  readonly devices: readonly string[];
  /** Paths that the ledger names but that do not exist. */
  readonly missing: readonly string[];
  /** Ports that the ledger assigns to running containers but on which nothing listens, such as `tcp 32262`. */
  readonly idle: readonly string[];
}

/** @returns the differences, one line each */
export function compare(sight: Sight): string[] {
  const { pages, listed, directories, unsaved, mounts, devices, missing, idle } = sight;
  const ids = new Set(pages.map(({ name }) => name).filter(isContainerId));
  const known = new Set(pages.flatMap(devicesOf).map(({ sysname }) => sysname));
  const isPreparing = pages.some((page) => isContainerId(page.name) && !page.facts);
  const unnamed = devices.filter((sysname) => !known.has(sysname));
  return [
    ...listed
      .filter(({ containerId }) => !containerId || !ids.has(containerId))
      .filter(({ role, state }) => !isLeftToMaker(role, state))
      .map(({ dockerId }) => `Docker has the container ${dockerId}, the ledger does not`),
    ...pages
      .filter((page) => !isInDocker(page, listed))
      .map(({ name }) => `the ledger has the container ${name}, Docker does not`),
    ...directories
      .filter((id) => !ids.has(id as never))
      .map(
        (id) =>
          `there is a directory of ${id}, which is not in the ledger${unsaved.includes(id) ? '; it has unsaved files of a user, which the next start saves' : ''}`,
      ),
    ...mounts.map((point) => `something is mounted at ${point}`),
    ...missing.map((path) => `the ledger has ${path}, which is not there`),
    ...idle.map((port) => `the ledger has the port ${port} of a running container, and nobody listens there`),
    // Containers that are being created are in the ledger before they have names.
    ...(isPreparing
      ? []
      : unnamed.map((sysname) => `the kernel has the input device ${sysname}, the ledger does not`)),
    ...[...known]
      .filter((sysname) => !devices.includes(sysname))
      .map((sysname) => `the ledger has the input device ${sysname}, the kernel does not`),
  ];
}

/** Collects the state of this host. */
export async function look(pages: readonly Page[], listed: readonly Hosted[], paths: Paths): Promise<Sight> {
  const directories = await directoriesIn(paths);
  const unsaved = await filter(
    directories,
    async (id) => (await readRecord(directoriesOf(paths, id).own)) !== undefined,
  );
  const named = pages
    .flatMap(({ entries }) => entries)
    .filter(({ kind }) => ['directory', 'device link', 'descriptor socket'].includes(kind));
  const missing = await filter(
    named.map(({ what }) => what),
    async (path) => !(await exists(path)),
  );
  const running = pages.filter((page) =>
    listed.some(({ dockerId, state }) => state === 'running' && dockerId === factsOf(page).dockerId),
  );
  const ports = running.flatMap(({ entries }) => entries).filter(({ kind }) => kind === 'port');
  const idle = await filter(
    ports.map(({ what }) => what),
    async (what) => {
      const [protocol, port] = what.split(' ');
      return await isPortFree(protocol as Protocol, Number(port));
    },
  );
  return {
    pages,
    listed,
    directories,
    unsaved,
    // The directory itself may be a mount point, if it is on its own disk.
    mounts: (await mountsBelow(paths.containers)).filter((point) => point !== paths.containers),
    devices: await ourDevices(),
    missing,
    idle,
  };
}

/** The input devices that still exist. Docker's container may outlive them. */
function devicesOf(page: Page): readonly MadeDevice[] {
  const isHeld = page.entries.some(({ kind }) => kind === 'input devices');
  return (isHeld && factsOf(page).devices) || [];
}

function factsOf({ facts }: Page): Partial<ContainerFacts> {
  return facts ?? {};
}

/** Includes containers that Docker has yet to create. */
function isInDocker(page: Page, listed: readonly Hosted[]): boolean {
  const { dockerId } = factsOf(page);
  return !dockerId || listed.some((one) => one.dockerId === dockerId);
}

async function directoriesIn(paths: Paths): Promise<string[]> {
  const names = await Promise.all(
    [paths.containers, paths.temporary].map(async (path) =>
      (await exists(path)) ? await readdir(path) : [],
    ),
  );
  return [...new Set(names.flat())].filter(isContainerId);
}

async function ourDevices(): Promise<string[]> {
  const ours = new Set(DEVICES.map(({ name }) => name));
  const names = await readdir(INPUT).catch(() => []);
  return await filter(names, async (sysname) => {
    const name = await readFile(join(INPUT, sysname, 'name'), 'utf8').catch(() => '');
    return ours.has(name.trim());
  });
}

async function filter<T>(all: readonly T[], holds: (one: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(all.map(holds));
  return all.filter((_, i) => kept[i]);
}

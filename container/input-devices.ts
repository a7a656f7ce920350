/** The input devices of one container: creates them, offers them to its programs, and removes them at its end. */

import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../docker-engine/docker.ts';
import { messageOf } from '../errors/service-error.ts';
import { removeTree, seenGone } from '../host/directories.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { DEVICES } from '../uinput-native/descriptions.ts';
import { DescriptorSocket } from '../uinput-native/descriptor-socket.ts';
import { EventNumbers } from '../uinput-native/event-numbers.ts';
import {
  destroyInputDevice,
  type InputDevice,
  makeInputDevices,
  seenDestroyed,
} from '../uinput-native/input-device.ts';
import type { DeviceMapping } from './creation/create-body.ts';
import type { ContainerDirectories } from './directories.ts';
import type { MadeDevice } from './facts.ts';

const HOLDING = { kind: 'input devices', what: DEVICES.map(({ what }) => what).join(', ') };
/** Milliseconds between checks whether a device is gone. */
const BETWEEN_LOOKS = 20;

/** The name in /tmp/sockets that programs in the images connect to. */
const SOCKET = 'uinput.sock';

/**
 * Creates the devices together and holds them until the lifetime ends, when the container is proven gone.
 * @param numbers undefined if containers get no input devices
 * @returns the devices in the order of the hand-over
 * @throws {ServiceError} `input.failed`
 */
export async function holdInputDevices(
  lifetime: Lifetime,
  numbers: EventNumbers | undefined,
): Promise<InputDevice[]> {
  if (!numbers) return [];
  return await lifetime.acquire({
    ...HOLDING,
    take: (signal) => makeInputDevices(DEVICES, numbers, signal),
    release: (made) => Promise.all(made.map(destroyInputDevice)),
    seenGone: async (made) => {
      const seen = await Promise.all(made.map(({ device }) => seenDestroyed(device.sysname)));
      for (const { number } of made) numbers.release(number);
      return seen.join('; ');
    },
  });
}

/**
 * Holds the devices of a container that a crashed service left. Only the container's programs have the descriptors now.
 * When the last one is closed, the kernel removes the devices.
 */
export async function adoptInputDevices(
  lifetime: Lifetime,
  directories: ContainerDirectories,
  numbers: EventNumbers | undefined,
  devices: readonly MadeDevice[],
): Promise<void> {
  if (devices.length === 0) return;
  await lifetime.acquire({
    ...HOLDING,
    take: () => {
      for (const { number } of devices) numbers?.adopt(number);
    },
    release: () => {},
    seenGone: async (_, signal) => {
      const seen = await Promise.all(devices.map(({ sysname }) => untilGone(sysname, signal)));
      for (const { number } of devices) numbers?.release(number);
      return seen.join('; ');
    },
  });
  await holdSocketFile(lifetime, directories.sockets);
  for (const { number } of devices) await holdLink(lifetime, directories.own, number, true);
}

async function untilGone(sysname: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    const why = await seenDestroyed(sysname).catch((error: unknown) => ({ error }));
    if (typeof why === 'string') return why;
    await pause(BETWEEN_LOOKS, undefined, { signal });
  }
}

/**
 * Listens for the container's programs.
 * @returns the device mappings for Docker. Docker resolves them through links, which are removed before the devices. So
 * a container that is started again after its end gets no other container's devices.
 */
export async function offerInputDevices(
  lifetime: Lifetime,
  directories: ContainerDirectories,
  devices: readonly InputDevice[],
  log: Logger,
): Promise<DeviceMapping[]> {
  if (devices.length === 0) return [];
  await holdSocket(lifetime, directories.sockets, devices, log);
  return await Promise.all(devices.map(({ number }) => holdLink(lifetime, directories.own, number)));
}

async function holdLink(
  lifetime: Lifetime,
  directory: string,
  number: number,
  isLeft = false,
): Promise<DeviceMapping> {
  const node = `/dev/input/event${number}`;
  const link = join(directory, `event${number}`);
  await lifetime.acquire({
    kind: 'device link',
    what: link,
    take: () => (isLeft ? undefined : symlink(node, link)),
    release: () => rm(link, { force: true }),
    seenGone: () => seenGone(link),
  });
  return { PathOnHost: link, PathInContainer: node, CgroupPermissions: 'rwm' };
}

async function holdSocket(
  lifetime: Lifetime,
  directory: string,
  devices: readonly InputDevice[],
  log: Logger,
): Promise<void> {
  await holdSocketFile(
    lifetime,
    directory,
    () =>
      new DescriptorSocket({
        directory,
        name: SOCKET,
        descriptors: devices.map(({ device }) => device.fd),
        onHandOver: (count) => {
          // The container decides how often this happens, so it must not be able to fill the log.
          const level = count === 1 ? 'info' : 'trace';
          log[level]({ count }, 'handed its input devices over');
        },
        onTrouble: (error) => {
          log.error({ error }, `cannot hand over its input devices yet: ${messageOf(error)}`);
        },
      }),
  );
}

/** @param listen missing: nothing listens any more */
async function holdSocketFile(
  lifetime: Lifetime,
  directory: string,
  listen?: () => DescriptorSocket,
): Promise<void> {
  const path = join(directory, SOCKET);
  await lifetime.acquire({
    kind: 'descriptor socket',
    what: path,
    take: () => listen?.(),
    leave: (socket) => socket?.close(),
    release: async (socket) => {
      socket?.close();
      await removeTree(path);
    },
    seenGone: () => seenGone(path),
    // The container may have put a large tree at this path.
    deadline: 60_000,
  });
}

/** Also considers the nodes of /dev/input that are mapped into containers that this service does not host. */
export async function readEventNumbers(docker: Docker): Promise<EventNumbers> {
  const lists = await docker.deviceLists();
  return new EventNumbers(async (number) => {
    const has = new RegExp(`/event${number}$`);
    const holders = lists.filter(({ paths }) => paths.some((path) => has.test(path)));
    const living = await Promise.all(holders.map(({ dockerId }) => docker.inspect(dockerId)));
    return living.some((found) => found !== undefined && !['exited', 'dead'].includes(found.status));
  });
}

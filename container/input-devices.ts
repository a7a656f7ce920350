/** The input devices of one container: creates them, offers them to its programs, and removes them at its end. */

import { closeSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../docker-engine/docker.ts';
import { messageOf } from '../errors/service-error.ts';
import { removeTree, seenGone } from '../host/directories.ts';
import type { Descriptors } from '../lifetime/descriptors.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { DEVICES } from '../uinput-native/descriptions.ts';
import { DescriptorSocket } from '../uinput-native/descriptor-socket.ts';
import { EventNumbers } from '../uinput-native/event-numbers.ts';
import {
  adoptInputDevice,
  destroyInputDevice,
  type InputDevice,
  makeInputDevices,
  seenDestroyed,
} from '../uinput-native/input-device.ts';
import type { DeviceMapping } from './creation/create-body.ts';
import type { ContainerDirectories } from './directories.ts';
import type { MadeDevice } from './facts.ts';
import type { ContainerId } from './identity.ts';

const HOLDING = { kind: 'input devices', what: DEVICES.map(({ what }) => what).join(', ') };
/** Milliseconds between checks whether a device is gone. */
const BETWEEN_LOOKS = 20;

/** The name in /tmp/sockets that programs in the images connect to. */
const SOCKET = 'uinput.sock';

/** How its devices and their socket outlive the service in a hand-over. */
export interface DevicesPassing {
  readonly descriptors: Descriptors;
  readonly id: ContainerId;
}

/** The digits of the container id that name its descriptors. They are enough to be unique. */
const DIGITS = 16;

function nameOf({ id }: DevicesPassing, what: string | number): string {
  return `container-${id.slice(0, DIGITS)}-${what}`;
}

/**
 * Creates the devices together and holds them until the lifetime ends, when the container is proven gone.
 * @param numbers undefined if containers get no input devices
 * @returns the devices in the order of the hand-over
 * @throws {ServiceError} `input.failed`
 */
export async function holdInputDevices(
  lifetime: Lifetime,
  numbers: EventNumbers | undefined,
  passing: DevicesPassing,
): Promise<InputDevice[]> {
  if (!numbers) return [];
  return await hold(lifetime, numbers, passing, (signal) => makeInputDevices(DEVICES, numbers, signal));
}

async function hold(
  lifetime: Lifetime,
  numbers: EventNumbers | undefined,
  passing: DevicesPassing,
  take: (signal: AbortSignal) => InputDevice[] | Promise<InputDevice[]>,
): Promise<InputDevice[]> {
  const { descriptors } = passing;
  const devices = await lifetime.acquire({
    ...HOLDING,
    take,
    release: async (made) => {
      for (const i of made.keys()) descriptors.withdraw(nameOf(passing, i));
      await Promise.all(made.map(destroyInputDevice));
    },
    seenGone: async (made) => {
      const seen = await Promise.all(made.map(({ device }) => seenDestroyed(device.sysname)));
      for (const { number } of made) numbers?.release(number);
      return seen.join('; ');
    },
  });
  for (const [i, { device }] of devices.entries()) descriptors.offer(nameOf(passing, i), device.fd);
  return devices;
}

/** What `adoptInputDevices` needs. */
export interface LeftDevices {
  readonly directories: ContainerDirectories;
  readonly numbers: EventNumbers | undefined;
  readonly devices: readonly MadeDevice[];
  readonly passing: DevicesPassing;
  readonly log: Logger;
}

/**
 * Holds the devices of a container that another service left, and offers them to its programs as before. If that service
 * crashed, only the programs have the descriptors. When the last one is closed, the kernel removes the devices.
 */
export async function adoptInputDevices(lifetime: Lifetime, left: LeftDevices): Promise<void> {
  const { directories, numbers, devices, passing, log } = left;
  if (devices.length === 0) return;
  const passed = takePassed(left);
  if (passed) {
    for (const { number } of devices) numbers?.adopt(number);
    const held = await hold(lifetime, numbers, passing, () => passed);
    await holdSocket(lifetime, { directory: directories.sockets, devices: held, passing, log });
  } else await holdWithoutDescriptors(lifetime, left);
  for (const { number } of devices) await holdLink(lifetime, directories.own, number, true);
}

/** @returns undefined unless the previous service has passed on all of them */
function takePassed({ devices, passing, log }: LeftDevices): InputDevice[] | undefined {
  const taken = devices.map((_, i) => passing.descriptors.take(nameOf(passing, i)));
  const received = taken.filter((descriptor) => descriptor !== undefined);
  if (received.length === 0) return undefined;
  try {
    if (received.length < devices.length) throw new Error('some of them are missing');
    return devices.map((made, i) => adoptInputDevice(received[i] as number, made));
  } catch (error) {
    log.error({ error }, `the previous service has not passed on its input devices: ${messageOf(error)}`);
    for (const descriptor of received) closeSync(descriptor);
    return undefined;
  }
}

async function holdWithoutDescriptors(
  lifetime: Lifetime,
  { directories, numbers, devices }: LeftDevices,
): Promise<void> {
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
  { passing, log }: Pick<LeftDevices, 'passing' | 'log'>,
): Promise<DeviceMapping[]> {
  if (devices.length === 0) return [];
  await holdSocket(lifetime, { directory: directories.sockets, devices, passing, log });
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

interface Offered {
  readonly directory: string;
  readonly devices: readonly InputDevice[];
  readonly passing: DevicesPassing;
  readonly log: Logger;
}

async function holdSocket(lifetime: Lifetime, { directory, devices, passing, log }: Offered): Promise<void> {
  const { descriptors } = passing;
  const socket = await holdSocketFile(
    lifetime,
    directory,
    () =>
      new DescriptorSocket({
        directory,
        name: SOCKET,
        listening: descriptors.take(nameOf(passing, 'socket')),
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
    () => descriptors.withdraw(nameOf(passing, 'socket')),
  );
  if (socket) descriptors.offer(nameOf(passing, 'socket'), socket.fd);
}

/** @param listen missing: nothing listens any more @param closing called before the socket is closed for good */
async function holdSocketFile(
  lifetime: Lifetime,
  directory: string,
  listen?: () => DescriptorSocket,
  closing?: () => void,
): Promise<DescriptorSocket | undefined> {
  const path = join(directory, SOCKET);
  return await lifetime.acquire({
    kind: 'descriptor socket',
    what: path,
    take: () => listen?.(),
    leave: (socket) => socket?.close(),
    release: async (socket) => {
      closing?.();
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

/**
 * Makes one virtual input device and waits until it can be used: its node is there, udev has recorded it, and
 * nobody else may open it.
 */

import { watch } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import { addon, type Device } from './addon.ts';
import { AXIS_MAXIMUM, type DeviceDescription } from './descriptions.ts';
import type { EventNumbers } from './event-numbers.ts';

export const UINPUT = '/dev/uinput';
/** Where udev keeps what it knows of each device. Source: sd-device's db, `c<major>:<minor>`. */
export const RECORDS = '/run/udev/data';

/** Milliseconds that udev gets to record a new device. */
const PATIENCE = 10_000;
/** Devices that are made before it is given up to find a number that nobody else may open. */
const ATTEMPTS = 64;

export interface InputDevice {
  readonly device: Device;
  /** N of /dev/input/eventN. */
  readonly number: number;
}

/**
 * @param numbers those that living containers may open; the device's own is claimed there
 * @throws {ServiceError} `input.failed`; nothing is left then
 */
export async function makeInputDevice(
  description: DeviceDescription,
  numbers: EventNumbers,
  signal: AbortSignal,
): Promise<InputDevice> {
  // Each keeps its number from the ones made after it.
  const parked: Device[] = [];
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const made = await makeUsable(description, signal);
      if (await claim(made, numbers)) return made;
      parked.push(made.device);
    }
    throw new Error(`living containers may open each of ${ATTEMPTS} numbers that the kernel gave`);
  } catch (error) {
    if (signal.aborted) throw error;
    const { what } = description;
    throw new ServiceError('input.failed', { what, why: messageOf(error) }, { cause: error });
  } finally {
    await Promise.all(parked.map((device) => addon().destroyDevice(device)));
  }
}

async function claim({ device, number }: InputDevice, numbers: EventNumbers): Promise<boolean> {
  try {
    return await numbers.claim(number);
  } catch (error) {
    await addon().destroyDevice(device);
    throw error;
  }
}

/** Releases what makeInputDevice made; its number stays claimed. */
export async function destroyInputDevice({ device }: InputDevice): Promise<void> {
  await addon().destroyDevice(device);
}

/** @returns how it was seen @throws {ServiceError} `still.there` */
export async function seenDestroyed({ device }: InputDevice): Promise<string> {
  const path = sysfsPath(device);
  try {
    await access(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return `${path} is not there any more`;
    throw error;
  }
  throw new ServiceError('still.there', { what: path, why: 'the kernel has not removed it' });
}

async function makeUsable(description: DeviceDescription, signal: AbortSignal): Promise<InputDevice> {
  const beginning = process.hrtime.bigint() / 1000n;
  const device = await createDevice(description);
  try {
    const number = await withDeadline(PATIENCE, 'udev: recording the device', (late) =>
      untilRecorded(device, beginning, AbortSignal.any([signal, late])),
    );
    return { device, number };
  } catch (error) {
    await addon().destroyDevice(device);
    throw error;
  }
}

/** Creates it in the kernel, which does not mean that it can be used. */
export async function createDevice({ name, ids, bits }: DeviceDescription): Promise<Device> {
  const pairs = bits.flatMap(([type, codes]) => codes.flatMap((code) => [type, code]));
  return await addon().createDevice(
    UINPUT,
    name,
    Uint16Array.from(ids),
    AXIS_MAXIMUM,
    Uint16Array.from(pairs),
  );
}

/** Looks again whenever udev has written something. @returns its event number */
async function untilRecorded(device: Device, since: bigint, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const look = async () => {
    const number = await eventNumber(device);
    if (number !== undefined && (await isRecorded(number, since))) resolve(number);
  };
  const watcher = watch(RECORDS, { persistent: false }, () => void look().catch(reject));
  watcher.on('error', reject);
  try {
    await look();
    return await unlessAborted(promise, signal);
  } finally {
    watcher.close();
  }
}

function sysfsPath({ sysname }: Device): string {
  return `/sys/devices/virtual/input/${sysname}`;
}

/** @returns undefined as long as the kernel's evdev has not taken it up */
async function eventNumber(device: Device): Promise<number | undefined> {
  const names = await readdir(sysfsPath(device));
  const found = names.map((name) => /^event(\d+)$/.exec(name)?.[1]).find(Boolean);
  return found === undefined ? undefined : Number(found);
}

/** A record may still be that of the last device with this number: the time in it tells. */
async function isRecorded(number: number, since: bigint): Promise<boolean> {
  try {
    await access(`/dev/input/event${number}`);
    const node = (await readFile(`/sys/class/input/event${number}/dev`, 'utf8')).trim();
    const record = await readFile(`${RECORDS}/c${node}`, 'utf8');
    const initialised = /^I:(\d+)$/m.exec(record)?.[1];
    return initialised !== undefined && BigInt(initialised) >= since;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

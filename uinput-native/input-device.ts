/**
 * Creates virtual input devices and waits until they are usable: their nodes exist, udev has recorded them, and no
 * other container may open them. What it reads is in the memory of the kernel, so it reads without waiting for a thread,
 * which would take several times as long.
 */

import { accessSync, readdirSync, readFileSync, watch } from 'node:fs';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import { addon, type Device } from './addon.ts';
import { AXIS_MAXIMUM, type DeviceDescription } from './descriptions.ts';
import type { EventNumbers } from './event-numbers.ts';

export const UINPUT = '/dev/uinput';
/**
 * Udev's database of devices, one file `c<major>:<minor>` each. The line `I:` has the microseconds since boot. Source:
 * sd-device.
 */
export const RECORDS = '/run/udev/data';

/** The time limit for udev to record a new device, in milliseconds. */
const PATIENCE = 10_000;
/** How many devices are created in search of a number that no other container may open. */
const ATTEMPTS = 64;

/**
 * The first minor number that the kernel assigns to nodes of any kind. Source: the kernel's INPUT_FIRST_DYNAMIC_DEV.
 */
const FIRST_SHARED = 256;

export interface InputDevice {
  readonly device: Device;
  /** N of /dev/input/eventN. */
  readonly number: number;
  destroyed?: Promise<void>;
}

/**
 * Creates devices together.
 * @param numbers the numbers that running containers may open; the devices' own are claimed there
 * @returns the devices in the order of the descriptions
 * @throws {ServiceError} `input.failed`; no device is left then
 */
export async function makeInputDevices(
  descriptions: readonly DeviceDescription[],
  numbers: EventNumbers,
  signal: AbortSignal,
): Promise<InputDevice[]> {
  const making = new Making(numbers, signal);
  try {
    return await making.makeAll(descriptions);
  } catch (error) {
    await making.undo();
    if (signal.aborted) throw error;
    const what = descriptions.map((one) => one.what).join(', ');
    throw new ServiceError('input.failed', { what, why: messageOf(error) }, { cause: error });
  } finally {
    await making.destroyParked();
  }
}

class Making {
  readonly #numbers: EventNumbers;
  readonly #signal: AbortSignal;
  readonly #made: InputDevice[] = [];
  /** Devices with unusable numbers. They keep their numbers occupied until the search is over. */
  readonly #parked = new Set<Device>();

  constructor(numbers: EventNumbers, signal: AbortSignal) {
    this.#numbers = numbers;
    this.#signal = signal;
  }

  async makeAll(descriptions: readonly DeviceDescription[]): Promise<InputDevice[]> {
    const since = now();
    const devices = await this.#create(descriptions);
    const made = descriptions.map((one, i) => this.#make(one, devices[i] as Device, since));
    // All creations must be settled before any device is destroyed.
    await Promise.allSettled(made);
    return await Promise.all(made);
  }

  async undo(): Promise<void> {
    await Promise.allSettled(this.#made.map(destroyInputDevice));
    for (const { number } of this.#made) this.#numbers.release(number);
  }

  /** A failure here must not lose the devices that were created. */
  async destroyParked(): Promise<void> {
    await Promise.allSettled([...this.#parked].map((device) => addon().destroyDevice(device)));
  }

  async #create(descriptions: readonly DeviceDescription[]): Promise<Device[]> {
    const devices = await createDevices(descriptions);
    for (const device of devices) this.#parked.add(device);
    return devices;
  }

  async #make(description: DeviceDescription, first: Device, firstSince: bigint): Promise<InputDevice> {
    let [device, since] = [first, firstSince];
    for (let attempt = 1; ; attempt++) {
      const made = { device, number: await whenUsable(device, since, this.#signal) };
      if (await this.#numbers.claim(made.number, otherNumbers(device))) return this.#keep(made);
      if (attempt === ATTEMPTS) break;
      since = now();
      [device] = (await this.#create([description])) as [Device];
    }
    throw new Error(
      `running containers may open each of the ${ATTEMPTS} device numbers that the kernel assigned`,
    );
  }

  #keep(made: InputDevice): InputDevice {
    this.#parked.delete(made.device);
    this.#made.push(made);
    return made;
  }
}

/**
 * The device that another process created.
 * @param descriptor received from that process
 * @param made how that process describes it
 * @throws Error when the descriptor is of another device, or of none; it stays open
 */
export function adoptInputDevice(
  descriptor: number,
  { number, sysname }: { readonly number: number; readonly sysname: string },
): InputDevice {
  const device = addon().adoptDevice(descriptor);
  if (device.sysname !== sysname)
    throw new Error(`the descriptor is of ${device.sysname}, not of ${sysname}`);
  return { device, number };
}

/** Destroys a device once. Its number stays claimed. */
export async function destroyInputDevice(made: InputDevice): Promise<void> {
  made.destroyed ??= addon().destroyDevice(made.device);
  await made.destroyed;
}

/** @returns how it was observed @throws {ServiceError} `still.there` */
export async function seenDestroyed(sysname: string): Promise<string> {
  const path = sysfsPath({ sysname });
  try {
    accessSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return `${path} no longer exists`;
    throw error;
  }
  throw new ServiceError('still.there', { what: path, why: 'the kernel has not removed it' });
}

/** Creates the devices in the kernel, all or none. They may not be usable yet. */
export async function createDevices(descriptions: readonly DeviceDescription[]): Promise<Device[]> {
  return await addon().createDevices(UINPUT, AXIS_MAXIMUM, descriptions);
}

async function whenUsable(device: Device, since: bigint, signal: AbortSignal): Promise<number> {
  return await withDeadline(PATIENCE, 'udev: recording the device', (late) =>
    untilRecorded(device, since, AbortSignal.any([signal, late])),
  );
}

/** Microseconds since boot, as in udev's records. */
function now(): bigint {
  return process.hrtime.bigint() / 1000n;
}

/** Checks each time udev has written the record. @returns the event number of the device */
async function untilRecorded(device: Device, since: bigint, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // The promise may be rejected before anything waits for it.
  promise.catch(() => {});
  let event: { readonly number: number; readonly record: string } | undefined;
  const look = (written: string | null) => {
    // Most of udev's writes concern other devices.
    if (event && written !== null && written !== event.record) return;
    event ??= findEvent(device);
    if (event && isRecorded(event.record, since)) resolve(event.number);
  };
  const watcher = watch(RECORDS, { persistent: false }, (_, written) => {
    try {
      look(written);
    } catch (error) {
      reject(error);
    }
  });
  watcher.on('error', reject);
  try {
    look(null);
    const number = await unlessAborted(promise, signal);
    accessSync(`/dev/input/event${number}`);
    return number;
  } finally {
    watcher.close();
  }
}

function sysfsPath({ sysname }: Pick<Device, 'sysname'>): string {
  return `/sys/devices/virtual/input/${sysname}`;
}

/**
 * @returns the event number and the name of the record; undefined until the kernel's evdev has attached to the device
 */
function findEvent(device: Device) {
  const path = sysfsPath(device);
  const event = readdirSync(path).find((name) => /^event\d+$/.test(name));
  if (event === undefined) return undefined;
  const numbers = readFileSync(`${path}/${event}/dev`, 'utf8');
  return { number: Number(event.slice('event'.length)), record: `c${numbers.trim()}` };
}

/**
 * The numbers of its mouse and joystick nodes that come from the range shared with event nodes, which the kernel uses
 * when their own range is full. In the shared range, number and minor are equal. Source: the kernel's
 * input_get_new_minor.
 */
function otherNumbers(device: Device): number[] {
  const names = readdirSync(sysfsPath(device));
  const numbers = names.map((name) => Number(/^(?:mouse|js)(\d+)$/.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number >= FIRST_SHARED);
}

/** A record may still belong to the previous device with this number; its time shows that. */
function isRecorded(record: string, since: bigint): boolean {
  try {
    const initialised = /^I:(\d+)$/m.exec(readFileSync(`${RECORDS}/${record}`, 'utf8'))?.[1];
    return initialised !== undefined && BigInt(initialised) >= since;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

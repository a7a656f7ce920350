/**
 * Makes virtual input devices and waits until they can be used: their nodes are there, udev has recorded them, and
 * nobody else may open them.
 */

import { watch } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import { addon, type Device } from './addon.ts';
import { AXIS_MAXIMUM, type DeviceDescription } from './descriptions.ts';
import type { EventNumbers } from './event-numbers.ts';

export const UINPUT = '/dev/uinput';
/** Where udev keeps what it knows of each device: `c<major>:<minor>`, `I:` and the microseconds since boot. Source: sd-device. */
export const RECORDS = '/run/udev/data';

/** Milliseconds that udev gets to record a new device. */
const PATIENCE = 10_000;
/** Devices that are made before it is given up to find a number that nobody else may open. */
const ATTEMPTS = 64;

/** The first minor that nodes of any kind are given. Source: the kernel's INPUT_FIRST_DYNAMIC_DEV. */
const FIRST_SHARED = 256;

export interface InputDevice {
  readonly device: Device;
  /** N of /dev/input/eventN. */
  readonly number: number;
  destroyed?: Promise<void>;
}

/**
 * Makes them together.
 * @param numbers those that living containers may open; the devices' own are claimed there
 * @returns in the order of the descriptions
 * @throws {ServiceError} `input.failed`; nothing is left then
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
  /** Whoever is not made, or not yet: each keeps its number from the ones created after it. */
  readonly #parked = new Set<Device>();

  constructor(numbers: EventNumbers, signal: AbortSignal) {
    this.#numbers = numbers;
    this.#signal = signal;
  }

  async makeAll(descriptions: readonly DeviceDescription[]): Promise<InputDevice[]> {
    const since = now();
    const devices = await this.#create(descriptions);
    const made = descriptions.map((one, i) => this.#make(one, devices[i] as Device, since));
    // All of them have to come to rest before any is undone.
    await Promise.allSettled(made);
    return await Promise.all(made);
  }

  async undo(): Promise<void> {
    await Promise.allSettled(this.#made.map(destroyInputDevice));
    for (const { number } of this.#made) this.#numbers.release(number);
  }

  /** A failure here must not lose those that were made. */
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
      if (await this.#numbers.claim(made.number, await otherNumbers(device))) return this.#keep(made);
      if (attempt === ATTEMPTS) break;
      since = now();
      [device] = (await this.#create([description])) as [Device];
    }
    throw new Error(`running containers may open each of the ${ATTEMPTS} device numbers that the kernel assigned`);
  }

  #keep(made: InputDevice): InputDevice {
    this.#parked.delete(made.device);
    this.#made.push(made);
    return made;
  }
}

/** Destroys one of them, once; its number stays claimed. */
export async function destroyInputDevice(made: InputDevice): Promise<void> {
  made.destroyed ??= addon().destroyDevice(made.device);
  await made.destroyed;
}

/** @returns how it was seen @throws {ServiceError} `still.there` */
export async function seenDestroyed(sysname: string): Promise<string> {
  const path = sysfsPath({ sysname });
  try {
    await access(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return `${path} no longer exists`;
    throw error;
  }
  throw new ServiceError('still.there', { what: path, why: 'the kernel has not removed it' });
}

/** Creates them in the kernel, which does not mean that they can be used. All or none. */
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

/** Looks again whenever udev has written the record. @returns its event number */
async function untilRecorded(device: Device, since: bigint, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // It may reject before, or after, it is waited for.
  promise.catch(() => {});
  let event: { readonly number: number; readonly record: string } | undefined;
  const look = async (written: string | null) => {
    // Of what udev writes, most is about other devices.
    if (event && written !== null && written !== event.record) return;
    event ??= await findEvent(device);
    if (event && (await isRecorded(event.record, since))) resolve(event.number);
  };
  const watcher = watch(RECORDS, { persistent: false }, (_, written) => void look(written).catch(reject));
  watcher.on('error', reject);
  try {
    await look(null);
    const number = await unlessAborted(promise, signal);
    await access(`/dev/input/event${number}`);
    return number;
  } finally {
    watcher.close();
  }
}

function sysfsPath({ sysname }: Pick<Device, 'sysname'>): string {
  return `/sys/devices/virtual/input/${sysname}`;
}

/** @returns its event number and the name of its record; undefined as long as the kernel's evdev has not taken it up */
async function findEvent(device: Device) {
  const path = sysfsPath(device);
  const event = (await readdir(path)).find((name) => /^event\d+$/.test(name));
  if (event === undefined) return undefined;
  const numbers = await readFile(`${path}/${event}/dev`, 'utf8');
  return { number: Number(event.slice('event'.length)), record: `c${numbers.trim()}` };
}

/**
 * The numbers of its mouse and joystick nodes that come from the range which event nodes are given too, once their
 * own is full; there, number and minor are the same. Source: the kernel's input_get_new_minor.
 */
async function otherNumbers(device: Device): Promise<number[]> {
  const names = await readdir(sysfsPath(device));
  const numbers = names.map((name) => Number(/^(?:mouse|js)(\d+)$/.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number >= FIRST_SHARED);
}

/** A record may still be that of the last device with this number: the time in it tells. */
async function isRecorded(record: string, since: bigint): Promise<boolean> {
  try {
    const initialised = /^I:(\d+)$/m.exec(await readFile(`${RECORDS}/${record}`, 'utf8'))?.[1];
    return initialised !== undefined && BigInt(initialised) >= since;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

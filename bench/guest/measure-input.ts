/** Runs in the guest: measures the pairs for bench/input-devices.ts and prints them as a line of JSON. */

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { addon } from '../../uinput-native/addon.ts';
import { DEVICES } from '../../uinput-native/descriptions.ts';
import { EventNumbers } from '../../uinput-native/event-numbers.ts';
import { createDevices, makeInputDevices } from '../../uinput-native/input-device.ts';
import { inRandomOrder } from '../measure.ts';

/** Milliseconds of the calls, and until the devices were usable. */
type Taken = readonly [calls: number, usable: number];

const PAIRS = 40;

/** A running C program. */
class Bare {
  readonly #process = spawn(join(import.meta.dirname, '../build/bare-input'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();

  readonly take = async (): Promise<Taken> => {
    settle();
    this.#process.stdin.write('\n');
    const { value } = await this.#answers.next();
    const [calls, usable] = String(value).split(' ').map(Number);
    return [Number(calls) / 1000, Number(usable) / 1000];
  };

  end(): void {
    this.#process.stdin.end();
  }
}

/** After devices are removed, udev works for a while, which must not slow the next ones down. */
function settle(): void {
  execFileSync('udevadm', ['settle']);
}

async function ours(): Promise<Taken> {
  return [await calls(), await usable()];
}

async function calls(): Promise<number> {
  settle();
  const beginning = performance.now();
  const devices = await createDevices(DEVICES);
  const milliseconds = performance.now() - beginning;
  await Promise.all(devices.map((device) => addon().destroyDevice(device)));
  return milliseconds;
}

async function usable(): Promise<number> {
  settle();
  const numbers = new EventNumbers();
  const { signal } = new AbortController();
  const beginning = performance.now();
  const made = await makeInputDevices(DEVICES, numbers, signal);
  const milliseconds = performance.now() - beginning;
  await Promise.all(made.map(({ device }) => addon().destroyDevice(device)));
  return milliseconds;
}

const [theirs, control] = [new Bare(), new Bare()];
// The first run of each side loads code and does not count.
for (const side of [ours, theirs.take, control.take]) await side();
const pairs: (readonly [Taken, Taken])[] = [];
const controls: (readonly [Taken, Taken])[] = [];
for (let pair = 0; pair < PAIRS; pair++) {
  pairs.push(await inRandomOrder(ours, theirs.take));
  controls.push(await inRandomOrder(control.take, theirs.take));
}
console.log(JSON.stringify({ pairs, controls }));
for (const side of [theirs, control]) side.end();

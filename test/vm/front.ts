/** The virtual consoles as the host sees them, and keystrokes on them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { addon } from '../../uinput-native/addon.ts';
import { DEVICES, type DeviceDescription } from '../../uinput-native/descriptions.ts';
import { createDevices } from '../../uinput-native/input-device.ts';
import { Evdev, type InputEvent, inject, virtualDevices } from './evdev.ts';
import type { InputContainer } from './guest-host.ts';
import { KEYBOARD } from './input-program.ts';

/** Types and codes of events. Source: the kernel's input-event-codes.h. */
const EV_SYN = 0;
const EV_KEY = 1;

export const KEYS = {
  s: 31,
  p: 25,
  y: 21,
  enter: 28,
  alt: 56,
  f2: 60,
  control: 29,
  scrollLock: 70,
  delete: 111,
} as const;
export type Key = keyof typeof KEYS;

/** The console that the kernel has in front, such as `tty1`. */
export function consoleInFront(): string {
  return readFileSync('/sys/class/tty/tty0/active', 'utf8').trim();
}

/** The events that the kernel gets when the keys of each chord are pressed together and released. */
function eventsOf(chords: readonly (readonly Key[])[]): InputEvent[] {
  const step = (key: Key, value: number): InputEvent[] => [
    [EV_KEY, KEYS[key], value],
    [EV_SYN, 0, 0],
  ];
  return chords.flatMap((keys) => [
    ...keys.flatMap((key) => step(key, 1)),
    ...keys.flatMap((key) => step(key, 0)),
  ]);
}

/** Returns when the kernel has accepted them. @param number N of /dev/input/eventN */
async function pass(number: number, events: readonly InputEvent[], write: () => unknown): Promise<void> {
  const evdev = await Evdev.open(number);
  await write();
  await evdev.read(events.length);
  await evdev.close();
}

/** Presses the keys of each chord on a container's keyboard. */
export async function press(
  { program, numbers }: InputContainer,
  ...chords: readonly (readonly Key[])[]
): Promise<void> {
  const events = eventsOf(chords);
  await pass(numbers[KEYBOARD] as number, events, () => program.write(KEYBOARD, events));
}

const SPY: readonly (readonly Key[])[] = [['s'], ['p'], ['y'], ['enter']];

/** A word and its line end. */
export async function typeSpy(container: InputContainer): Promise<void> {
  await press(container, ...SPY);
}

/** Makes a keyboard of the host itself, and types the same on it. */
export async function typeSpyOnHost(): Promise<void> {
  const [keyboard] = await createDevices([DEVICES[KEYBOARD] as DeviceDescription]);
  assert.ok(keyboard);
  try {
    const found = virtualDevices().find(({ sysname }) => sysname === keyboard.sysname);
    assert.ok(found);
    const events = eventsOf(SPY);
    await pass(found.number, events, () => inject(keyboard, events));
  } finally {
    await addon().destroyDevice(keyboard);
  }
}

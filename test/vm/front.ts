/** The virtual consoles as the host sees them, and what is typed. */

import { readFileSync } from 'node:fs';
import { Evdev, type InputEvent } from './evdev.ts';
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

/** Such as `tty1`: the console that the kernel has in front. */
export function consoleInFront(): string {
  return readFileSync('/sys/class/tty/tty0/active', 'utf8').trim();
}

/** Presses the keys of each chord together and releases them, on a container's keyboard; returns when the kernel has taken them. */
export async function press(
  { program, numbers }: InputContainer,
  ...chords: readonly (readonly Key[])[]
): Promise<void> {
  const step = (key: Key, value: number): InputEvent[] => [
    [EV_KEY, KEYS[key], value],
    [EV_SYN, 0, 0],
  ];
  const events = chords.flatMap((keys) => [
    ...keys.flatMap((key) => step(key, 1)),
    ...keys.flatMap((key) => step(key, 0)),
  ]);
  const evdev = await Evdev.open(numbers[KEYBOARD] as number);
  await program.write(KEYBOARD, events);
  await evdev.read(events.length);
  await evdev.close();
}

/** A word and the end of its line. */
export async function typeSpy(container: InputContainer): Promise<void> {
  await press(container, ['s'], ['p'], ['y'], ['enter']);
}

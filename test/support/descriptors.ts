/** Sees that a process keeps no descriptor of what was done in it. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Does it once, so that what stays for good is there, then again and again, some at a time; in the end there are no more. */
export async function keepsNone(pid: number, act: () => Promise<void>): Promise<void> {
  const count = () => readdirSync(`/proc/${pid}/fd`).length;
  await act();
  const before = count();
  for (let i = 0; i < 5; i++) await Promise.all([act(), act(), act()]);
  const late = performance.now() + 20_000;
  while (count() > before) {
    assert.ok(performance.now() < late, `${before} descriptors, then ${count()}`);
    await pause(20);
  }
}

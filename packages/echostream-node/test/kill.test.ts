/** A program that is killed repeatedly while messages arrive. KILLS and MESSAGES set the numbers of kills and messages. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { IDENTITY } from '../src/options.ts';
import { eventually, World } from './support/world.ts';

const KILLS = Number(process.env.KILLS ?? 5);
const MESSAGES = Number(process.env.MESSAGES ?? 1000);
const GROUPS = 5;

test('a program that is killed repeatedly handles all messages in order', async () => {
  await using world = await World.start();
  const queue = world.queue('in');
  for (let i = 0; i < MESSAGES; i += 1) queue.put(`g${i % GROUPS}`, String(i));
  const handled: string[] = [];
  const start = () => {
    const identity = Object.entries(IDENTITY).map(([option, variable]) => [
      variable,
      world.options[option as 'name'],
    ]);
    const child = spawn(process.execPath, [join(import.meta.dirname, 'support/killed-node.ts')], {
      env: { PATH: process.env.PATH, ...Object.fromEntries(identity), ...world.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      handled.push(...lines);
    });
    return child;
  };
  for (let kills = 1; kills <= KILLS; kills += 1) {
    const child = start();
    const before = handled.length;
    await eventually(() => handled.length >= before + MESSAGES / (2 * KILLS));
    child.kill('SIGKILL');
    await once(child, 'close');
    // The visibility timeout of its messages ends, as it would in time.
    queue.expire();
  }
  const last = start();
  await eventually(() => queue.messages.length === 0);
  last.kill('SIGTERM');
  assert.deepEqual(await once(last, 'close'), [0, null]);
  for (let group = 0; group < GROUPS; group += 1) {
    const numbers = handled.map(Number).filter((number) => number % GROUPS === group);
    const first = [...new Set(numbers)];
    assert.deepEqual(
      first,
      first.toSorted((a, b) => a - b),
      `group ${group} is in order`,
    );
    assert.equal(first.length, MESSAGES / GROUPS);
  }
  const twice = handled.length - new Set(handled).size;
  assert.ok(twice <= KILLS * 4 * 10 * GROUPS, `${twice} messages were handled twice`);
});

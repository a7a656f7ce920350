import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEventNumbers } from '../../container/input-devices.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { EventNumbers } from '../../uinput-native/event-numbers.ts';

test('a claimed number is not given to another container until it is released', async () => {
  const numbers = new EventNumbers();
  assert.equal(await numbers.claim(7), true);
  assert.equal(await numbers.claim(7), false);
  assert.equal(await numbers.claim(8), true);
  numbers.release(7);
  assert.equal(await numbers.claim(7), true);
});

test('a device is not taken if another of its nodes has a claimed number', async () => {
  const numbers = new EventNumbers();
  assert.equal(await numbers.claim(260), true);
  assert.equal(
    await numbers.claim(5, [259, 260]),
    false,
    'its mouse would be event 260, which another container may open',
  );
  assert.equal(await numbers.claim(5, [259]), true);
  assert.equal(await numbers.claim(259), true, 'only event nodes are lent');
});

test('one of two simultaneous claims of a number succeeds', async () => {
  const numbers = new EventNumbers(async () => false);
  const claims = await Promise.all([numbers.claim(7), numbers.claim(7)]);
  assert.deepEqual(new Set(claims), new Set([false, true]));
});

test('a number is not claimed if others have it, or if that cannot be determined', async () => {
  let others: boolean | undefined = true;
  const numbers = new EventNumbers(async () => others ?? assert.fail('Docker is away'));
  assert.equal(await numbers.claim(7), false);
  others = undefined;
  await assert.rejects(numbers.claim(7), /Docker is away/);
  others = false;
  assert.equal(await numbers.claim(7), true);
});

test('numbers of running containers are read from their device lists, by either path, and checked again', async () => {
  const states = new Map([
    ['by-link', 'running'],
    ['by-node', 'paused'],
    ['made', 'created'],
  ]);
  const docker = {
    deviceLists: async () => [
      { dockerId: 'by-link', paths: ['/fractal/1/event7', '/dev/input/event7'] },
      { dockerId: 'by-node', paths: ['/dev/input/event8', '/dev/input/event8', '/dev/snd', '/dev/snd'] },
      { dockerId: 'made', paths: ['/dev/input/event9', '/dev/mine'] },
    ],
    inspect: async (id: DockerId) => {
      const status = states.get(id);
      return status && { status };
    },
  };
  const numbers = await readEventNumbers(docker as unknown as Docker);
  const claims = (wanted: readonly number[]) => Promise.all(wanted.map((number) => numbers.claim(number)));
  assert.deepEqual(await claims([7, 8, 9, 17, 87, 1]), [false, false, false, true, true, true]);
  states.set('by-link', 'exited').delete('by-node');
  assert.deepEqual(await claims([7, 8, 9]), [true, true, false]);
});

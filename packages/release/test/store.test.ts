import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Clock, systemClock } from '../src/clock.ts';
import { DirectoryStore } from '../src/record/directory-store.ts';
import { Ledger } from '../src/record/ledger.ts';

const directory = () => mkdtempDisposable(join(tmpdir(), 'release-store-'));

test('a file in the store is overwritten only if it is still the version that was read', async () => {
  await using place = await directory();
  const store = new DirectoryStore(place.path);
  assert.equal(await store.read('a/b.json'), undefined);
  const first = await store.write('a/b.json', 'one', undefined);
  assert.ok(first);
  assert.equal(await store.write('a/b.json', 'two', undefined), undefined);
  const second = await store.write('a/b.json', 'two', first);
  assert.ok(second);
  assert.equal(await store.write('a/b.json', 'three', first), undefined);
  assert.deepEqual(await store.read('a/b.json'), { text: 'two', version: second });
  await store.write('a/c.json', 'x', undefined);
  assert.deepEqual(await store.list('a/'), ['a/b.json', 'a/c.json']);
});

test('processes that increment one counter in a directory lose no increment', async () => {
  await using place = await directory();
  const program = join(import.meta.dirname, 'support/counting-process.ts');
  const children = Array.from({ length: 4 }, () =>
    fork(program, [place.path, '25'], { execPath: process.env.TEST_NODE ?? process.execPath }),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
  assert.deepEqual(codes, [0, 0, 0, 0]);
  assert.equal((await new DirectoryStore(place.path).read('count'))?.text, '100');
});

test('a stale lock is taken over after a whole lease without a sign of life, and not earlier', async () => {
  await using place = await directory();
  let now = Date.parse('2026-11-30T00:00:00Z');
  const clock: Clock = {
    now: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
    timeout: () => new AbortController().signal,
  };
  const request = { owner: 'me', patience: 0, onWait: () => {} };
  const ledger = () => new Ledger(new DirectoryStore(place.path), clock, 'shop', 'live');
  await ledger().lock({ ...request, release: '1', owner: 'first' });
  await assert.rejects(ledger().lock({ ...request, release: '2' }), /first has it for 1, taken 0 s ago/);
  const begun = now;
  const held = await ledger().lock({ ...request, release: '2', patience: 600_000 });
  assert.equal(held.leftOver, '1');
  assert.ok(now - begun > 60_000);
});

test('of two releases that wait for the lock, the newer one gets it, and the older one is superseded', async () => {
  await using place = await directory();
  const store = new DirectoryStore(place.path);
  const ledger = new Ledger(store, systemClock, 'shop', 'live');
  const first = await ledger.lock({ release: '1', owner: 'first', patience: 0, onWait: () => {} });
  const older = ledger.lock({ release: '2', owner: 'older', patience: 60_000, onWait: () => {} });
  while ((await ledger.state()).waiting?.release !== '2') await systemClock.sleep(5);
  const newer = ledger.lock({ release: '3', owner: 'newer', patience: 60_000, onWait: () => {} });
  await assert.rejects(older, { kind: 'superseded', message: /2 was superseded: 3 came later/ });
  await first.release('1');
  await newer;
  const { lock, current, inFlight } = await ledger.state();
  assert.deepEqual([lock?.owner, current, inFlight], ['newer', '1', '3']);
});

test('a release that waits while a later one gets the lock is superseded, whatever their ids', async () => {
  await using place = await directory();
  const ledger = new Ledger(new DirectoryStore(place.path), systemClock, 'shop', 'live');
  const first = await ledger.lock({ release: '1', owner: 'first', patience: 0, onWait: () => {} });
  const older = ledger.lock({ release: '9', owner: 'fast clock', patience: 60_000, onWait: () => {} });
  while ((await ledger.state()).waiting?.release !== '9') await systemClock.sleep(5);
  await first.release('1');
  const newer = await ledger.lock({ release: '3', owner: 'newer', patience: 0, onWait: () => {} });
  await newer.release('3');
  await assert.rejects(older, { kind: 'superseded' });
});

test('a process that died while it waited does not block the lock', async () => {
  await using place = await directory();
  const ledger = new Ledger(new DirectoryStore(place.path), systemClock, 'shop', 'live');
  const first = await ledger.lock({ release: '1', owner: 'first', patience: 0, onWait: () => {} });
  const stop = new AbortController();
  const dead = ledger.lock({
    ...{ release: '9', owner: 'dead', patience: 60_000, onWait: () => {}, signal: stop.signal },
  });
  while ((await ledger.state()).waiting?.release !== '9') await systemClock.sleep(5);
  stop.abort();
  await assert.rejects(dead);
  await first.release('1');
  await ledger.lock({ release: '2', owner: 'next', patience: 0, onWait: () => {} });
});

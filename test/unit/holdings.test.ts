import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { type HoldingEvent, Holdings } from '../../lifetime/holdings.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { pretendedResource } from '../support/resource.ts';

/** A lifetime that writes its observer's events into `log`, and passes each event to `on`. */
function observed(log: string[], on: (event: HoldingEvent) => void = () => {}): Lifetime {
  const holdings = new Holdings(async (event) => {
    log.push(event.step);
    // The next step must not begin before the observer is done.
    await allElseHasRun();
    log.push(`${event.step}: observed`);
    on(event);
  });
  return new Lifetime('owner', { holdings });
}

test('each step is reported before the next one begins', async () => {
  const log: string[] = [];
  const lifetime = observed(log);
  await lifetime.acquire(pretendedResource('a', log));
  await lifetime.end();
  assert.deepEqual(log, [
    ...['taking', 'taking: observed', 'take a', 'taken', 'taken: observed'],
    ...['releasing', 'releasing: observed', 'release a', 'look for a', 'gone', 'gone: observed'],
  ]);
});

test('a failed acquisition is reported with its reason, and nothing follows it', async () => {
  const log: string[] = [];
  const events: HoldingEvent[] = [];
  const lifetime = observed(log, (event) => events.push(event));
  const error = new Error('cannot');
  await assert.rejects(lifetime.acquire(pretendedResource('a', log, { take: () => Promise.reject(error) })));
  await lifetime.end();
  assert.deepEqual(
    events.map(({ step }) => step),
    ['taking', 'not taken'],
  );
  const last = events.at(-1);
  assert.ok(last?.step === 'not taken');
  assert.equal(last.error, error);
});

test('a failed release is reported with its reason', async () => {
  const events: HoldingEvent[] = [];
  const lifetime = observed([], (event) => events.push(event));
  const error = new Error('stuck');
  await lifetime.acquire(pretendedResource('a', [], { release: () => Promise.reject(error) }));
  await lifetime.end();
  assert.deepEqual(
    events.map(({ step }) => step),
    ['taking', 'taken', 'releasing', 'failed'],
  );
  const last = events.at(-1);
  assert.ok(last?.step === 'failed');
  assert.equal(last.error, error);
});

test('a resource that is gone is reported with how that was observed', async () => {
  const seen: string[] = [];
  const lifetime = observed([], (event) => {
    if (event.step === 'gone') seen.push(event.seen);
  });
  await lifetime.acquire(pretendedResource('a', [], { seenGone: () => 'the path is free' }));
  await lifetime.end();
  assert.deepEqual(seen, ['the path is free']);
});

test('a holding is in the table from before its acquisition until it was seen gone', async () => {
  const listed = (): string[] => lifetime.holdings.list().map(({ what }) => what);
  const seen: Record<string, string[]> = {};
  const lifetime = observed([], ({ step }) => {
    seen[step] = listed();
  });
  const look = (step: string) => () => {
    seen[step] = listed();
    return 'a';
  };
  await lifetime.acquire(
    pretendedResource('a', [], {
      take: look('take'),
      release: look('release'),
      seenGone: look('look'),
    }),
  );
  await lifetime.end();
  assert.deepEqual(seen, {
    taking: [],
    take: ['a'],
    taken: ['a'],
    releasing: ['a'],
    release: ['a'],
    look: ['a'],
    gone: [],
  });
});

test('a holding has no time before it was acquired', async () => {
  const times: [string, Date | undefined][] = [];
  const lifetime = observed([], ({ step, holding }) => times.push([step, holding.takenAt]));
  await lifetime.acquire(pretendedResource('a'));
  assert.deepEqual(times[0], ['taking', undefined]);
  assert.equal(times[1]?.[0], 'taken');
  assert.ok(times[1][1] instanceof Date);
});

test('an observer that throws at an acquisition prevents it', async () => {
  const log: string[] = [];
  const forbidden = new Error('forbidden');
  const lifetime = observed(log, () => {
    throw forbidden;
  });
  await assert.rejects(lifetime.acquire(pretendedResource('a', log)), (thrown) => thrown === forbidden);
  assert.deepEqual(lifetime.holdings.list(), []);
  assert.deepEqual(await lifetime.end(), []);
  assert.deepEqual(log, ['taking', 'taking: observed']);
});

test('an observer that throws at an acquired resource does not prevent its release', async () => {
  const log: string[] = [];
  const lifetime = observed([], ({ step }) => {
    if (step === 'taken') throw new Error('no');
  });
  await assert.rejects(lifetime.acquire(pretendedResource('a', log)), /no/);
  assert.deepEqual(await lifetime.end(), []);
  assert.deepEqual(log, ['take a', 'release a', 'look for a']);
  assert.deepEqual(lifetime.holdings.list(), []);
});

test('two holdings of the same name are distinct', async () => {
  const first = new Lifetime('first');
  const second = new Lifetime('second', { holdings: first.holdings });
  await first.acquire(pretendedResource('same'));
  await second.acquire(pretendedResource('same'));
  await first.end();
  assert.deepEqual(
    first.holdings.list().map(({ lifetime }) => lifetime),
    ['second'],
  );
});

test('C41: the list does not change while a caller reads it', async () => {
  const lifetime = new Lifetime('x');
  await lifetime.acquire(pretendedResource('a'));
  const list = lifetime.holdings.list();
  await lifetime.end();
  assert.equal(list.length, 1);
  assert.equal(lifetime.holdings.list().length, 0);
});

test('a failed release is retried until it succeeds, in the order of the failures of its lifetime', async () => {
  const log: string[] = [];
  const holdings = new Holdings();
  const lifetime = new Lifetime('owner', { holdings });
  let isBroken = true;
  for (const what of ['a', 'b']) {
    const release = () => {
      log.push(what);
      if (isBroken) throw new Error('cannot');
    };
    await lifetime.acquire(pretendedResource(what, [], { release }));
  }
  assert.equal(holdings.hasFailed, false);
  await lifetime.end();
  assert.equal(holdings.hasFailed, true);
  await holdings.retry();
  assert.deepEqual(log, ['b', 'a', 'b', 'a']);
  assert.equal(holdings.list().length, 2);
  isBroken = false;
  await holdings.retry();
  assert.deepEqual(holdings.list(), []);
  assert.equal(holdings.hasFailed, false);
  await holdings.retry();
  assert.deepEqual(log, ['b', 'a', 'b', 'a', 'b', 'a']);
});

test('the releases of one lifetime are retried while those of another hang', async () => {
  const holdings = new Holdings();
  let isBroken = true;
  const failing = async (name: string, then: () => unknown) => {
    const release = () => {
      if (isBroken) throw new Error('cannot');
      return then();
    };
    const lifetime = new Lifetime(name, { holdings });
    await lifetime.acquire(pretendedResource(name, [], { release }));
    await lifetime.end();
  };
  const hanging = Promise.withResolvers<void>();
  await failing('hangs', () => hanging.promise);
  const other = Promise.withResolvers<void>();
  await failing('other', () => other.resolve());
  isBroken = false;
  const retried = holdings.retry();
  await other.promise;
  hanging.resolve();
  await retried;
  assert.deepEqual(holdings.list(), []);
});

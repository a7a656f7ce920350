import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { DeadlineError } from '../../lifetime/deadline.ts';
import { DEFAULT_DEADLINE, type Failure, Lifetime } from '../../lifetime/lifetime.ts';
import { pretendedResource } from '../support/resource.ts';

/** The default owner of a lifetime. */
const SERVICE = { kind: 'service' };

/** A lifetime that records the failures that it reports. */
function reporting(name = 'parent'): { lifetime: Lifetime; reported: Failure[] } {
  const reported: Failure[] = [];
  return { lifetime: new Lifetime(name, { report: (failure) => reported.push(failure) }), reported };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

suite('cleanups', () => {
  test('cleanups run last in, first out', async () => {
    const lifetime = new Lifetime('x');
    const ran: number[] = [];
    for (const n of [1, 2, 3]) await lifetime.defer(`cleanup ${n}`, () => ran.push(n));
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(ran, [3, 2, 1]);
  });

  test('a cleanup starts only after the one before it has finished', async () => {
    const lifetime = new Lifetime('x');
    const steps: string[] = [];
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await lifetime.defer('first', () => steps.push('first'));
    await lifetime.defer('slow', async () => {
      begun.resolve();
      await held.promise;
      steps.push('slow');
    });
    const ended = lifetime.end();
    await begun.promise;
    await allElseHasRun();
    assert.deepEqual(steps, []);
    held.resolve();
    await ended;
    assert.deepEqual(steps, ['slow', 'first']);
  });

  test('a cleanup runs once, however often and for whatever reasons the end is requested', async () => {
    const lifetime = new Lifetime('x');
    let runs = 0;
    await lifetime.defer('count', () => runs++);
    const first = lifetime.end(new Error('the first reason'));
    const second = lifetime.end(new Error('another reason'));
    assert.equal(first, second);
    await first;
    assert.equal(lifetime.end(), first);
    assert.equal(runs, 1);
    assert.match(String(lifetime.signal.reason), /the first reason/);
  });

  test('a failed cleanup does not stop the others', async () => {
    const { lifetime, reported } = reporting();
    const thrown = new Error('thrown');
    const rejected = new Error('rejected');
    const ran: string[] = [];
    await lifetime.defer('good', () => ran.push('good'));
    await lifetime.defer('throws', () => {
      throw thrown;
    });
    await lifetime.defer('rejects', () => Promise.reject(rejected));
    const failures = await lifetime.end();
    assert.deepEqual(ran, ['good']);
    assert.deepEqual(failures, [
      { lifetime: 'parent', owner: SERVICE, what: 'rejects', error: rejected },
      { lifetime: 'parent', owner: SERVICE, what: 'throws', error: thrown },
    ]);
    assert.deepEqual(reported, failures);
  });

  test('C40: a late cleanup does not stop the others, is reported, and is aborted', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { lifetime, reported } = reporting();
    const ran: string[] = [];
    const begun = Promise.withResolvers<AbortSignal>();
    await lifetime.defer('good', () => ran.push('good'));
    await lifetime.defer(
      'late',
      (signal) => {
        begun.resolve(signal);
        return never();
      },
      500,
    );
    const ended = lifetime.end();
    const signal = await begun.promise;
    t.mock.timers.tick(499);
    await Promise.resolve();
    assert.equal(signal.aborted, false);
    t.mock.timers.tick(1);
    assert.equal(signal.aborted, true);
    const [failure, ...others] = await ended;
    assert.deepEqual(others, []);
    assert.equal(failure?.what, 'late');
    assert.ok(failure.error instanceof DeadlineError);
    assert.deepEqual(reported, [failure]);
    assert.deepEqual(ran, ['good']);
  });

  test('a cleanup has the default deadline unless it sets its own', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const lifetime = new Lifetime('x');
    const begun = Promise.withResolvers<AbortSignal>();
    await lifetime.defer('late', (signal) => {
      begun.resolve(signal);
      return never();
    });
    const ended = lifetime.end();
    const signal = await begun.promise;
    t.mock.timers.tick(DEFAULT_DEADLINE - 1);
    assert.equal(signal.aborted, false);
    t.mock.timers.tick(1);
    assert.equal((await ended).length, 1);
  });

  test('a cleanup that is registered after the end runs at once', async () => {
    const { lifetime, reported } = reporting();
    await lifetime.end();
    let ran = false;
    await lifetime.defer('too late', () => {
      ran = true;
    });
    assert.equal(ran, true);
    const error = new Error('broken');
    await lifetime.defer('too late and broken', () => Promise.reject(error));
    assert.deepEqual(reported, [{ lifetime: 'parent', owner: SERVICE, what: 'too late and broken', error }]);
  });

  test('a cleanup that is registered during the end runs at once', async () => {
    const lifetime = new Lifetime('x');
    const ran: string[] = [];
    await lifetime.defer('first', () => ran.push('first'));
    await lifetime.defer('registers another', async () => {
      await lifetime.defer('another', () => ran.push('another'));
      ran.push('registers another');
    });
    await lifetime.end();
    assert.deepEqual(ran, ['another', 'registers another', 'first']);
  });
});

suite('the end', () => {
  test('the signal aborts with the reason before anything is cleaned up', async () => {
    const lifetime = new Lifetime('x');
    const reason = new Error('enough');
    let seen: unknown;
    await lifetime.defer('look', () => {
      seen = lifetime.signal.reason;
    });
    assert.equal(lifetime.signal.aborted, false);
    const ended = lifetime.end(reason);
    assert.equal(lifetime.signal.aborted, true);
    await ended;
    assert.equal(seen, reason);
  });

  test("the end has the lifetime's name as its reason by default", async () => {
    const lifetime = new Lifetime('the container');
    await lifetime.end();
    assert.match(String(lifetime.signal.reason), /the container has ended/);
  });

  test('a listener that requests the end again gets the same end', async () => {
    const lifetime = new Lifetime('x');
    const steps: string[] = [];
    await lifetime.defer('first', () => steps.push('first'));
    await lifetime.defer('slow', async () => {
      await allElseHasRun();
      steps.push('slow');
    });
    let again: Promise<readonly Failure[]> | undefined;
    lifetime.signal.addEventListener('abort', () => {
      again = lifetime.end();
    });
    const ended = lifetime.end();
    await ended;
    await again;
    assert.deepEqual(steps, ['slow', 'first'], 'two ends ran concurrently');
    assert.equal(again, ended);
  });

  test('leaving the scope of "await using" ends it', async () => {
    let ended: AbortSignal;
    let runs = 0;
    {
      await using lifetime = new Lifetime('x');
      await lifetime.defer('count', () => runs++);
      ended = lifetime.signal;
      assert.equal(runs, 0);
    }
    assert.equal(ended.aborted, true);
    assert.equal(runs, 1);
  });
});

suite('tasks', () => {
  test('the end waits for tracked tasks before it cleans up', async () => {
    const lifetime = new Lifetime('x');
    const steps: string[] = [];
    await lifetime.defer('cleanup', () => steps.push('cleanup'));
    const work = Promise.withResolvers<void>();
    const task = lifetime.track(
      'work',
      work.promise.then(() => steps.push('task')),
    );
    const ended = lifetime.end();
    await allElseHasRun();
    assert.deepEqual(steps, []);
    work.resolve();
    await ended;
    await task;
    assert.deepEqual(steps, ['task', 'cleanup']);
  });

  test('the end waits for a task that another task started meanwhile', async () => {
    const lifetime = new Lifetime('x');
    const steps: string[] = [];
    await lifetime.defer('cleanup', () => steps.push('cleanup'));
    const outer = Promise.withResolvers<void>();
    const inner = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const task = async () => {
      await outer.promise;
      void lifetime.track(
        'inner',
        inner.promise.then(() => steps.push('inner')),
      );
      begun.resolve();
    };
    void lifetime.track('outer', task());
    const ended = lifetime.end();
    outer.resolve();
    await begun.promise;
    await allElseHasRun();
    assert.deepEqual(steps, []);
    inner.resolve();
    await ended;
    assert.deepEqual(steps, ['inner', 'cleanup']);
  });

  test('the failure of a task is reported only to its awaiter', async () => {
    const { lifetime, reported } = reporting();
    const promise = Promise.reject(new Error('task failed'));
    const tracked = lifetime.track('fails', promise);
    assert.equal(tracked, promise);
    await assert.rejects(tracked, /task failed/);
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(reported, []);
  });

  test('C40: a task that does not finish in time is reported by name, and the cleanups still run', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { lifetime, reported } = reporting();
    const ran: string[] = [];
    await lifetime.defer('cleanup', () => ran.push('cleanup'));
    await lifetime.track('quick', Promise.resolve());
    void lifetime.track('hangs', never());
    void lifetime.acquire(pretendedResource('slow', [], { take: never }));
    const ended = lifetime.end();
    t.mock.timers.tick(DEFAULT_DEADLINE);
    const failures = await ended;
    assert.deepEqual(
      failures.map(({ what }) => what),
      ['hangs', 'taking thing slow'],
    );
    assert.match(String(failures[0]?.error), /the tasks of parent did not finish/);
    assert.deepEqual(reported, failures);
    assert.deepEqual(ran, ['cleanup']);
  });
});

suite('resources', () => {
  test('an acquired resource is held until the end, and is then released and checked', async () => {
    const lifetime = new Lifetime('owner');
    const log: string[] = [];
    assert.equal(await lifetime.acquire(pretendedResource('a', log)), 'a');
    assert.deepEqual(log, ['take a']);
    const [holding, ...others] = lifetime.holdings.list();
    assert.deepEqual(others, []);
    assert.deepEqual([holding?.kind, holding?.what, holding?.lifetime], ['thing', 'a', 'owner']);
    assert.ok(holding?.takenAt);
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(log, ['take a', 'release a', 'look for a']);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('resources and other cleanups share one order', async () => {
    const lifetime = new Lifetime('x');
    const log: string[] = [];
    await lifetime.acquire(pretendedResource('a', log));
    await lifetime.defer('b', () => log.push('clean up b'));
    await lifetime.acquire(pretendedResource('c', log));
    log.length = 0;
    await lifetime.end();
    assert.deepEqual(log, ['release c', 'look for c', 'clean up b', 'release a', 'look for a']);
  });

  test('a failed acquisition holds nothing and releases nothing', async () => {
    const lifetime = new Lifetime('x');
    const log: string[] = [];
    const error = new Error('cannot');
    const broken = pretendedResource('a', log, { take: () => Promise.reject(error) });
    await assert.rejects(lifetime.acquire(broken), (thrown) => thrown === error);
    assert.deepEqual(lifetime.holdings.list(), []);
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(log, []);
  });

  test('an ended lifetime acquires nothing', async () => {
    const lifetime = new Lifetime('x');
    const reason = new Error('over');
    await lifetime.end(reason);
    const log: string[] = [];
    await assert.rejects(lifetime.acquire(pretendedResource('a', log)), (thrown) => thrown === reason);
    assert.deepEqual(log, []);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('C31: a resource whose acquisition is in progress at the end is released, and its caller gets an error', async () => {
    const lifetime = new Lifetime('x');
    const log: string[] = [];
    const reason = new Error('over');
    const arrival = Promise.withResolvers<string>();
    const taking = lifetime.acquire(pretendedResource('a', log, { take: () => arrival.promise }));
    const turnedAway = assert.rejects(taking, (thrown) => thrown === reason);
    await allElseHasRun();
    const ended = lifetime.end(reason);
    await allElseHasRun();
    assert.deepEqual(
      lifetime.holdings.list().map(({ what }) => what),
      ['a'],
    );
    arrival.resolve('a');
    await turnedAway;
    assert.deepEqual(await ended, []);
    assert.deepEqual(log, ['release a', 'look for a']);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('an acquisition is notified of the end', async () => {
    const lifetime = new Lifetime('x');
    const reason = new Error('over');
    const take = async (signal: AbortSignal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    };
    const turnedAway = assert.rejects(
      lifetime.acquire(pretendedResource('a', [], { take })),
      (thrown) => thrown === reason,
    );
    await allElseHasRun();
    assert.deepEqual(await lifetime.end(reason), []);
    await turnedAway;
  });

  test('a resource that is still seen after its release stays in the table and is reported', async () => {
    const { lifetime, reported } = reporting();
    const error = new Error('still there');
    const stubborn = pretendedResource('a', [], { seenGone: () => Promise.reject(error) });
    await lifetime.acquire(stubborn);
    await lifetime.acquire(pretendedResource('b'));
    const failures = await lifetime.end();
    assert.deepEqual(failures, [{ lifetime: 'parent', owner: SERVICE, what: 'thing a', error }]);
    assert.deepEqual(reported, failures);
    assert.deepEqual(
      lifetime.holdings.list().map(({ what }) => what),
      ['a'],
    );
  });

  test('a resource that cannot be released stays in the table and is not checked', async () => {
    const lifetime = new Lifetime('x');
    const log: string[] = [];
    const error = new Error('stuck');
    await lifetime.acquire(pretendedResource('a', log, { release: () => Promise.reject(error) }));
    assert.deepEqual(
      (await lifetime.end()).map((failure) => failure.error),
      [error],
    );
    assert.deepEqual(log, ['take a']);
    assert.equal(lifetime.holdings.list().length, 1);
  });

  test("release and check share the resource's deadline", async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const lifetime = new Lifetime('x');
    const looking = Promise.withResolvers<AbortSignal>();
    const seenGone = (_: string, signal: AbortSignal) => {
      looking.resolve(signal);
      return never();
    };
    const release = () => t.mock.timers.tick(2000);
    await lifetime.acquire(pretendedResource('a', [], { release, seenGone, deadline: 3000 }));
    const ended = lifetime.end();
    const signal = await looking.promise;
    t.mock.timers.tick(999);
    assert.equal(signal.aborted, false);
    t.mock.timers.tick(1);
    assert.equal(signal.aborted, true);
    const [failure] = await ended;
    assert.ok(failure?.error instanceof DeadlineError);
    assert.equal(lifetime.holdings.list().length, 1);
  });
});

suite('children', () => {
  test('a child ends with its parent, in its place among the cleanups', async () => {
    const parent = new Lifetime('parent');
    const log: string[] = [];
    await parent.acquire(pretendedResource('before', log));
    const child = parent.child('child');
    await child.acquire(pretendedResource('inside', log));
    await parent.acquire(pretendedResource('after', log));
    log.length = 0;
    const reason = new Error('over');
    await parent.end(reason);
    assert.deepEqual(
      log.filter((line) => line.startsWith('release')),
      ['release after', 'release inside', 'release before'],
    );
    assert.equal(child.signal.reason, reason);
  });

  test('children end one after the other, in reverse order', async () => {
    const parent = new Lifetime('parent');
    const log: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      await parent.child(name).defer(name, async () => {
        log.push(`${name} ends`);
        await allElseHasRun();
        log.push(`${name} has ended`);
      });
    }
    await parent.end();
    const expected = ['c', 'b', 'a'].flatMap((name) => [`${name} ends`, `${name} has ended`]);
    assert.deepEqual(log, expected);
  });

  test('a child can end before its parent, which continues', async () => {
    const parent = new Lifetime('parent');
    const log: string[] = [];
    const child = parent.child('child', { before: () => log.push('ended by the parent') });
    await child.acquire(pretendedResource('a', log));
    await child.end();
    assert.equal(parent.signal.aborted, false);
    assert.deepEqual(parent.holdings.list(), []);
    await parent.end();
    assert.deepEqual(log, ['take a', 'release a', 'look for a']);
  });

  test('a parent waits for a child that is already ending', async () => {
    const parent = new Lifetime('parent');
    const log: string[] = [];
    await parent.defer('parent', () => log.push('parent'));
    const child = parent.child('child');
    const held = Promise.withResolvers<void>();
    await child.defer('child', async () => {
      await held.promise;
      log.push('child');
    });
    const childEnded = child.end();
    const parentEnded = parent.end();
    await allElseHasRun();
    assert.deepEqual(log, []);
    held.resolve();
    await Promise.all([childEnded, parentEnded]);
    assert.deepEqual(log, ['child', 'parent']);
  });

  test('a child is still alive for what must happen before its end', async () => {
    const parent = new Lifetime('parent');
    const seen: boolean[] = [];
    const child = parent.child('child', {
      before: async () => {
        await allElseHasRun();
        seen.push(child.signal.aborted);
      },
    });
    await parent.end();
    assert.deepEqual(seen, [false]);
    assert.equal(child.signal.aborted, true);
  });

  test('a child that must not end yet keeps its resources, and does not block its parent', async () => {
    const { lifetime: parent, reported } = reporting();
    const log: string[] = [];
    const error = new Error('the container still runs');
    await parent.acquire(pretendedResource('of the parent', log));
    const child = parent.child('child', { before: () => Promise.reject(error) });
    await child.acquire(pretendedResource('of the child', log));
    const failures = await parent.end();
    assert.deepEqual(failures, [{ lifetime: 'parent', owner: SERVICE, what: 'child', error }]);
    assert.deepEqual(reported, failures);
    assert.equal(child.signal.aborted, false);
    assert.deepEqual(
      parent.holdings.list().map(({ what, lifetime }) => [what, lifetime]),
      [['of the child', 'child']],
    );
    assert.deepEqual(log.slice(2), ['release of the parent', 'look for of the parent']);
  });

  test('an ended lifetime cannot have new children', async () => {
    const parent = new Lifetime('parent');
    const reason = new Error('over');
    await parent.end(reason);
    assert.throws(
      () => parent.child('child'),
      (thrown) => thrown === reason,
    );
  });

  test("the failures of a child are reported with its parent's, under its name", async () => {
    const { lifetime: parent, reported } = reporting();
    const error = new Error('broken');
    await parent.child('child').defer('breaks', () => Promise.reject(error));
    await parent.end();
    assert.deepEqual(reported, [{ lifetime: 'child', owner: SERVICE, what: 'breaks', error }]);
  });

  test('ended children leave nothing behind in their parent', async () => {
    const parent = new Lifetime('parent');
    let asked = 0;
    for (let i = 0; i < 1000; i++) {
      const child = parent.child(`child ${i}`, { before: () => asked++ });
      await child.acquire(pretendedResource(`${i}`));
      await child.end();
    }
    assert.deepEqual(parent.holdings.list(), []);
    const last = parent.child('the last', { before: () => asked++ });
    await parent.end();
    assert.equal(asked, 1, 'the parent still held children that had ended');
    assert.equal(last.signal.aborted, true);
  });
});

suite('leaving', () => {
  test('a lifetime that is left undoes nothing, holds nothing, and detaches its resources and its children', async () => {
    const log: string[] = [];
    const { lifetime, reported } = reporting();
    await lifetime.defer('cleanup', () => log.push('cleanup'));
    await lifetime.acquire(pretendedResource('a', [], { release: () => log.push('release a') }));
    const child = lifetime.child('child');
    const detached = { release: () => log.push('release b'), leave: () => log.push('leave b') };
    await child.acquire(pretendedResource('b', [], detached));
    const reason = new Error('another process takes over');
    assert.deepEqual(await lifetime.leave(reason), []);
    assert.equal(child.signal.reason, reason);
    assert.deepEqual(log, ['leave b']);
    assert.deepEqual(lifetime.holdings.list(), []);
    assert.deepEqual(reported, []);
    assert.ok(lifetime.hasLeft && child.hasLeft);
  });

  test('a resource that is being taken when its lifetime is left is left too', async () => {
    const log: string[] = [];
    const lifetime = new Lifetime('x');
    const taken = Promise.withResolvers<string>();
    const detached = { take: () => taken.promise, leave: () => log.push('leave a') };
    const acquired = lifetime.acquire(pretendedResource('a', log, detached));
    const reason = new Error('another process takes over');
    const left = lifetime.leave(reason);
    taken.resolve('a');
    await assert.rejects(acquired, reason);
    await left;
    assert.deepEqual(log, ['leave a']);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('a lifetime that has released everything before it is left has left nothing', async () => {
    const lifetime = new Lifetime('x');
    await lifetime.acquire(pretendedResource('a'));
    await lifetime.end();
    await lifetime.leave(new Error('too late'));
    assert.equal(lifetime.hasLeft, false);
  });
});

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { DeadlineError, unlessAborted, withDeadline } from '../../lifetime/deadline.ts';

function never(): Promise<never> {
  return new Promise(() => {});
}

test('work that finishes in time gives its result', async () => {
  assert.equal(await withDeadline(60_000, 'adding', () => 1 + 1), 2);
  assert.equal(await withDeadline(60_000, 'adding', async () => 1 + 2), 3);
});

test('work that fails in time fails with its own error', async () => {
  const error = new Error('broken');
  const fails = () => Promise.reject(error);
  const throws = () => {
    throw error;
  };
  await assert.rejects(withDeadline(60_000, 'x', fails), (thrown) => thrown === error);
  await assert.rejects(withDeadline(60_000, 'x', throws), (thrown) => thrown === error);
});

test('late work is abandoned, and the error names it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late = withDeadline(250, 'closing the door', never);
  t.mock.timers.tick(250);
  await assert.rejects(late, (error) => {
    assert.ok(error instanceof DeadlineError);
    assert.equal(error.name, 'DeadlineError');
    assert.equal(error.message, 'closing the door did not finish within 250 ms');
    return true;
  });
});

test('late work is notified when its deadline passes, and not before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const signals: AbortSignal[] = [];
  const late = withDeadline(250, 'x', (signal) => {
    signals.push(signal);
    return never();
  });
  t.mock.timers.tick(249);
  assert.equal(signals[0]?.aborted, false);
  t.mock.timers.tick(1);
  assert.equal(signals[0].aborted, true);
  await assert.rejects(late, (error) => error === signals[0]?.reason);
});

test('work that aborts at its deadline counts as late, whatever error it gives', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const givesUp = (settle: 'resolve' | 'reject') => (signal: AbortSignal) => {
    const work = Promise.withResolvers<unknown>();
    signal.addEventListener('abort', () => work[settle](new Error('The operation was aborted')));
    return work.promise;
  };
  for (const settle of ['resolve', 'reject'] as const) {
    const late = withDeadline(250, 'x', givesUp(settle));
    t.mock.timers.tick(250);
    await assert.rejects(late, DeadlineError, `when it ${settle}s`);
  }
});

test('errors of work after its deadline are ignored', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const work = Promise.withResolvers<void>();
  const late = withDeadline(1, 'x', () => work.promise);
  t.mock.timers.tick(1);
  await assert.rejects(late, DeadlineError);
  const unhandled = t.mock.fn();
  process.on('unhandledRejection', unhandled);
  t.after(() => process.off('unhandledRejection', unhandled));
  work.reject(new Error('too late'));
  // Node checks for unhandled rejections before it runs this.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(unhandled.mock.callCount(), 0);
});

test('work without a deadline is awaited', async (t) => {
  const setTimeout = t.mock.method(globalThis, 'setTimeout');
  const result = await withDeadline(Infinity, 'x', async (signal) => signal.aborted);
  assert.equal(result, false);
  assert.equal(setTimeout.mock.callCount(), 0);
  await assert.rejects(
    withDeadline(Infinity, 'x', () => Promise.reject(new Error('broken'))),
    /broken/,
  );
});

test('no timer keeps running after work that finished in time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const signals: AbortSignal[] = [];
  await withDeadline(250, 'x', (signal) => signals.push(signal));
  await assert.rejects(
    withDeadline(250, 'x', (signal) => {
      signals.push(signal);
      throw new Error('broken');
    }),
    /broken/,
  );
  t.mock.timers.tick(250);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [false, false],
  );
});

test('work that a signal can cut short gives its result or its error, and leaves no listener', async () => {
  const { signal } = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(3), signal), 3);
  const error = new Error('cannot');
  await assert.rejects(unlessAborted(Promise.reject(error), signal), error);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('a signal cuts the wait short with its reason, and the later failure of the work is ignored', async () => {
  const abort = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const waiting = unlessAborted(promise, abort.signal);
  const reason = new Error('the end');
  abort.abort(reason);
  await assert.rejects(waiting, reason);
  reject(new Error('too late'));
  await assert.rejects(unlessAborted(Promise.resolve(3), abort.signal), reason);
  await assert.rejects(unlessAborted(Promise.reject(new Error('nobody waits')), abort.signal), reason);
});

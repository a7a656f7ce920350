import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Change, Given } from '../../host/notice-watch.ts';
import { NOTICE_KINDS, type NoticeAction, type NoticeKind } from '../../host/notices.ts';
import { createLogger } from '../../logging/logger.ts';
import { Draining } from '../../src/draining.ts';
import { Notices } from '../../src/notices/notices.ts';
import { type Load, timeToStop } from '../../src/notices/time-to-stop.ts';
import fc from '../support/properties.ts';

const MIB = 2 ** 20;
const NOTHING: Load = { containers: 0, hasAgent: false, toSave: undefined };
const DEFAULTS = { spot: 'end', rebalance: 'drain', 'scale-in': 'drain', maintenance: 'tell' } as const;
const MINUTES = 60_000;

/** A host whose notices a test sets, and the effects on it. */
class Bench {
  readonly told: string[] = [];
  readonly events: string[] = [];
  now = 0;
  load = NOTHING;
  endsAt: string | undefined;
  stops = 0;
  checkpoints = 0;
  isOpen = true;
  readonly draining = new Draining({
    tracker: () => ({
      drain: async () => {
        this.isOpen = false;
      },
      reopen: () => {
        this.isOpen = true;
      },
    }),
    tell: (isDraining) => void this.told.push(isDraining ? 'drains' : 'runs'),
  });
  readonly notices: Notices;

  constructor(actions: Partial<Record<NoticeKind, NoticeAction>> = {}) {
    this.draining.started();
    this.notices = new Notices({
      actions: { ...DEFAULTS, ...actions },
      draining: this.draining,
      ending: {
        tell: (at) => {
          this.endsAt = at;
        },
        checkpoint: async () => {
          this.checkpoints += 1;
        },
      },
      load: () => this.load,
      event: (code, cause) => void this.events.push(`${code}: ${cause}`),
      stop: () => {
        this.stops += 1;
      },
      log: createLogger({ level: 'fatal', stream: { write: () => {} } }),
      clock: () => this.now,
    });
  }

  heed(is: Change['is'], given: Given): void {
    this.notices.heed({ is, given });
  }

  /** As its timer does. */
  async reckon(): Promise<void> {
    const over = new AbortController();
    const running = this.notices.run(over.signal);
    over.abort();
    await running;
  }
}

const AT = Date.parse('2026-05-01T10:02:00Z');
const SINCE = '2026-05-01T10:00:00.000Z';

function given(kind: NoticeKind, due?: number, id: string = kind): Given {
  return {
    notice: { kind, id, what: 'terminate', at: due === undefined ? undefined : AT },
    due,
    since: SINCE,
  };
}

suite('the reaction to notices', () => {
  test("a Spot notice drains the host, saves all users' files at once, tells programs when, and stops in time", async () => {
    const bench = new Bench();
    bench.heed('given', given('spot', 2 * MINUTES));
    assert.equal(bench.isOpen, false);
    assert.deepEqual(bench.told, ['drains']);
    assert.equal(bench.checkpoints, 1);
    assert.equal(bench.endsAt, '2026-05-01T10:02:00.000Z');
    assert.deepEqual(bench.events, [
      'notice: EC2 reclaims this Spot instance (terminate at 2026-05-01T10:02:00.000Z): the service accepts no more containers, and stops in time',
    ]);
    bench.now = 2 * MINUTES - timeToStop(NOTHING) - 1;
    await bench.reckon();
    assert.equal(bench.stops, 0);
    bench.now += 1;
    await bench.reckon();
    assert.equal(bench.stops, 1);
  });

  test('the more there is to save, and the slower saves are, the earlier a stop begins', async () => {
    const bench = new Bench();
    bench.heed('given', given('spot', 2 * MINUTES));
    const toSave = { sessions: 20, bytes: 400 * MIB, perSecond: 10 * MIB };
    bench.load = { containers: 20, hasAgent: true, toSave };
    bench.now = 2 * MINUTES - timeToStop(NOTHING) - 1;
    await bench.reckon();
    assert.equal(bench.stops, 1);
  });

  test('a withdrawn notice ends the drain and the announcement to programs', () => {
    const bench = new Bench();
    bench.heed('given', given('spot', 2 * MINUTES));
    bench.heed('withdrawn', given('spot', 2 * MINUTES));
    assert.equal(bench.isOpen, true);
    assert.deepEqual(bench.told, ['drains', 'runs']);
    assert.equal(bench.endsAt, undefined);
    assert.deepEqual(bench.notices.views, []);
    assert.match(bench.events[1] ?? '', /^notice-withdrawn: withdrawn: EC2 reclaims this Spot instance/);
  });

  test('after a withdrawal there is no stop', async () => {
    const bench = new Bench();
    bench.heed('given', given('spot', 2 * MINUTES));
    bench.heed('withdrawn', given('spot', 2 * MINUTES));
    bench.now = 3 * MINUTES;
    await bench.reckon();
    assert.equal(bench.stops, 0);
  });

  test('a drain continues while another notice, or an operator, requests it', () => {
    const bench = new Bench();
    bench.heed('given', given('rebalance'));
    bench.heed('given', given('spot', 2 * MINUTES));
    bench.heed('withdrawn', given('rebalance'));
    assert.equal(bench.isOpen, false);
    bench.draining.begin('operator');
    bench.heed('withdrawn', given('spot', 2 * MINUTES));
    assert.equal(bench.isOpen, false);
    assert.deepEqual(bench.told, ['drains']);
  });

  test('a rebalance recommendation and a termination by Auto Scaling drain the host without a stop', async () => {
    for (const kind of ['rebalance', 'scale-in'] as const) {
      const bench = new Bench();
      bench.heed('given', given(kind));
      bench.now = 60 * MINUTES;
      await bench.reckon();
      assert.deepEqual([bench.isOpen, bench.stops, bench.checkpoints], [false, 0, 0], kind);
      assert.equal(bench.endsAt, undefined, 'nobody knows the moment');
    }
  });

  test('maintenance is reported and changes nothing else', async () => {
    const bench = new Bench();
    bench.heed('given', given('maintenance', 60 * MINUTES));
    bench.now = 61 * MINUTES;
    await bench.reckon();
    assert.deepEqual([bench.isOpen, bench.stops, bench.told], [true, 0, []]);
    assert.equal(bench.events.length, 1);
    assert.deepEqual(bench.notices.views, [
      {
        kind: 'maintenance',
        what: 'terminate',
        at: '2026-05-01T10:02:00.000Z',
        since: SINCE,
        action: 'tell',
      },
    ]);
  });

  for (const kind of NOTICE_KINDS) {
    test(`with tell, a notice of ${kind} changes nothing`, async () => {
      const bench = new Bench({ [kind]: 'tell' });
      bench.heed('given', given(kind, 2 * MINUTES));
      bench.now = 2 * MINUTES;
      await bench.reckon();
      assert.deepEqual([bench.isOpen, bench.stops, bench.checkpoints], [true, 0, 0]);
      assert.equal(bench.endsAt, kind === 'spot' ? '2026-05-01T10:02:00.000Z' : undefined);
    });

    test(`with drain, a notice of ${kind} drains the host and does not stop it`, async () => {
      const bench = new Bench({ [kind]: 'drain' });
      bench.heed('given', given(kind, 2 * MINUTES));
      bench.now = 2 * MINUTES;
      await bench.reckon();
      assert.deepEqual([bench.isOpen, bench.stops], [false, 0]);
      assert.equal(bench.checkpoints, kind === 'spot' ? 1 : 0);
    });

    test(`with end, a notice of ${kind} without a moment stops the service at once`, () => {
      const bench = new Bench({ [kind]: 'end' });
      bench.heed('given', given(kind));
      assert.deepEqual([bench.isOpen, bench.stops > 0, bench.endsAt], [false, true, SINCE]);
      assert.equal(bench.notices.leftToSave, undefined, 'saves get their usual time');
    });
  }

  test('a Spot notice whose moment has just passed stops the service at once, and a much older one does nothing', () => {
    const just = new Bench();
    just.heed('given', given('spot', -MINUTES));
    assert.deepEqual([just.isOpen, just.stops > 0], [false, true]);
    const long = new Bench();
    long.heed('given', given('spot', -6 * MINUTES));
    assert.deepEqual([long.isOpen, long.stops, long.checkpoints, long.endsAt], [true, 0, 0, undefined]);
    assert.match(long.events[0] ?? '', /its time is long past, so the service continues as before$/);
  });

  test('a notice that arrives before containers are hosted is announced again when they are', () => {
    const bench = new Bench();
    bench.heed('given', given('spot', 2 * MINUTES));
    bench.notices.hosting();
    assert.equal(bench.checkpoints, 2);
    assert.equal(bench.events[1], bench.events[0]);
  });

  test('the saves of any stop get the time that EC2 leaves, and no notice of a later day changes that', () => {
    const bench = new Bench({ spot: 'tell', maintenance: 'end' });
    bench.heed('given', given('maintenance', 24 * 60 * MINUTES));
    assert.equal(bench.notices.leftToSave, undefined);
    bench.heed('given', given('spot', 2 * MINUTES));
    assert.equal(bench.notices.left, 2 * MINUTES - 20_000);
    assert.equal(bench.notices.leftToSave, 2 * MINUTES - 15_000, 'saves continue beside the last heartbeat');
    bench.now = 3 * MINUTES;
    assert.equal(bench.notices.leftToSave, 0);
  });

  test('the earlier moment of two notices counts', async () => {
    const bench = new Bench({ maintenance: 'end' });
    bench.heed('given', given('maintenance', 60 * MINUTES, 'one'));
    bench.heed('given', given('maintenance', 30 * MINUTES, 'two'));
    bench.now = 30 * MINUTES - timeToStop(NOTHING);
    await bench.reckon();
    assert.equal(bench.stops, 1);
  });
});

test('the time for a stop grows with its work, and without work it is the time for the reports', () => {
  const loads = fc.record({
    containers: fc.nat(54),
    hasAgent: fc.boolean(),
    toSave: fc.record({
      sessions: fc.nat(54),
      bytes: fc.nat(2 ** 31 - 1),
      perSecond: fc.option(fc.integer({ min: 1, max: 2 ** 30 }), { nil: undefined }),
    }),
  });
  assert.equal(timeToStop(NOTHING), 20_000);
  fc.assert(
    fc.property(loads, fc.nat(2 ** 20), ({ toSave, ...load }, more) => {
      const time = timeToStop({ ...load, toSave });
      assert.ok(time >= 20_000 && Number.isFinite(time));
      assert.ok(timeToStop({ ...load, toSave: { ...toSave, bytes: toSave.bytes + more } }) >= time);
      assert.ok(timeToStop({ ...load, containers: load.containers + 1, toSave }) >= time);
    }),
  );
});

test('54 containers with 100 MB each, over an uplink that is just fast enough, are stopped at once', () => {
  const bytes = 54 * 100_000_000;
  const load = { containers: 54, hasAgent: true, toSave: { sessions: 54, bytes, perSecond: bytes / 80 } };
  assert.ok(timeToStop(load) > 2 * MINUTES);
});

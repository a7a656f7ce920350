import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Imds } from '../../host/imds.ts';
import { type Change, NoticeWatch } from '../../host/notice-watch.ts';
import { type NoticeKind, PATHS, readNotices } from '../../host/notices.ts';
import { createLogger } from '../../logging/logger.ts';
import { HttpClient } from '../../outgoing/http-client.ts';
import fc from '../support/properties.ts';
import { Recorder } from '../support/recorder.ts';
import { imds as standIn } from '../support/world.ts';

const never = new AbortController().signal;

/** EC2's clock at the start, and this host's clock, which is days off. */
const BEGINNING = Date.parse('2026-05-01T10:00:00Z');
const WRONG = Date.parse('2019-01-01T00:00:00Z');

const spotAt = (at: number, action = 'terminate') =>
  JSON.stringify({ action, time: new Date(at).toISOString() });

const REBOOT = {
  NotBefore: '21 Jan 2027 09:00:43 GMT',
  Code: 'system-reboot',
  Description: 'scheduled reboot',
  EventId: 'instance-event-0d59937288b749b32',
  NotAfter: '21 Jan 2027 09:17:23 GMT',
  State: 'active',
};

const REBOOT_LIKE = {
  EventId: fc.string(),
  Code: fc.string(),
  State: fc.constantFrom('active', 'completed'),
  NotBefore: fc.string(),
};

/** A watch with a test's metadata, and with clocks that a test sets. */
class Bench {
  readonly items = new Map<NoticeKind, string>();
  readonly changes: Change[] = [];
  readonly lines: { level: number; msg: string }[] = [];
  fails = false;
  /** Whether EC2 sends its time. */
  saysTime = true;
  elapsed = 0;
  readonly watch = new NoticeWatch({
    imds: { find: async (path) => this.#find(path) },
    log: createLogger({
      level: 'debug',
      stream: { write: (line) => void this.lines.push(JSON.parse(line)) },
    }),
    tell: (change) => void this.changes.push(change),
    clock: () => this.elapsed,
    now: () => WRONG + this.elapsed,
  });

  #find(path: string) {
    if (this.fails) throw new Error('no answer');
    const kind = (Object.keys(PATHS) as NoticeKind[]).find((one) => PATHS[one] === path) ?? assert.fail(path);
    const text = this.items.get(kind);
    return text === undefined
      ? undefined
      : { text, at: this.saysTime ? BEGINNING + this.elapsed : undefined };
  }

  /** Looks once, and again later. @returns the reports in between */
  async look(times = 1): Promise<Change[]> {
    const before = this.changes.length;
    for (let time = 0; time < times; time += 1) {
      await this.watch.look(never);
      this.elapsed += 5000;
    }
    return this.changes.slice(before);
  }

  warnings(): string[] {
    return this.lines.filter(({ level }) => String(level) === 'warn' || level === 40).map(({ msg }) => msg);
  }
}

suite("the watch of EC2's notices", () => {
  for (const [kind, text, what] of [
    ['spot', spotAt(BEGINNING + 120_000), 'terminate'],
    ['spot', spotAt(BEGINNING + 120_000, 'hibernate'), 'hibernate'],
    ['rebalance', '{"noticeTime": "2026-05-01T10:00:00Z"}', 'rebalance'],
    ['scale-in', 'Terminated', 'terminate'],
    ['scale-in', 'Warmed:Terminated', 'terminate'],
    ['maintenance', JSON.stringify([REBOOT]), 'system-reboot'],
  ] as const) {
    test(`a notice of ${kind} (${what}) is reported once, although each request returns it, and so is its withdrawal`, async () => {
      const bench = new Bench();
      assert.deepEqual(await bench.look(2), []);
      bench.items.set(kind, text);
      const told = await bench.look(3);
      assert.deepEqual(
        told.map(({ is, given: { notice } }) => [is, notice.kind, notice.what]),
        [['given', kind, what]],
      );
      assert.equal(bench.watch.given.length, 1);
      bench.items.delete(kind);
      assert.deepEqual(await bench.look(), [], 'one missing look is not a withdrawal yet');
      assert.deepEqual(
        (await bench.look(3)).map(({ is, given }) => [is, given]),
        [['withdrawn', told[0]?.given]],
      );
      assert.deepEqual(bench.watch.given, []);
    });
  }

  test('a notice that is missing in a single request does not count as withdrawn', async () => {
    const bench = new Bench();
    for (let time = 0; time < 3; time += 1) {
      bench.items.set('spot', spotAt(BEGINNING + 120_000));
      await bench.look();
      bench.items.delete('spot');
      await bench.look();
    }
    assert.deepEqual(
      bench.changes.map(({ is }) => is),
      ['given'],
    );
  });

  test("the moment of a notice is computed with EC2's clock, although the host's is years off", async () => {
    const bench = new Bench();
    bench.elapsed = 7000;
    bench.items.set('spot', spotAt(BEGINNING + 107_000));
    bench.items.set('maintenance', JSON.stringify([REBOOT]));
    const [spot, maintenance] = await bench.look();
    // Minus the second by which EC2 may be ahead of its answer.
    assert.equal(spot?.given.due, 7000 + 99_000);
    assert.equal(maintenance?.given.due, Date.parse(REBOOT.NotBefore) - BEGINNING - 1000);
    assert.equal(maintenance.given.notice.at, Date.parse(REBOOT.NotBefore));
  });

  test('a Spot notice without a time, or without a known clock, has a moment within two minutes', async () => {
    for (const text of ['{"action":"terminate"}', '{"action":"stop","time":"soon"}', spotAt(BEGINNING)]) {
      const bench = new Bench();
      bench.saysTime = false;
      bench.items.set('spot', text);
      const [told] = await bench.look();
      assert.equal(told?.given.due, 120_000, text);
    }
  });

  test('a notice that arrives late, or is in the past, has a moment that is near or over', async () => {
    for (const ahead of [3000, -60_000]) {
      const bench = new Bench();
      bench.items.set('spot', spotAt(BEGINNING + ahead));
      assert.equal((await bench.look())[0]?.given.due, ahead - 1000);
    }
  });

  test('a notice that EC2 changes is reported again', async () => {
    const bench = new Bench();
    bench.items.set('spot', spotAt(BEGINNING + 120_000));
    await bench.look(2);
    bench.items.set('spot', spotAt(BEGINNING + 60_000));
    const told = await bench.look(2);
    assert.deepEqual(
      told.map(({ is, given: { due } }) => [is, due]),
      [['changed', 59_000]],
    );
    bench.items.set('spot', spotAt(BEGINNING + 60_000, 'stop'));
    assert.deepEqual(
      (await bench.look(2)).map(({ is, given: { notice } }) => [is, notice.what]),
      [['changed', 'stop']],
    );
  });

  test('each maintenance event is a separate notice, unless it is over or cancelled', async () => {
    const bench = new Bench();
    const other = { ...REBOOT, EventId: 'instance-event-1', Code: 'instance-stop' };
    bench.items.set(
      'maintenance',
      JSON.stringify([REBOOT, other, { ...REBOOT, EventId: 'x', State: 'canceled' }]),
    );
    assert.deepEqual(
      (await bench.look()).map(({ given: { notice } }) => notice.what),
      ['system-reboot', 'instance-stop'],
    );
    bench.items.set('maintenance', JSON.stringify([{ ...REBOOT, State: 'completed' }, other]));
    assert.deepEqual(
      (await bench.look(2)).map(({ is, given: { notice } }) => [is, notice.what]),
      [['withdrawn', 'system-reboot']],
    );
  });

  test('an instance that stays in its group has no notice', async () => {
    for (const state of ['InService', 'Standby', 'Detached', 'Warmed:Stopped', 'Warmed:Running']) {
      const bench = new Bench();
      bench.items.set('scale-in', state);
      assert.deepEqual(await bench.look(2), [], state);
      assert.deepEqual(bench.warnings(), []);
    }
  });

  for (const [kind, texts] of [
    [
      'spot',
      ['', 'null', '[]', '{}', '<html>', '{"action":1}', '{"action":"a b","time":"x"}', '{"action":"x"'],
    ],
    ['rebalance', ['', 'null', '[]', '"x"', '<html>']],
    ['scale-in', ['', '<html>', 'two words', 'x'.repeat(101), 'Terminated\n']],
    ['maintenance', ['', '{}', 'null', '[1]', '[null]', '[{"State":"active"}]', '<html>']],
  ] as const) {
    test(`an unreadable notice of ${kind} counts as none, withdraws none, and is reported once`, async () => {
      for (const text of texts) {
        const bench = new Bench();
        bench.items.set(kind, text);
        assert.deepEqual(await bench.look(3), [], text);
        assert.deepEqual(bench.warnings(), ['ignored an EC2 notice that cannot be parsed'], text);
      }
      const bench = new Bench();
      const good = {
        spot: spotAt(BEGINNING),
        rebalance: '{}',
        'scale-in': 'Terminated',
        maintenance: JSON.stringify([REBOOT]),
      };
      bench.items.set(kind, good[kind]);
      await bench.look();
      bench.items.set(kind, texts[0]);
      assert.deepEqual(await bench.look(5), []);
    });
  }

  test('any metadata result in notices, or in an error that says why not', () => {
    const kinds = fc.constantFrom(...(Object.keys(PATHS) as NoticeKind[]));
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(fc.record(REBOOT_LIKE)).map((some) => JSON.stringify(some)),
    );
    fc.assert(
      fc.property(kinds, texts, (kind, text) => {
        try {
          for (const { what, at } of readNotices(kind, text)) {
            assert.match(what, /^[\w:.-]{1,100}$/);
            assert.ok(at === undefined || Number.isFinite(at));
          }
        } catch (error) {
          assert.match(String(error), /^Error: (it|one of its events) /);
        }
      }),
    );
  });

  test('failing metadata withdraw nothing, and are reported once after a minute, and when they recover', async () => {
    const bench = new Bench();
    bench.items.set('rebalance', '{}');
    await bench.look();
    bench.fails = true;
    assert.deepEqual(await bench.look(11), []);
    assert.deepEqual(bench.warnings(), []);
    await bench.look(20);
    assert.deepEqual(bench.warnings(), ['cannot read EC2 notices from the instance metadata']);
    bench.fails = false;
    assert.deepEqual(await bench.look(), []);
    assert.equal(bench.lines.at(-1)?.msg, 'EC2 notices can be read again');
    assert.equal(bench.watch.given.length, 1);
  });

  test('the watch uses one session token, requests each kind of notice once per interval, and ends with its signal', async (t) => {
    const recorder = await Recorder.open({ reply: standIn({ [PATHS['scale-in']]: 'Terminated' }) });
    const http = new HttpClient();
    t.after(async () => {
      await http.close();
      await recorder.close();
    });
    const over = new AbortController();
    const { promise, resolve } = Promise.withResolvers<Change>();
    const watch = new NoticeWatch({
      imds: new Imds(http, new URL(recorder.url)),
      log: createLogger({ level: 'error', stream: { write: () => {} } }),
      tell: resolve,
      between: 1,
    });
    const running = watch.run(over.signal);
    assert.equal((await promise).given.notice.kind, 'scale-in');
    const count = () => recorder.requests.filter(({ path }) => path.endsWith(PATHS.spot)).length;
    while (count() < 3) await recorder.request(() => count() >= 3);
    over.abort();
    await running;
    const tokens = recorder.requests.filter(({ path }) => path === '/latest/api/token');
    assert.equal(tokens.length, 1);
    const asked = recorder.requests.slice(1, 5).map(({ path }) => path.replace('/latest/meta-data/', ''));
    assert.deepEqual(asked.sort(), Object.values(PATHS).sort());
  });
});

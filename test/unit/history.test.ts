import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { readProcessorTime } from '../../host/processor.ts';
import { History } from '../../httpserver/v1/history-schemas.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { misfit } from '../../parsing/json.ts';
import { Diagnoses } from '../../src/doctor/diagnoses.ts';
import { type HostUse, History as Kept, useOfHost } from '../../src/metrics/history.ts';

const HALF_MINUTE = 30_000;

suite('the history of a host', () => {
  /** A history of a host that has been busy for a quarter of each half minute. */
  async function begun(t: TestContext, spool: { files: number; bytes: number } | undefined) {
    t.mock.timers.enable({ apis: ['setInterval'] });
    let total = 0;
    const kept = new Kept({ containers: () => 3, spool: () => spool, predecessorDied: () => false });
    const look = async (): Promise<HostUse> => {
      total += 400;
      return {
        processor: { busy: total / 4, total },
        memory: { size: 1000, used: 300 },
        disk: { size: 2000, used: 500 },
      };
    };
    const lifetime = new Lifetime('test');
    kept.begin(lifetime, look);
    await allElseHasRun();
    const pass = async (times: number) => {
      for (let i = 0; i < times; i++) {
        t.mock.timers.tick(HALF_MINUTE);
        await allElseHasRun();
      }
    };
    return { kept, lifetime, pass };
  }

  test('has a sample for each half minute of the last hour and no more, until the service ends', async (t) => {
    const { kept, lifetime, pass } = await begun(t, { files: 1, bytes: 7 });
    assert.equal(kept.view.samples.length, 1);
    await pass(1);
    const { at, ...sample } = kept.view.samples[1] as History['samples'][number];
    assert.ok(Date.parse(at) > 0);
    const waiting = { files: 1, bytes: 7 };
    assert.deepEqual(sample, { containers: 3, processor: 0.25, memory: 300, disk: 500, ends: 0, waiting });
    await pass(200);
    assert.equal(kept.view.samples.length, 120);
    assert.deepEqual(kept.view.sizes, { memory: 1000, disk: 2000 });
    assert.equal(misfit(History, kept.view), undefined);
    await lifetime.end();
    const last = kept.view.samples;
    await pass(1);
    assert.equal(kept.view.samples, last);
  });

  test('counts ended containers by cause, and resources that cannot be released', async (t) => {
    const { kept, lifetime, pass } = await begun(t, undefined);
    for (const code of ['exited', 'exited', 'operator']) kept.ending(code);
    kept.notReleased();
    await pass(2);
    const { ended, notReleased, samples } = kept.view;
    assert.deepEqual([ended, notReleased], [{ exited: 2, operator: 1 }, 1]);
    assert.deepEqual(
      samples.map(({ ends, waiting }) => [ends, waiting]),
      [
        [0, undefined],
        [3, undefined],
        [0, undefined],
      ],
    );
    await lifetime.end();
  });

  test('continues after a failed measurement of the host', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    let looks = 0;
    const kept = new Kept({ containers: () => 0, spool: () => undefined, predecessorDied: () => false });
    const lifetime = new Lifetime('test');
    kept.begin(lifetime, async () => {
      looks += 1;
      if (looks === 1) throw new Error('the disk is away');
      return await useOfHost('/');
    });
    await allElseHasRun();
    t.mock.timers.tick(HALF_MINUTE);
    while (kept.view.samples.length === 0) await allElseHasRun();
    const { memory, disk } = kept.view.sizes;
    assert.ok(memory > 0 && disk > 0 && looks === 2);
    await lifetime.end();
  });
});

test('CPU time is read from the first line of /proc/stat, and guest time is not counted twice', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'stat-'));
  const file = join(directory.path, 'stat');
  await writeFile(file, 'cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n');
  assert.deepEqual(await readProcessorTime(file), { busy: 81, total: 531 });
  await writeFile(file, 'intr 1\n');
  await assert.rejects(readProcessorTime(file), /has no line for all processors/);
});

suite('the doctor of a running service', () => {
  test('runs once for all concurrent callers, and at most once a minute', async () => {
    let [now, runs] = [0, 0];
    const first = Promise.withResolvers<void>();
    const run = async () => {
      runs += 1;
      await first.promise;
      return { at: String(runs), findings: [], leaks: [] };
    };
    const diagnoses = new Diagnoses({}, run, () => now);
    const asked = [diagnoses.latest(), diagnoses.latest()];
    now = 100_000;
    asked.push(diagnoses.latest());
    first.resolve();
    for (const one of await Promise.all(asked)) assert.equal(one.at, '1');
    now += 59_000;
    assert.equal((await diagnoses.latest()).at, '1');
    now += 1000;
    assert.equal((await diagnoses.latest()).at, '2');
  });

  test('runs again a minute after a failure', async () => {
    let [now, runs] = [0, 0];
    const run = async () => {
      runs += 1;
      if (runs === 1) throw new Error('no');
      return { at: 'x', findings: [] };
    };
    const diagnoses = new Diagnoses({}, run, () => now);
    for (let i = 0; i < 3; i++) await assert.rejects(diagnoses.latest(), /no/);
    assert.equal(runs, 1);
    now = 60_000;
    assert.equal((await diagnoses.latest()).at, 'x');
  });
});

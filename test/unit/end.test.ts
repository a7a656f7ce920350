import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { Gate } from '../../httpserver/gate.ts';
import type { Hosting } from '../../httpserver/hosting.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { type Cause, type Ended, endService } from '../../src/end.ts';
import { Patience } from '../../src/patience.ts';

const BY_EC2: Cause = { kind: 'asked', by: 'EC2' };

/** A service whose containers end when a test says so. */
class Bench {
  readonly story: string[] = [];
  readonly ending = Promise.withResolvers<void>();
  left: number | undefined;
  saves = 0;

  async end(cause: Cause): Promise<void> {
    const { story } = this;
    const parts = {
      root: new Lifetime('test'),
      starting: new AbortController(),
      gate: new Gate<Hosting>(),
      hosting: {
        tracker: {
          list: () => [],
          endUnclaimed: async () => [],
          letGo: () => {},
          endAll: async ({ code }: { code: string }) => {
            story.push(`ends: ${code}`);
            await this.ending.promise;
            story.push('ended');
          },
        },
        kept: { removeAll: async () => {} },
      },
      agent: undefined,
      userConfigs: {
        finish: async (late: AbortSignal) => {
          story.push(late.aborted ? 'no time for uploads' : 'uploads');
          return this.saves;
        },
      },
      heeding: {
        left: undefined,
        finish: async () => void story.push('completes the hook'),
      },
      presence: undefined,
      countUnsaved: async () => this.saves,
      reporting: {
        tellStop: async () => void story.push('tells the stop'),
        tellDeath: async () => void story.push('tells the death'),
        terminateInstance: async () => {},
      },
      log: createLogger({ level: 'silent', stream: { write: () => {} } }),
    };
    for (const name of ['left', 'leftToSave'])
      Object.defineProperty(parts.heeding, name, { get: () => this.left });
    const before = process.exitCode;
    await endService(cause, parts as unknown as Ended);
    process.exitCode = before;
  }

  async told(what: string): Promise<void> {
    while (!this.story.includes(what)) await new Promise((resolve) => setImmediate(resolve));
  }
}

suite('the end of a service', { timeout: 30_000 }, () => {
  test('on a host that stays, the stop is reported once everything has ended and is saved', async () => {
    const bench = new Bench();
    bench.ending.resolve();
    await bench.end({ kind: 'asked', by: 'SIGTERM' });
    assert.deepEqual(bench.story, [
      'ends: service-stopped',
      'ended',
      'uploads',
      'tells the stop',
      'completes the hook',
    ]);
  });

  test('on a host that EC2 reclaims, the stop is reported in time, although containers are still ending', async () => {
    const bench = new Bench();
    bench.left = 60_000;
    const ended = bench.end(BY_EC2);
    await bench.told('ends: ec2-notice');
    bench.left = 0;
    await bench.told('tells the stop');
    bench.ending.resolve();
    await ended;
    assert.deepEqual(bench.story, [
      'ends: ec2-notice',
      'tells the stop',
      'ended',
      'uploads',
      'completes the hook',
    ]);
  });

  test('a notice that arrives during a stop is obeyed too', async () => {
    const bench = new Bench();
    const ended = bench.end({ kind: 'asked', by: 'SIGTERM' });
    await bench.told('ends: service-stopped');
    bench.left = 0;
    await bench.told('tells the stop');
    assert.ok(!bench.story.includes('ended'));
    bench.ending.resolve();
    await ended;
  });

  test('the lifecycle hook is not completed while saves wait on the host', async () => {
    const bench = new Bench();
    bench.ending.resolve();
    bench.saves = 1;
    await bench.end(BY_EC2);
    assert.ok(!bench.story.includes('completes the hook'));
  });

  test('a crash is reported once, whatever EC2 says', async () => {
    const bench = new Bench();
    bench.left = 0;
    bench.ending.resolve();
    await bench.end({ kind: 'died', error: new Error('on purpose') });
    assert.deepEqual(bench.story, ['tells the death', 'ends: service-died', 'ended', 'uploads']);
  });
});

test('a time limit that is moved ends when nothing of it is left', async () => {
  let left = 1000;
  using patience = new Patience(() => left, 1);
  assert.equal(patience.signal.aborted, false);
  left = 0;
  if (!patience.signal.aborted) await once(patience.signal, 'abort');
  using over = new Patience(() => 0);
  assert.equal(over.signal.aborted, true);
});

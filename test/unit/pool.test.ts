import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { type Allotment, Pool, PoolExhaustedError } from '../../lifetime/pool.ts';
import fc from '../support/properties.ts';

function allotment(changes: Partial<Allotment> = {}): Allotment {
  return {
    kind: 'number',
    describe: (n) => `number ${n}`,
    usable: () => true,
    seenGone: () => 'nobody uses it',
    ...changes,
  };
}

/** A number, and the lifetime that holds it. */
interface Held {
  readonly n: number;
  readonly lifetime: Lifetime;
}

async function hold(pool: Pool, changes: Partial<Allotment> = {}): Promise<Held> {
  const lifetime = new Lifetime('holder');
  return { n: await pool.acquire(lifetime, allotment(changes)), lifetime };
}

async function holdMany(pool: Pool, count: number): Promise<number[]> {
  const numbers: number[] = [];
  for (let i = 0; i < count; i++) numbers.push((await hold(pool)).n);
  return numbers;
}

suite('allotting', () => {
  test('C1, C2: every number is allotted before the pool is exhausted', async () => {
    const pool = new Pool([3, 1, 2]);
    assert.equal(pool.size, 3);
    assert.deepEqual(await holdMany(pool, 3), [1, 2, 3]);
    assert.equal(pool.held, 3);
    await assert.rejects(hold(pool), (error) => {
      assert.ok(error instanceof PoolExhaustedError);
      assert.equal(error.name, 'PoolExhaustedError');
      assert.equal(error.message, 'none of 3 numbers is free: 3 are held, the others are not usable');
      return true;
    });
  });

  test('a number that is listed twice counts once', async () => {
    const pool = new Pool([7, 7]);
    assert.equal(pool.size, 1);
    await hold(pool);
    await assert.rejects(hold(pool), PoolExhaustedError);
  });

  test('a pool without numbers is exhausted', async () => {
    await assert.rejects(hold(new Pool([])), PoolExhaustedError);
  });

  test('a number is a holding of the lifetime that got it', async () => {
    const { n, lifetime } = await hold(new Pool([7]), { kind: 'port', describe: (port) => `tcp ${port}` });
    assert.equal(n, 7);
    assert.deepEqual(
      lifetime.holdings.list().map(({ kind, what, lifetime: owner }) => [kind, what, owner]),
      [['port', 'tcp 7', 'holder']],
    );
  });

  test('concurrent requests get different numbers', async () => {
    const pool = new Pool([1, 2, 3, 4]);
    const held = await Promise.all(Array.from({ length: 4 }, () => hold(pool)));
    assert.deepEqual(new Set(held.map(({ n }) => n)), new Set([1, 2, 3, 4]));
  });

  test('a number is not allotted to another caller while its usability is checked', async () => {
    const pool = new Pool([1]);
    const answer = Promise.withResolvers<boolean>();
    const first = hold(pool, { usable: () => answer.promise });
    await assert.rejects(hold(pool), PoolExhaustedError);
    answer.resolve(true);
    assert.equal((await first).n, 1);
  });
});

suite('the round', () => {
  test('a returned number waits until the round reaches it again', async () => {
    const pool = new Pool([1, 2, 3]);
    const given: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { n, lifetime } = await hold(pool);
      given.push(n);
      await lifetime.end();
    }
    assert.deepEqual(given, [1, 2, 3, 1, 2]);
  });

  test('the round begins at the configured start', async () => {
    const pool = new Pool([10, 20, 30, 40], 25);
    assert.deepEqual(await holdMany(pool, 4), [30, 40, 10, 20]);
    assert.equal((await hold(new Pool([10, 20, 30], 20))).n, 20);
  });

  test('the round begins at the lowest number if none is at or above the configured start', async () => {
    assert.equal((await hold(new Pool([10, 20], 21))).n, 10);
  });
});

suite('requests for a number', () => {
  test('a request for a number comes before the round', async () => {
    const pool = new Pool([1, 2, 3]);
    assert.equal((await hold(pool, { wishes: [3] })).n, 3);
    assert.deepEqual(await holdMany(pool, 2), [1, 2]);
  });

  test('the first requested number that is free is allotted', async () => {
    const pool = new Pool([1, 2, 3]);
    await hold(pool, { wishes: [3] });
    assert.equal((await hold(pool, { wishes: [3, 2] })).n, 2);
  });

  test('a request for a number outside the pool is not granted', async () => {
    assert.equal((await hold(new Pool([1]), { wishes: [5] })).n, 1);
  });

  test('the usability of a requested number is checked once, and then the round is tried', async () => {
    const pool = new Pool([1, 2]);
    const asked: number[] = [];
    const usable = (n: number) => {
      asked.push(n);
      return n !== 1;
    };
    assert.equal((await hold(pool, { wishes: [1], usable })).n, 2);
    assert.deepEqual(asked, [1, 2]);
  });
});

suite('one certain number', () => {
  const take = async (pool: Pool, n: number, changes: Partial<Allotment> = {}) =>
    await pool.acquireThe(new Lifetime('holder'), n, allotment(changes));

  test('a certain number is held only if nobody holds it, it is not set aside, and it is usable', async () => {
    const pool = new Pool([1, 2, 3]);
    assert.equal(await take(pool, 1), true);
    assert.equal(await take(pool, 1), false);
    assert.equal(await take(pool, 2, { usable: () => false }), false);
    pool.setAside(3, 60_000);
    assert.equal(await take(pool, 3), false);
    assert.equal(pool.held, 1);
  });

  test('a certain number outside the pool can be held, and does not count as one of the pool', async () => {
    const pool = new Pool([1]);
    assert.equal(await take(pool, 9), true);
    assert.equal(await take(pool, 9), false);
    assert.deepEqual([pool.held, pool.isHeld(9)], [0, true]);
  });

  test('an adopted number is held without a check until its lifetime ends', async () => {
    const pool = new Pool([1]);
    const lifetime = new Lifetime('adopter');
    await pool.adopt(lifetime, 1, allotment({ usable: () => assert.fail('it is not checked') }));
    assert.equal(pool.held, 1);
    await assert.rejects(hold(pool), PoolExhaustedError);
    await lifetime.end();
    assert.equal((await hold(pool)).n, 1);
  });
});

suite('skipping', () => {
  test('an unusable number is skipped, and stays free for other callers', async () => {
    const pool = new Pool([1, 2]);
    assert.equal((await hold(pool, { usable: async (n) => n !== 1 })).n, 2);
    assert.equal(pool.held, 1);
    assert.equal((await hold(pool)).n, 1);
  });

  test('the pool is exhausted if no number is usable, and holds none of them', async () => {
    const pool = new Pool([1, 2]);
    const asked: number[] = [];
    const usable = (n: number) => {
      asked.push(n);
      return false;
    };
    await assert.rejects(hold(pool, { usable }), /none of 2 numbers is free: 0 are held/);
    assert.deepEqual(asked, [1, 2]);
    assert.equal(pool.held, 0);
  });

  test('a number is free again if its usability cannot be checked', async () => {
    const pool = new Pool([1]);
    await assert.rejects(hold(pool, { usable: () => Promise.reject(new Error('no answer')) }), /no answer/);
    assert.equal(pool.held, 0);
    assert.equal((await hold(pool)).n, 1);
  });

  test('a number that was set aside is skipped until its time is over, even if it is requested', async (t) => {
    let now = 1000;
    t.mock.method(performance, 'now', () => now);
    const pool = new Pool([1, 2]);
    pool.setAside(1, 500);
    now += 499;
    const { n, lifetime } = await hold(pool, { wishes: [1] });
    assert.equal(n, 2);
    await assert.rejects(hold(pool), PoolExhaustedError);
    await lifetime.end();
    now += 1;
    assert.equal((await hold(pool, { wishes: [1] })).n, 1);
  });
});

suite('returning', () => {
  test('a number is not allotted again until it was seen gone', async () => {
    const pool = new Pool([1]);
    const looking = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<string>();
    const seenGone = () => {
      looking.resolve();
      return gone.promise;
    };
    const { lifetime } = await hold(pool, { seenGone });
    const ended = lifetime.end();
    await looking.promise;
    await assert.rejects(hold(pool), PoolExhaustedError);
    gone.resolve('nobody uses it');
    await ended;
    assert.equal((await hold(pool)).n, 1);
  });

  test('a number that is still in use after its holder ended is never allotted again', async () => {
    const pool = new Pool([1]);
    const { lifetime } = await hold(pool, { seenGone: () => Promise.reject(new Error('in use')) });
    assert.equal((await lifetime.end()).length, 1);
    assert.equal(pool.held, 1);
    await assert.rejects(hold(pool), PoolExhaustedError);
  });

  test('an ended lifetime gets no number, and blocks none for others', async () => {
    const pool = new Pool([1]);
    const lifetime = new Lifetime('ended');
    const reason = new Error('over');
    await lifetime.end(reason);
    await assert.rejects(pool.acquire(lifetime, allotment()), (error) => error === reason);
    assert.equal(pool.held, 0);
    assert.equal((await hold(pool)).n, 1);
  });

  test("C31: a lifetime that ends while a number's usability is checked holds none", async () => {
    const pool = new Pool([1]);
    const lifetime = new Lifetime('ends');
    const answer = Promise.withResolvers<boolean>();
    const reason = new Error('over');
    const turnedAway = assert.rejects(
      pool.acquire(lifetime, allotment({ usable: () => answer.promise })),
      (error) => error === reason,
    );
    await lifetime.end(reason);
    answer.resolve(true);
    await turnedAway;
    assert.equal(pool.held, 0);
  });
});

suite('any order of calls', () => {
  const number = fc.integer({ min: 1, max: 12 });
  const numbers = fc.uniqueArray(number, { maxLength: 8 });
  const acquire = fc.record({
    do: fc.constant('acquire' as const),
    wishes: fc.array(number, { maxLength: 3 }),
    unusable: fc.uniqueArray(number, { maxLength: 6 }),
  });
  const end = fc.record({
    do: fc.constant('end' as const),
    which: fc.nat(),
    staysInUse: fc.boolean(),
  });

  /** The pool beside a model of its allowed behaviour. */
  class Trial {
    readonly members: readonly number[];
    readonly pool: Pool;
    readonly held = new Map<number, Lifetime>();
    readonly lost = new Set<number>();
    #staysInUse = false;

    constructor(members: readonly number[]) {
      this.members = members;
      this.pool = new Pool(members);
    }

    isFree(n: number): boolean {
      return this.members.includes(n) && !this.held.has(n) && !this.lost.has(n);
    }

    async acquire(wishes: readonly number[], unusable: readonly number[]): Promise<void> {
      const possible = (n: number) => this.isFree(n) && !unusable.includes(n);
      const lifetime = new Lifetime('holder');
      const asking = this.pool.acquire(
        lifetime,
        allotment({ wishes, usable: (n) => !unusable.includes(n), seenGone: () => this.#seenGone() }),
      );
      if (!this.members.some(possible)) return await assert.rejects(asking, PoolExhaustedError);
      const n = await asking;
      assert.ok(possible(n), `${n} was allotted, which is not free`);
      const granted = wishes.find(possible);
      if (granted !== undefined) assert.equal(n, granted, 'another requested number was free');
      this.held.set(n, lifetime);
    }

    async end(which: number, staysInUse: boolean): Promise<void> {
      const [n, lifetime] = [...this.held].at(which % Math.max(1, this.held.size)) ?? [];
      if (n === undefined || lifetime === undefined) return;
      this.#staysInUse = staysInUse;
      await lifetime.end();
      this.held.delete(n);
      if (staysInUse) this.lost.add(n);
    }

    #seenGone(): string {
      if (this.#staysInUse) throw new Error('in use');
      return 'nobody uses it';
    }
  }

  test('C1, C2: a number is allotted exactly if one is free and usable, and never twice', async () => {
    const steps = fc.array(fc.oneof({ weight: 2, arbitrary: acquire }, { weight: 1, arbitrary: end }), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(numbers, steps, async (members, taken) => {
        const trial = new Trial(members);
        for (const step of taken) {
          if (step.do === 'acquire') await trial.acquire(step.wishes, step.unusable);
          else await trial.end(step.which, step.staysInUse);
          assert.equal(trial.pool.held, trial.held.size + trial.lost.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('between two allotments of a number, each other one was held at some time', async () => {
    const steps = fc.array(fc.oneof(fc.constant('acquire' as const), fc.nat()), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(numbers, fc.integer({ min: 0, max: 13 }), steps, async (members, first, taken) => {
        const pool = new Pool(members, first);
        const held = new Map<number, Lifetime>();
        const heldSince = new Map<number, Set<number>>();
        for (const step of taken) {
          if (step === 'acquire' && held.size < members.length) {
            const { n, lifetime } = await hold(pool);
            const met = heldSince.get(n);
            if (met)
              assert.deepEqual(
                members.filter((m) => m !== n && !met.has(m)),
                [],
                'these numbers were skipped',
              );
            for (const others of heldSince.values()) others.add(n);
            heldSince.set(n, new Set(held.keys()));
            held.set(n, lifetime);
          } else if (step !== 'acquire') {
            const [n, lifetime] = [...held].at(step % Math.max(1, held.size)) ?? [];
            if (n !== undefined) held.delete(n);
            await lifetime?.end();
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('concurrent requests get all usable numbers, in whatever order the checks are answered', async () => {
    const askers = fc.array(fc.array(number, { maxLength: 3 }), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        numbers,
        numbers,
        askers,
        async (scheduler, members, unusable, asks) => {
          const pool = new Pool(members);
          const usable = scheduler.scheduleFunction(async (n: number) => !unusable.includes(n));
          const asking = asks.map((wishes) => hold(pool, { wishes, usable }));
          const answers = Promise.allSettled(asking);
          await scheduler.waitFor(answers);
          const given = (await answers).flatMap((answer) =>
            answer.status === 'fulfilled' ? [answer.value.n] : [],
          );
          const possible = members.filter((n) => !unusable.includes(n));
          assert.equal(new Set(given).size, given.length, 'a number was allotted twice');
          assert.ok(given.every((n) => possible.includes(n)));
          assert.equal(given.length, Math.min(asks.length, possible.length));
          assert.equal(pool.held, given.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

/**
 * Random schedules of slow calls, lost answers, failing handlers, stops and kills, on a clock that jumps.
 * Whatever happens, nothing is lost and no message of a group overtakes another.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Queue } from '../src/queue.ts';
import type { Source } from '../src/receiving/source.ts';
import { type Fault, MemoryQueue, type Operation } from './support/memory-queue.ts';
import { makeSource, NEVER, until } from './support/sources.ts';
import { VirtualClock } from './support/virtual-clock.ts';

type Draw = fc.GeneratorValue;

const GROUPS = ['a', 'b', 'c'];

/** The view of one process: after it is killed, its calls have no effect. */
class Process {
  alive = true;
  readonly source: Source;

  constructor(start: (process: Process) => Source) {
    this.source = start(this);
    this.source.start();
  }

  queue(queue: Queue): Queue {
    const whileAlive =
      <A extends readonly unknown[], R>(call: (...given: A) => Promise<R>) =>
      async (...given: A): Promise<R> => {
        if (!this.alive) return new Promise(() => {});
        const result = await call(...given);
        return this.alive ? result : new Promise(() => {});
      };
    return {
      receive: whileAlive((request) => queue.receive(request)),
      delete: whileAlive((receipts) => queue.delete(receipts)),
      changeVisibility: whileAlive((changes) => queue.changeVisibility(changes)),
      send: whileAlive((messages) => queue.send(messages)),
      largestMessage: () => queue.largestMessage(),
    };
  }
}

interface Rules {
  readonly operations: readonly Operation[];
  /** The longest time of a handler, in milliseconds. */
  readonly slowest: number;
  readonly endings: readonly ('stop' | 'kill')[];
}

/** Runs processes one after another, two at a time, until the queue is empty. */
async function play(draw: Draw, { operations, slowest, endings }: Rules) {
  const clock = new VirtualClock();
  const chance = (percent: number): boolean => draw(fc.integer, { min: 1, max: 100 }) <= percent;
  let calls = 0;
  const queue = new MemoryQueue(clock, (operation): Fault => {
    calls += 1;
    const faulty = calls < 200 && operations.includes(operation) && chance(20);
    const kind = faulty ? draw(fc.constantFrom, 'before', 'after', 'entry') : 'none';
    return { kind, latency: chance(10) ? 500 : 1 } as Fault;
  });
  const bodies = GROUPS.flatMap((group) => Array.from({ length: 12 }, (_, i) => `${group}${i}`));
  for (const body of bodies) queue.put(body.slice(0, 1), body);
  const handled: string[] = [];
  const overtaking: string[] = [];
  const inFlightAtKills = new Set<string>();
  const concurrency = draw(fc.integer, { min: 1, max: 4 });
  const start = (): Process =>
    new Process((process) =>
      makeSource(
        clock,
        process.queue(queue) as MemoryQueue,
        async ({ message: { body } }) => {
          const earlier = bodies.filter(
            (one) => one[0] === body[0] && Number(one.slice(1)) < Number(body.slice(1)),
          );
          if (process.alive && !earlier.every((one) => handled.includes(one))) overtaking.push(body);
          await clock.sleep(draw(fc.integer, { min: 0, max: slowest }));
          if (!process.alive) return new Promise(() => {});
          if (handled.length < 200 && chance(10)) throw new Error('the handler fails');
          return handled.push(body);
        },
        { concurrency, backoff: () => draw(fc.integer, { min: 0, max: 3 }) },
      ),
    );
  const isEmpty = (): boolean => queue.messages.length === 0;
  const live = async (process: Process): Promise<void> => {
    for (const ending of endings) {
      const end = clock.now() + draw(fc.integer, { min: 1, max: 3000 });
      await until(clock, () => clock.now() >= end);
      if (ending === 'stop') await process.source.stop(NEVER);
      else {
        process.alive = false;
        const now = clock.now();
        for (const { visibleAt, body } of queue.messages) if (visibleAt > now) inFlightAtKills.add(body);
      }
      process = start();
    }
    await until(clock, isEmpty, 1000);
    await process.source.stop(NEVER);
  };
  await clock.run(Promise.all([live(start()), live(start())]));
  const twice = handled.filter((body, i) => handled.indexOf(body) !== i);
  return { lost: bodies.filter((body) => !handled.includes(body)), overtaking, twice, inFlightAtKills };
}

test('no message is lost or overtakes another of its group, despite failures, stops and kills', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (draw) => {
      const endings = draw(fc.array, fc.constantFrom('stop' as const, 'kill' as const), { maxLength: 3 });
      const operations = ['receive', 'delete', 'changeVisibility'] as const;
      const { lost, overtaking } = await play(draw, { operations, slowest: 20_000, endings });
      assert.deepEqual({ lost, overtaking }, { lost: [], overtaking: [] });
    }),
    { numRuns: 60 },
  );
});

test('only messages that were in flight when a process was killed are handled twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (draw) => {
      const endings = draw(fc.array, fc.constantFrom('stop' as const, 'kill' as const), { maxLength: 3 });
      const operations = ['receive', 'delete'] as const;
      const { twice, inFlightAtKills } = await play(draw, { operations, slowest: 2000, endings });
      assert.deepEqual(
        twice.filter((body) => !inFlightAtKills.has(body)),
        [],
      );
    }),
    { numRuns: 60 },
  );
});

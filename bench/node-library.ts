/**
 * Measures the cost of the node library compared with a bare loop and with sqs-consumer, on the same queue, and the
 * benefit of its slots.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { inRandomOrder, type Measure, ofPairs } from './measure.ts';
import type { Result, Work } from './node-library/consumer.ts';
import { WARM_UP } from './node-library/warm-up.ts';

const ROUNDS = 5;
const MESSAGES = 20_000;
/** For handlers that take 20 ms. */
const SLOW_MESSAGES = 500;
const MANY = 100_000;

type Side = 'ours' | 'bare' | 'sqs-consumer';
type Load = Pick<Work, 'messages' | 'concurrency' | 'handler'>;

const program = (name: string, word: string) =>
  fork(join(import.meta.dirname, 'node-library', name), [word], { execArgv: ['--expose-gc'] });

async function run(side: Side, load: Load): Promise<Result> {
  const queue = program('queue.ts', String(load.messages + WARM_UP));
  const consumer = program('consumer.ts', side);
  try {
    const [place] = (await once(queue, 'message')) as [Omit<Work, keyof Load>];
    consumer.send({ ...place, ...load });
    const exited = once(consumer, 'exit').then(([code]) => {
      throw new Error(`${side} exited with code ${code}`);
    });
    const [result] = (await Promise.race([once(consumer, 'message'), exited])) as [Result];
    return result;
  } finally {
    for (const child of [consumer, queue]) child.kill('SIGKILL');
  }
}

export const measure: Measure = async (say) => {
  const fast: Load = { messages: MESSAGES, concurrency: 1, handler: 0 };
  const slow: Load = { messages: SLOW_MESSAGES, concurrency: 1, handler: 20 };
  const cpu: [number, number][] = [];
  const rival: [number, number][] = [];
  const slots: [number, number][] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    say(`round ${round} of ${ROUNDS}`);
    const [ours, bare] = await inRandomOrder(
      () => run('ours', fast),
      () => run('bare', fast),
    );
    cpu.push([ours.cpu, bare.cpu]);
    const [mine, theirs] = await inRandomOrder(
      () => run('ours', fast),
      () => run('sqs-consumer', fast),
    );
    rival.push([mine.wall, theirs.wall]);
    const [ten, one] = await inRandomOrder(
      () => run('ours', { ...slow, concurrency: 10 }),
      () => run('ours', slow),
    );
    slots.push([ten.wall, one.wall]);
  }
  say(`${MANY} messages`);
  const {
    memory: [early, late],
  } = await run('ours', { ...fast, messages: MANY });
  return {
    method: `Programs in separate processes handle ${MESSAGES} messages of ten groups from a queue in a third process. The handler does nothing, or takes 20 ms (${SLOW_MESSAGES} messages).`,
    rows: [
      ofPairs('processor time per message: the library over a loop with the SDK alone', cpu, {
        median: 1.15,
      }),
      ofPairs('time per message, one at a time: the library over sqs-consumer', rival, { median: 1 }),
      ofPairs('time with handlers of 20 ms in ten groups: ten slots over one', slots, { median: 0.125 }),
      ofPairs(`memory in use after ${MANY} messages, over that after ${MANY / 10}`, [[late, early]], {
        median: 1.1,
      }),
    ],
  };
};

/**
 * Gives one target its inputs, and watches the process that handles them: `run-target.ts NAME COUNT`, with --expose-gc.
 * The last line of its output is the result as JSON.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { SEED } from '../support/seed.ts';
import type { Opened, Target } from './target.ts';

/** The number of inputs between two checks of the process. */
const BATCH = 500;
/** The number of batches after which nothing may grow any more. */
const WARM = 4;
/**
 * The growth of memory in bytes that is tolerated nevertheless, because code is still compiled: in this process, and in
 * another one.
 */
const TOLERATED = { heap: 8_000_000, resident: 40_000_000 };
/** The tolerated growth of the number of descriptors: connections to Docker stay open for some seconds. */
const MORE_DESCRIPTORS = 4;

interface Usage {
  readonly memory: number;
  readonly descriptors: number;
}

async function usageOf(pid: number | undefined): Promise<Usage> {
  // When a client has closed a connection, the other side closes it a moment later.
  await pause(200);
  const descriptors = readdirSync(`/proc/${pid ?? 'self'}/fd`).length;
  if (pid === undefined) {
    global.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return { memory: heapUsed + arrayBuffers, descriptors };
  }
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { memory: Number(kib) * 1024, descriptors };
}

function checkGrowth(first: Usage, last: Usage, isOwn: boolean): void {
  const grown = last.memory - first.memory;
  if (grown > (isOwn ? TOLERATED.heap : TOLERATED.resident)) throw new Error(`memory grew by ${grown} bytes`);
  const more = last.descriptors - first.descriptors;
  if (more > MORE_DESCRIPTORS) throw new Error(`${more} more descriptors are open`);
}

async function runBatch<Input>(target: Target<Input>, opened: Opened<Input>, numRuns: number, seed: number) {
  const property = fc.asyncProperty(target.inputs, (input) => opened.take(input));
  const {
    failed,
    errorInstance,
    counterexample,
    numRuns: after,
  } = await fc.check(property, { numRuns, seed });
  if (!failed) return;
  const shown = JSON.stringify(counterexample, (_, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
  );
  throw new Error(`input ${after} of the batch with seed ${seed}, at its smallest: ${shown}`, {
    cause: errorInstance,
  });
}

const [name = '', wanted = ''] = process.argv.slice(2);
const { target }: { target: Target<unknown> } = await import(join(import.meta.dirname, `targets/${name}.ts`));
const count = Math.max(1, Math.round(Number(wanted) / (target.calls ?? 1)));
let done = 0;
{
  await using opened = await target.open();
  let first: Usage | undefined;
  for (let batch = 0; done < count; batch += 1) {
    const size = Math.min(BATCH, count - done);
    await runBatch(target, opened, size, (SEED + batch) % 2 ** 31);
    await opened.check();
    done += size;
    if (batch === WARM) first = await usageOf(opened.pid);
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name}: ${done} of ${count}`);
  }
  if (first) checkGrowth(first, await usageOf(opened.pid), opened.pid === undefined);
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
console.log(JSON.stringify({ inputs: done * (target.calls ?? 1), parsers: target.parsers }));

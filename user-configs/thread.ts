/**
 * Work on a user's files in a thread of its own. The thousands of buffers that pass through keep only its small heap
 * busy, which is cleared often, and nobody's request waits for them.
 */

import { addAbortListener, once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode, Parameters } from '../errors/table.ts';
import { DamagedError } from './damaged.ts';

/** What a thread says: something on its way, that it is done, or why it failed. */
export type Said<T> =
  | { readonly is: 'under way'; readonly what: T }
  | { readonly is: 'done' }
  | { readonly is: 'failed'; readonly how: Failure };

/** An error without its class, which does not pass from thread to thread. */
export type Failure =
  | { readonly damaged: string }
  | { readonly unexpected: string }
  | { readonly code: ErrorCode; readonly parameters: Readonly<Record<string, string | number>> };

/** Young buffers are given back when the young generation is full. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

export interface Thread {
  say(message: unknown, transferred?: readonly ArrayBuffer[]): void;
  /** @throws what the thread failed with, what `hear` threw, or the reason of the signal */
  readonly ended: Promise<void>;
}

/**
 * @param name of a file here; where this code is bundled, it is too, beside it
 * @param hear is told what is under way; what it throws ends the thread
 */
export function startThread<T>(
  name: string,
  workerData: unknown,
  hear: (what: T) => void,
  signal: AbortSignal,
): Thread {
  const extension = import.meta.filename.endsWith('.mjs') ? 'mjs' : 'ts';
  const { PATH } = process.env;
  const file = new URL(`./${name}.${extension}`, import.meta.url);
  const worker = new Worker(file, { workerData, env: { PATH }, resourceLimits: LIMITS });
  const state: { failure?: { readonly error: unknown }; isDone?: boolean } = {};
  worker.on('message', (said: Said<T>) => {
    try {
      if (said.is === 'under way') hear(said.what);
      else if (said.is === 'done') state.isDone = true;
      else state.failure ??= { error: errorOf(said.how) };
    } catch (error) {
      state.failure ??= { error };
      worker.postMessage('stop');
    }
  });
  worker.on('error', (error) => {
    state.failure ??= { error };
  });
  const ended = async () => {
    using _ = addAbortListener(signal, () => worker.postMessage('stop'));
    await once(worker, 'exit').catch(() => {});
    signal.throwIfAborted();
    if (state.failure) throw state.failure.error;
    if (!state.isDone) throw new Error(`the thread ${name} ended before it was done`);
  };
  return {
    say: (message, transferred = []) => worker.postMessage(message, transferred),
    ended: ended(),
  };
}

function errorOf(how: Failure): Error {
  if ('damaged' in how) return new DamagedError(how.damaged);
  if ('unexpected' in how) return new Error(how.unexpected);
  return new ServiceError(how.code, how.parameters as Parameters<ErrorCode>);
}

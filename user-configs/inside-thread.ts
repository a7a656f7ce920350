/** The other end of `thread.ts`: what runs in a thread begins with this. */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { DamagedError } from './damaged.ts';
import type { Failure, Said } from './thread.ts';

export interface Inside<T> {
  /** Tells what is under way. */
  readonly tell: (what: T) => void;
  /** Whatever comes but the word to stop. */
  readonly port: MessagePort;
  /** Aborts when it is to stop. */
  readonly stop: AbortController;
}

/** Does the work, and says how it went. */
export async function runInside<Task, T>(
  work: (task: Task, inside: Inside<T>) => Promise<void>,
): Promise<void> {
  const port = parentPort as MessagePort;
  const say = (said: Said<T>) => port.postMessage(said);
  const stop = new AbortController();
  port.on('message', (message) => {
    if (message === 'stop') stop.abort();
  });
  try {
    await work(workerData, { port, stop, tell: (what) => say({ is: 'under way', what }) });
    say({ is: 'done' });
  } catch (error) {
    say({ is: 'failed', how: failureOf(error) });
  }
  port.close();
}

function failureOf(error: unknown): Failure {
  if (error instanceof DamagedError) return { damaged: error.message };
  if (error instanceof ServiceError) return { code: error.code, parameters: error.parameters };
  return { unexpected: messageOf(error) };
}

/** The logs of tasks as they come: of all containers, also of tasks that start meanwhile. */

import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { Clock } from '../clock.ts';
import { type LogEvent, LogFollower } from './log-follower.ts';
import type { LogSource } from './log-sources.ts';

export interface FollowOptions {
  readonly logs: CloudWatchLogsClient;
  readonly clock: Clock;
  /** Asked again every ten seconds, so that new tasks are heard; those that are gone are read to their end. */
  sources(signal: AbortSignal): Promise<readonly LogSource[]>;
  /** Milliseconds since 1970; left out, from the beginning. */
  readonly since?: number;
  /** False: what there is, and no more. */
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
}

/** Milliseconds. */
const POLL = 2_000;
const REFRESH = 10_000;
/** A task's last lines come seconds after its end. */
const LINGER = 30_000;
const FIRST_BACKOFF = 1_000;
const MOST_BACKOFF = 30_000;
/** Requests a second at most, well below the 25 that an account has. */
const RATE = 8;

/** Rejects with the signal's reason when it aborts. */
export async function* followLogs(options: FollowOptions): AsyncGenerator<LogEvent> {
  const { logs, clock, isFollowing, signal } = options;
  const follower = new LogFollower(logs, options.since);
  /** By stream: when it was last named. */
  const known = new Map<string, { readonly source: LogSource; readonly seenAt: number }>();
  let refreshedAt = Number.NEGATIVE_INFINITY;
  let backoff = 0;
  for (;;) {
    signal.throwIfAborted();
    if (clock.now() - refreshedAt >= REFRESH) {
      refreshedAt = clock.now();
      for (const source of await abortable(options.sources(signal), signal))
        known.set(`${source.group}\n${source.stream}`, { source, seenAt: refreshedAt });
      for (const [key, { seenAt }] of known) if (refreshedAt - seenAt > LINGER) known.delete(key);
    }
    yield* await follower.round(
      [...known.values()].map(({ source }) => source),
      signal,
    );
    backoff = follower.isThrottled ? nextBackoff(backoff) : 0;
    if (!isFollowing && backoff === 0 && !follower.hasMore) return;
    if (backoff > 0 || !follower.hasMore)
      await clock
        .sleep(backoff || Math.max(POLL, (known.size / RATE) * 1_000), signal)
        .catch(() => signal.throwIfAborted());
  }
}

/** Timers and calls to AWS have an error of their own for an abort; the caller gets the reason. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Doubles, with jitter so that clients spread out. */
export function nextBackoff(last: number): number {
  return Math.min(MOST_BACKOFF, Math.max(FIRST_BACKOFF, last * 2)) * (0.75 + Math.random() / 4);
}

/** One line: its container and the first eight digits of its task in front, as wide as the widest so far. */
export class LogPrinter {
  #width = 0;

  line({ source: { container, taskId }, message }: LogEvent): string {
    const prefix = `${container}/${taskId.slice(0, 8)}`;
    this.#width = Math.max(this.#width, prefix.length);
    return `${prefix.padEnd(this.#width)} | ${message.replace(/\r?\n$/, '')}\n`;
  }
}

/** Follows the logs of all containers of tasks, including tasks that start later. */

import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { Clock } from '../clock.ts';
import { type LogEvent, LogFollower } from './log-follower.ts';
import type { LogSource } from './log-sources.ts';

export interface FollowOptions {
  readonly logs: CloudWatchLogsClient;
  readonly clock: Clock;
  /**
   * Called every ten seconds, so that new tasks are followed. A stream that is no longer returned is read for 30 s
   * more.
   */
  sources(signal: AbortSignal): Promise<readonly LogSource[]>;
  /** Milliseconds since 1970. Without it, streams are read from their beginning. */
  readonly since?: number;
  /** false: end after the events that exist already. */
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
}

/** Milliseconds between rounds, and between calls of `sources`. */
const POLL = 2_000;
const REFRESH = 10_000;
/** Milliseconds. A task's last lines arrive seconds after its end. */
const LINGER = 30_000;
const FIRST_BACKOFF = 1_000;
const MOST_BACKOFF = 30_000;
/** Requests per second at most, well below an account's limit of 25. */
const RATE = 8;

/** @throws the signal's reason when it aborts */
export async function* followLogs(options: FollowOptions): AsyncGenerator<LogEvent> {
  const { logs, clock, isFollowing, signal } = options;
  const follower = new LogFollower(logs, options.since);
  /** By stream: when `sources` last returned it. */
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

/**
 * Timers and AWS calls reject with their own error after an abort. This function throws the signal's reason instead.
 */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Doubles the pause, with jitter so that clients spread out. */
export function nextBackoff(last: number): number {
  return Math.min(MOST_BACKOFF, Math.max(FIRST_BACKOFF, last * 2)) * (0.75 + Math.random() / 4);
}

/**
 * Formats a line. Its prefix is the container and the first eight digits of the task's id, padded to the widest prefix
 * so far.
 */
export class LogPrinter {
  #width = 0;

  line({ source: { container, taskId }, message }: LogEvent): string {
    const prefix = `${container}/${taskId.slice(0, 8)}`;
    this.#width = Math.max(this.#width, prefix.length);
    return `${prefix.padEnd(this.#width)} | ${message.replace(/\r?\n$/, '')}\n`;
  }
}

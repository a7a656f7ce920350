/**
 * Reads streams of CloudWatch Logs again and again. Each stream has its own forward token, so no event is lost or
 * repeated between pages. A round reads every stream once, and sorts the events by time.
 */

import { type CloudWatchLogsClient, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { ReleaseError } from '../errors.ts';
import type { LogSource } from './log-sources.ts';

export interface LogEvent {
  readonly source: LogSource;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly message: string;
}

interface Cursor {
  readonly source: LogSource;
  token: string | undefined;
}

/** Streams that are read in parallel. CloudWatch allows 25 requests per second. */
const AT_ONCE = 5;
/** Pages of one stream in a round, so that a long stream does not delay the others. */
const MOST_PAGES = 10;

const IS_TRANSIENT =
  /Throttling|TooManyRequests|LimitExceeded|ServiceUnavailable|InternalFailure|Timeout|ECONN/i;

export class LogFollower {
  readonly #logs: CloudWatchLogsClient;
  readonly #since: number | undefined;
  readonly #cursors = new Map<string, Cursor>();
  #isThrottled = false;
  #hasMore = false;

  /** @param since milliseconds since 1970; without it, streams are read from their beginning */
  constructor(logs: CloudWatchLogsClient, since?: number) {
    this.#logs = logs;
    this.#since = since;
  }

  /** Whether throttling, or another transient error, cut the last round short. */
  get isThrottled(): boolean {
    return this.#isThrottled;
  }

  /** Whether a stream has more pages than a round reads. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /**
   * Reads the new events of these streams. A stream that does not exist yet has no events.
   * @throws ReleaseError when reading is not allowed
   */
  async round(sources: readonly LogSource[], signal: AbortSignal): Promise<LogEvent[]> {
    this.#isThrottled = false;
    this.#hasMore = false;
    const cursors = sources.map((source) => this.#cursorOf(source));
    const queue = cursors[Symbol.iterator]();
    const events: LogEvent[] = [];
    const readAll = async () => {
      for (const cursor of queue) if (!this.#isThrottled) events.push(...(await this.#read(cursor, signal)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, readAll));
    // The sort is stable, and each stream's events are already in order.
    return events.sort((a, b) => a.timestamp - b.timestamp);
  }

  #cursorOf(source: LogSource): Cursor {
    const key = `${source.group}\n${source.stream}`;
    const cursor = this.#cursors.get(key) ?? { source, token: undefined };
    this.#cursors.set(key, cursor);
    return cursor;
  }

  async #read(cursor: Cursor, signal: AbortSignal): Promise<LogEvent[]> {
    const { source } = cursor;
    const got: LogEvent[] = [];
    for (let page = 0; page < MOST_PAGES; page++) {
      const request = new GetLogEventsCommand({
        logGroupName: source.group,
        logStreamName: source.stream,
        startFromHead: true,
        ...(this.#since !== undefined && { startTime: this.#since }),
        ...(cursor.token !== undefined && { nextToken: cursor.token }),
      });
      try {
        const { events = [], nextForwardToken } = await this.#logs.send(request, { abortSignal: signal });
        got.push(...events.map(({ timestamp = 0, message = '' }) => ({ source, timestamp, message })));
        // At the end of a stream, CloudWatch returns the same token. An empty page with a new token is not the end.
        if (nextForwardToken === undefined || nextForwardToken === cursor.token) return got;
        cursor.token = nextForwardToken;
      } catch (error) {
        this.#judge(error, source, signal);
        return got;
      }
    }
    this.#hasMore = true;
    return got;
  }

  #judge(error: unknown, { group }: LogSource, signal: AbortSignal): void {
    if (signal.aborted) throw signal.reason;
    const { name, message } = error as Error;
    if (name === 'ResourceNotFoundException') return;
    if (name === 'AccessDeniedException')
      throw new ReleaseError(
        'failed',
        `the log group ${group} may not be read: ${message}; you need logs:GetLogEvents on it`,
        { cause: error },
      );
    if (!IS_TRANSIENT.test(`${name} ${message}`)) throw error;
    this.#isThrottled = true;
  }
}

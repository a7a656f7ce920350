/**
 * Sends the log to a log group of CloudWatch, and creates the group if it is missing. Each process of the service has
 * its own log stream. This file is loaded only if CLOUDWATCH_LOG_GROUP is set, because the SDK is large.
 *
 * Source of the limits: the API reference of CloudWatch Logs, "PutLogEvents".
 */

import { randomUUID } from 'node:crypto';
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { parseLine } from '../logging/line.ts';
import { RefusedError, ShippedLines } from '../logging/shipped-lines.ts';
import { askingOnce } from './aws-client.ts';
import { whyOf } from './aws-failures.ts';

const BATCH_LINES = 10_000;
/** Each event counts 26 bytes more than its message. */
const OVERHEAD = 26;
const BATCH_SIZE = 2 ** 20 - OVERHEAD * BATCH_LINES;
const LINE_SIZE = 2 ** 18 - OVERHEAD;
/** The events of one call span at most a day, in milliseconds. */
const LONGEST_SPAN = 86_400_000 - 1;

export interface CloudWatchLogOptions {
  readonly group: string;
  /** Called before the first line is sent, and again after each failure. */
  readonly region: () => Promise<string>;
  /** The beginning of the log stream's name: the id of this host. */
  readonly host: () => Promise<string>;
  /** Called when CloudWatch stops accepting lines, and when it accepts them again, with the number of dropped lines. */
  readonly report: (fields: object, message: string) => void;
}

interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
}

export class CloudWatchLog extends ShippedLines {
  readonly #stream: LogStream;

  constructor({ report, ...place }: CloudWatchLogOptions) {
    const stream = new LogStream(place);
    super({
      batchSize: BATCH_SIZE,
      batchLines: BATCH_LINES,
      lineSize: LINE_SIZE,
      report,
      says: {
        failing: 'CloudWatch does not take the log; trying again',
        again: 'CloudWatch takes the log again',
      },
      post: (batch, signal) => stream.put(batch.map(eventOf), signal ? { abortSignal: signal } : {}),
    });
    this.#stream = stream;
  }

  override async drain(milliseconds: number): Promise<number> {
    const left = await super.drain(milliseconds);
    this.#stream.forget();
    return left;
  }
}

/** Events are in the order of their times, because the lines of the log are. */
function eventOf(line: string): LogEvent {
  return { timestamp: Date.parse(parseLine(line).time), message: line.trimEnd() };
}

interface Options {
  readonly abortSignal?: AbortSignal;
}

interface Made {
  readonly client: CloudWatchLogsClient;
  readonly logStreamName: string;
}

class LogStream {
  readonly #place: Omit<CloudWatchLogOptions, 'report'>;
  #made: Made | undefined;

  constructor(place: Omit<CloudWatchLogOptions, 'report'>) {
    this.#place = place;
  }

  /** @returns the number of events that CloudWatch found too old or too new */
  async put(events: readonly LogEvent[], options: Options): Promise<number> {
    try {
      this.#made ??= await this.#make(options);
      const { client, logStreamName } = this.#made;
      const [first] = events;
      const end = events.findIndex(({ timestamp }) => timestamp - (first?.timestamp ?? 0) > LONGEST_SPAN);
      const logEvents = end < 0 ? [...events] : events.slice(0, end);
      const command = new PutLogEventsCommand({ logGroupName: this.#place.group, logStreamName, logEvents });
      const { rejectedLogEventsInfo: rejected = {} } = await client.send(command, options);
      const { tooOldLogEventEndIndex = 0, expiredLogEventEndIndex = 0 } = rejected;
      const { tooNewLogEventStartIndex = logEvents.length } = rejected;
      const old = Math.max(tooOldLogEventEndIndex, expiredLogEventEndIndex);
      const dropped = old + logEvents.length - tooNewLogEventStartIndex;
      return end < 0 ? dropped : dropped + (await this.put(events.slice(end), options));
    } catch (error) {
      const { name } = error as Error;
      // Somebody has removed the group or the stream.
      if (name === 'ResourceNotFoundException') this.forget();
      throw name === 'InvalidParameterException'
        ? new RefusedError(whyOf(error))
        : new Error(whyOf(error), { cause: error });
    }
  }

  forget(): void {
    this.#made?.client.destroy();
    this.#made = undefined;
  }

  async #make(options: Options): Promise<Made> {
    const client = new CloudWatchLogsClient(askingOnce(await this.#place.region(), undefined));
    const logGroupName = this.#place.group;
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '/');
    const logStreamName = `${await this.#place.host()}/${day}/${randomUUID()}`;
    const stream = new CreateLogStreamCommand({ logGroupName, logStreamName });
    try {
      await client.send(stream, options).catch(async (error: unknown) => {
        if ((error as Error).name !== 'ResourceNotFoundException') throw error;
        await client.send(new CreateLogGroupCommand({ logGroupName }), options).catch(unlessThere);
        await client.send(stream, options);
      });
      return { client, logStreamName };
    } catch (error) {
      client.destroy();
      throw error;
    }
  }
}

/** Another host may create the group at the same moment. */
function unlessThere(error: unknown): void {
  if ((error as Error).name !== 'ResourceAlreadyExistsException') throw error;
}

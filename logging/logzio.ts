/** Sends the log to logz.io as newline-delimited JSON. */

import type { HttpClient } from '../outgoing/http-client.ts';
import { parseLine, type Tags } from './line.ts';
import { RefusedError, ShippedLines } from './shipped-lines.ts';

/** logz.io accepts 10 MB per request and 500,000 bytes per line. */
const BATCH_SIZE = 1024 * 1024;
const LINE_SIZE = 256 * 1024;
/** The time limit for one request in milliseconds. */
const REQUEST = 10_000;

export interface LogzIoOptions {
  readonly http: HttpClient;
  readonly url: URL;
  readonly token: string;
  /** Called when logz.io stops accepting lines, and when it accepts them again, with the number of dropped lines. */
  readonly report: (fields: object, message: string) => void;
}

export class LogzIo extends ShippedLines {
  tags: Tags = {};

  constructor({ http, url, token, report }: LogzIoOptions) {
    const to = new URL(url);
    to.searchParams.set('token', token);
    to.searchParams.set('type', 'ecs-host-service');
    super({
      batchSize: BATCH_SIZE,
      lineSize: LINE_SIZE,
      report,
      says: {
        failing: 'logz.io does not take the log; trying again',
        again: 'logz.io takes the log again',
      },
      post: async (batch, signal) => {
        const { status } = await http.ask(to, {
          method: 'POST',
          headers: { 'content-type': 'application/x-ndjson' },
          body: batch.map((line) => this.#forLogzIo(line)).join(''),
          milliseconds: REQUEST,
          ...(signal && { signal }),
        });
        if (status >= 200 && status <= 299) return 0;
        const why = `it answered with status ${status}`;
        throw status === 400 || status === 413 ? new RefusedError(why) : new Error(why);
      },
    });
  }

  #forLogzIo(line: string): string {
    const { time, msg, ...rest } = parseLine(line);
    return `${JSON.stringify({ '@timestamp': time, message: msg, ...rest, ...this.tags })}\n`;
  }
}

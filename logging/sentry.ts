/**
 * Sends every error line of the log to Sentry, with the lines before it as breadcrumbs. Events are made
 * from finished lines, so that what must not be in the log cannot be in an event either. The SDK's own handlers of
 * exceptions and exits stay off: this service ends itself.
 */

import type * as Sdk from '@sentry/node';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HttpClient } from '../outgoing/http-client.ts';
import { isError, type Line, parseLine, type Tags } from './line.ts';
import type { Outlet } from './outlets.ts';

/** Lines before an error that go with it. */
const BEFORE = 50;
/** Milliseconds for one event. */
const REQUEST = 10_000;

export interface SentryOptions {
  readonly http: HttpClient;
  readonly dsn: string;
  readonly release: string;
  readonly environment: string;
}

export class Sentry implements Outlet {
  tags: Tags = {};
  readonly #sdk: typeof Sdk;
  readonly #client: Sdk.NodeClient;
  readonly #before: string[] = [];

  /** Loads the SDK, which takes its time and memory, only now. */
  static async open(options: SentryOptions): Promise<Sentry> {
    return new Sentry(await import('@sentry/node'), options);
  }

  private constructor(sdk: typeof Sdk, { http, dsn, release, environment }: SentryOptions) {
    this.#sdk = sdk;
    this.#client = new sdk.NodeClient({
      dsn,
      release,
      environment,
      integrations: [],
      stackParser: sdk.defaultStackParser,
      sendClientReports: false,
      normalizeDepth: 6,
      transport: (options) =>
        sdk.createTransport(options, async ({ body }) => {
          const question = { method: 'POST', body, milliseconds: REQUEST } as const;
          const { status, headers } = await http.ask(new URL(options.url), question);
          const limits = { 'x-sentry-rate-limits': first(headers['x-sentry-rate-limits']) };
          return { statusCode: status, headers: { ...limits, 'retry-after': first(headers['retry-after']) } };
        }),
    });
    this.#client.init();
  }

  write(line: string): void {
    if (isError(line)) this.#capture(parseLine(line));
    this.#before.push(line);
    if (this.#before.length > BEFORE) this.#before.shift();
  }

  /** Waits until what was captured has been sent, `milliseconds` at most. Returns whether it was. */
  async flush(milliseconds: number): Promise<boolean> {
    // The SDK's own timer would not keep the process waiting.
    const flush = async () => await this.#client.flush(milliseconds);
    return await withDeadline(milliseconds, 'flushing Sentry', flush).catch(() => false);
  }

  /** Lets go of what the SDK has put into the process. */
  async close(): Promise<void> {
    await this.#client.close(1);
  }

  #capture({ level, time, msg = '', error, container, ...extra }: Line): void {
    this.#client.captureEvent({
      level: level === 'fatal' ? 'fatal' : 'error',
      timestamp: Date.parse(time) / 1000,
      message: msg,
      tags: { ...this.tags, ...(typeof container === 'string' && { container }) },
      exception: { values: this.#exceptions(error) },
      breadcrumbs: this.#before.map(breadcrumb),
      extra,
    });
  }

  /** The chain of causes, innermost first, as Sentry wants it. */
  #exceptions(error: unknown): Sdk.Exception[] {
    if (!isLogged(error)) return [];
    const { type, message, stack, cause } = error;
    const frames = this.#sdk.defaultStackParser(stack);
    return [...this.#exceptions(cause), { type, value: message, stacktrace: { frames } }];
  }
}

/** An error as the logger serializes it. */
interface Logged {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly cause?: unknown;
}

function isLogged(error: unknown): error is Logged {
  return typeof error === 'object' && error !== null && 'type' in error && 'stack' in error;
}

function breadcrumb(line: string): Sdk.Breadcrumb {
  const { level, time, msg = '', pid: _, ...data } = parseLine(line);
  const known = { error: 'error', fatal: 'fatal', warn: 'warning', info: 'info' } as const;
  return {
    level: known[level as keyof typeof known] ?? 'debug',
    timestamp: Date.parse(time) / 1000,
    message: msg,
    data,
  };
}

function first(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) ?? null;
}

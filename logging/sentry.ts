/**
 * Sends every error line of the log to Sentry, with the preceding lines as breadcrumbs. Events are built from finished
 * lines, so that data that is redacted in the log is not in an event either. The SDK's handlers for exceptions and
 * exits stay off, because the service ends itself.
 */

import type { Breadcrumb, Exception, NodeClient } from '@sentry/node';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HttpClient } from '../outgoing/http-client.ts';
import { isError, type Line, parseLine, type Tags } from './line.ts';
import type { LoggedError } from './logger.ts';
import type { Outlet } from './outlets.ts';
import { Deliveries } from './sentry-deliveries.ts';

type Sdk = typeof import('./sentry-sdk.ts');
type Transport = ReturnType<Sdk['createTransport']>;

/** The number of lines before an error that are sent with it. */
const BEFORE = 50;

export interface SentryOptions {
  readonly http: HttpClient;
  readonly dsn: string;
  readonly release: string;
  readonly environment: string;
  /** Called for the first of several events that Sentry does not accept. */
  readonly report: (fields: object, message: string) => void;
}

export class Sentry implements Outlet {
  tags: Tags = {};
  readonly #sdk: Sdk;
  readonly #client: NodeClient;
  readonly #deliveries: Deliveries;
  readonly #before: string[] = [];

  /** Loads the SDK only now, because it takes time and memory. @throws Error when the DSN is invalid */
  static async open(options: SentryOptions): Promise<Sentry> {
    return new Sentry(await import('./sentry-sdk.ts'), options);
  }

  private constructor(sdk: Sdk, { http, dsn, release, environment, report }: SentryOptions) {
    this.#sdk = sdk;
    this.#deliveries = new Deliveries(http, report);
    this.#client = new sdk.NodeClient({
      dsn,
      release,
      environment,
      integrations: [],
      stackParser: sdk.defaultStackParser,
      sendClientReports: false,
      normalizeDepth: 6,
      transport: (options) => this.#transport(options),
    });
    if (!this.#client.getDsn()) throw new Error('Sentry does not understand this DSN');
    this.#client.init();
  }

  /** The SDK's transport without its own buffer and rate limits, which could drop the event of a crash. */
  #transport(options: Parameters<Sdk['createTransport']>[0] & { readonly url: string }): Transport {
    const underWay = new Set<PromiseLike<unknown>>();
    const send = async ({ body }: { readonly body: string | Uint8Array }) => {
      await this.#deliveries.deliver(new URL(options.url), String(body));
      return {};
    };
    return this.#sdk.createTransport(options, send, {
      $: [],
      add: (produce) => {
        const task = produce();
        underWay.add(task);
        void task.then(() => underWay.delete(task));
        return task;
      },
      drain: async () => {
        await Promise.all(underWay);
        return true;
      },
    });
  }

  write(line: string): void {
    if (isError(line)) this.#capture(parseLine(line));
    this.#before.push(line);
    if (this.#before.length > BEFORE) this.#before.shift();
  }

  /** Waits up to `milliseconds` until all captured events have been sent. Returns whether they were. */
  async flush(milliseconds: number): Promise<boolean> {
    // The SDK's own timer is unreferenced and would not keep the process alive.
    const flush = async () => await this.#client.flush(milliseconds);
    return await withDeadline(milliseconds, 'flushing Sentry', flush).catch(() => false);
  }

  /**
   * Aborts the unsent events and removes the SDK's hooks from the process.
   * @returns the number of events that were never delivered
   */
  async close(): Promise<number> {
    this.#deliveries.stop();
    await this.#client.close(1);
    return this.#deliveries.dropped;
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

  /** The chain of causes in Sentry's order, innermost first. */
  #exceptions(error: unknown): Exception[] {
    if (!isLogged(error)) return [];
    const { type, message, stack, cause } = error;
    const frames = this.#sdk.defaultStackParser(stack);
    return [...this.#exceptions(cause), { type, value: message, stacktrace: { frames } }];
  }
}

function isLogged(error: unknown): error is LoggedError {
  return typeof error === 'object' && error !== null && 'type' in error && 'stack' in error;
}

function breadcrumb(line: string): Breadcrumb {
  const { level, time, msg = '', pid: _, ...data } = parseLine(line);
  const known = { error: 'error', fatal: 'fatal', warn: 'warning', info: 'info' } as const;
  return {
    level: known[level as keyof typeof known] ?? 'debug',
    timestamp: Date.parse(time) / 1000,
    message: msg,
    data,
  };
}

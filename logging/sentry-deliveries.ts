/**
 * Delivers events to Sentry. Events of errors may be dropped, and are counted, if too many are in progress, if Sentry
 * asks for a pause, or if Sentry rejects them. The event of a crash ignores these limits and is retried until it
 * arrives.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import type { HttpClient } from '../outgoing/http-client.ts';

const MOST_UNDER_WAY = 8;
/**
 * In milliseconds: for one request, between attempts for a crash, and the default pause if Sentry asks for one without
 * a length.
 */
const REQUEST = 10_000;
const BETWEEN = 200;
const LEFT_ALONE = 60_000;

export class Deliveries {
  /** The number of events that were never delivered. */
  dropped = 0;
  readonly #http: HttpClient;
  readonly #report: (fields: object, message: string) => void;
  readonly #stop = new AbortController();
  #underWay = 0;
  #notBefore = 0;
  #takes = true;

  /** @param report called for the first of several events that Sentry does not accept */
  constructor(http: HttpClient, report: (fields: object, message: string) => void) {
    this.#http = http;
    this.#report = report;
  }

  /** @param body an envelope with one event. Never rejects */
  async deliver(url: URL, body: string): Promise<void> {
    const arrived = isDeath(body) ? await this.#insist(url, body) : await this.#attempt(url, body);
    if (!arrived) this.dropped += 1;
  }

  /** Aborts the deliveries in progress. */
  stop(): void {
    this.#stop.abort();
  }

  async #attempt(url: URL, body: string): Promise<boolean> {
    if (this.#underWay >= MOST_UNDER_WAY || performance.now() < this.#notBefore) return false;
    this.#underWay += 1;
    try {
      return await this.#post(url, body);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #insist(url: URL, body: string): Promise<boolean> {
    while (!this.#stop.signal.aborted) {
      if (await this.#post(url, body)) return true;
      await pause(BETWEEN, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
    return false;
  }

  async #post(url: URL, body: string): Promise<boolean> {
    try {
      const question = { method: 'POST', body, milliseconds: REQUEST, signal: this.#stop.signal } as const;
      const { status, headers } = await this.#http.ask(url, question);
      if (status === 429) this.#notBefore = performance.now() + pauseAskedFor(headers['retry-after']);
      return this.#was(status >= 200 && status <= 299, `it answered with status ${status}`);
    } catch (error) {
      return this.#was(false, messageOf(error));
    }
  }

  #was(taken: boolean, why: string): boolean {
    if (!taken && this.#takes) this.#report({ why }, 'Sentry does not take events; they are counted');
    this.#takes = taken;
    return taken;
  }
}

/** The envelope's third line is the event. Source: develop.sentry.dev, "Envelopes". */
function isDeath(body: string): boolean {
  return JSON.parse(body.split('\n', 3)[2] as string).level === 'fatal';
}

function pauseAskedFor(header: string | string[] | undefined): number {
  const seconds = Number(header);
  return seconds > 0 ? Math.min(seconds * 1000, 10 * LEFT_ALONE) : LEFT_ALONE;
}

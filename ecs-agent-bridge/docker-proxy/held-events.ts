/**
 * Holds Docker's event stream open for a client while Docker is unreachable. When Docker is back, the stream continues
 * with what happened meanwhile, as far as Docker knows it. A client such as the ECS agent would reconnect in a loop
 * without asking for past events, and miss them.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import type { Exchange, Handler } from './connection.ts';
import { bodyOf, connectEngine, Lost, nextAnswer, Unreachable } from './engine.ts';
import type { RequestHead, ResponseHead } from './message-head.ts';
import { MissedEnds, secondsOf } from './missed-ends.ts';
import { rewritten } from './own-messages.ts';
import { type Source, write } from './source.ts';

/** The pause between attempts to reach Docker. */
const PAUSE: Backoff = { shortest: 50, longest: 2000 };
/** Bytes. */
const LONGEST_EVENT = 16 * 1024 * 1024;
const LF = 0x0a;

/** @param socket of the Docker Engine @returns undefined if it is another call, or a stream with an end */
export function eventsHandlerOf(socket: string, { method, target }: RequestHead): Handler | undefined {
  const events = /^(\/v[\d.]+)?\/events(?:\?(.*))?$/.exec(target);
  if (method !== 'GET' || !events) return undefined;
  const [, version = '', query] = events;
  const asked = new URLSearchParams(query);
  if (asked.get('until')) return undefined;
  const isOfAll = !asked.get('since') && !asked.get('filters');
  const ends = isOfAll ? new MissedEnds(socket, version) : undefined;
  return (exchange) => new HeldEvents(socket, exchange, ends).run();
}

class HeldEvents {
  readonly #socket: string;
  readonly #exchange: Exchange;
  readonly #ends: MissedEnds | undefined;
  /** Events up to this time, in nanoseconds since 1970, have been sent; undefined: none of the requested past yet. */
  #told: bigint | undefined;
  #isBegun = false;
  #failures = 0;

  constructor(socket: string, exchange: Exchange, ends: MissedEnds | undefined) {
    this.#socket = socket;
    this.#exchange = exchange;
    this.#ends = ends;
    const beginsNow = !this.#url().searchParams.get('since');
    if (beginsNow) this.#told = BigInt(Date.now()) * 1_000_000n;
  }

  #url(): URL {
    return new URL(this.#exchange.request.target, 'http://docker');
  }

  async run(): Promise<boolean> {
    const { signal } = this.#exchange;
    while (!signal.aborted) {
      try {
        const goesOn = await this.#follow(signal);
        if (goesOn !== undefined) return goesOn;
      } catch (error) {
        if (!this.#isBegun || !(error instanceof Unreachable || error instanceof Lost)) throw error;
      }
      await pause(backoff(this.#failures++, PAUSE), undefined, { signal }).catch(() => {});
    }
    return false;
  }

  /** @returns whether the connection continues, if the answer was not a stream; undefined if the stream broke */
  async #follow(signal: AbortSignal): Promise<boolean | undefined> {
    const engine = await connectEngine(this.#socket);
    const leave = () => engine.socket.destroy();
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    try {
      await write(engine.socket, this.#request());
      const answer = await nextAnswer(engine, 'GET');
      const isStream = answer.status === 200 && answer.framing === 'chunked';
      if (!this.#isBegun) await this.#exchange.reply(answer.bytes);
      if (!isStream) return this.#isBegun ? undefined : await this.#passOn(engine, answer);
      this.#isBegun = true;
      this.#failures = 0;
      const missed = await this.#ends?.find(this.#told ?? 0n, signal);
      if (missed) await this.#reply(Buffer.from(missed));
      return (await this.#pass(engine, answer)) ? undefined : false;
    } finally {
      signal.removeEventListener('abort', leave);
      leave();
    }
  }

  /** The first request as the client sent it; later ones with the time from which to continue. */
  #request(): Buffer {
    const { request } = this.#exchange;
    if (!this.#isBegun || this.#told === undefined) return request.bytes;
    const url = this.#url();
    url.searchParams.set('since', secondsOf(this.#told + 1n));
    return rewritten(request, url.pathname + url.search, Buffer.alloc(0));
  }

  async #passOn(engine: Source, answer: ResponseHead): Promise<boolean> {
    for await (const piece of bodyOf(engine, answer)) await this.#exchange.reply(piece);
    return !answer.isLast;
  }

  /**
   * Passes on complete events only, because an incomplete one would corrupt what follows.
   * @returns false if an event is too long; a new request would get it again
   */
  async #pass(engine: Source, answer: ResponseHead): Promise<boolean> {
    let begun: Buffer[] = [];
    let length = 0;
    const whole: Buffer[] = [];
    const take = (data: Buffer) => {
      const end = data.lastIndexOf(LF) + 1;
      if (end > 0) {
        whole.push(Buffer.concat([...begun, data.subarray(0, end)]));
        begun = [];
        length = 0;
      }
      begun.push(data.subarray(end));
      length += data.length - end;
    };
    for await (const _ of bodyOf(engine, answer, take)) {
      if (length > LONGEST_EVENT) return false;
      if (whole.length === 0) continue;
      const events = Buffer.concat(whole.splice(0));
      this.#note(events.toString());
      await this.#reply(events);
    }
    return true;
  }

  async #reply(events: Buffer): Promise<void> {
    const chunk = [Buffer.from(`${events.length.toString(16)}\r\n`), events, Buffer.from('\r\n')];
    await this.#exchange.reply(Buffer.concat(chunk));
  }

  #note(events: string): void {
    this.#ends?.note(events);
    for (const [, time = '0'] of events.matchAll(/"timeNano":(\d{1,20})/g)) {
      if (this.#told === undefined || BigInt(time) > this.#told) this.#told = BigInt(time);
    }
  }
}

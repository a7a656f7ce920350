/**
 * What happened to containers, for whoever follows it: the last thousand transitions and changes of health are kept,
 * and a follower that was away goes on where it was.
 *
 * INVARIANTS
 * - A follower hears each event once and in order, or is told that it has missed some.
 * - Nothing is kept for a follower but its place: a slow one costs no memory.
 */

import { randomBytes } from 'node:crypto';
import type { NoticeCode, NoticeView } from '../host/notices.ts';
import { HEALTH_CODES, type HealthChange } from './health.ts';
import type { Transition } from './state.ts';
import type { ContainerView } from './view.ts';

export interface TransitionEvent {
  /** To be given to `follow`, to go on behind it. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  /** Left out when the container has begun. */
  readonly from?: Transition['from'];
  readonly code: Transition['code'];
  readonly cause: string;
  /** As it is then. */
  readonly container: ContainerView;
}

/** Its health changed, and its state did not. */
export interface HealthEvent extends Omit<TransitionEvent, 'from' | 'code'> {
  readonly from?: undefined;
  readonly code: HealthChange['code'];
}

export type ContainerEvent = TransitionEvent | HealthEvent;

/** EC2 said something of the host. */
export interface NoticeEvent extends Pick<TransitionEvent, 'id' | 'at' | 'cause'> {
  readonly code: NoticeCode;
  readonly notice: NoticeView;
}

export type AnyEvent = ContainerEvent | NoticeEvent;

export function isOfHealth(event: AnyEvent): event is HealthEvent {
  return HEALTH_CODES.some((code) => code === event.code);
}

/** Stands for events that are not kept any more, or that another service told. */
export const MISSED = 'missed';

/** Events that are kept. */
const MOST = 1000;

export class Events {
  readonly #most: number;
  /** Ids of one service are none of the next one's. */
  readonly #service = randomBytes(4).toString('hex');
  readonly #kept: AnyEvent[] = [];
  #told = 0;
  #more = Promise.withResolvers<void>();

  constructor(most = MOST) {
    this.#most = most;
  }

  tell(
    container: ContainerView,
    happened: (Omit<Transition, 'from'> & Partial<Transition>) | HealthChange,
  ): void {
    const { from, code, cause } = { from: undefined, ...happened };
    this.#keep({ ...(from && { from }), code, cause, container });
  }

  tellNotice(code: NoticeCode, cause: string, notice: NoticeView): void {
    this.#keep({ code, cause, notice });
  }

  #keep(event: object): void {
    const id = `${this.#service}-${++this.#told}`;
    const at = new Date().toISOString();
    this.#kept.push({ id, at, ...event } as AnyEvent);
    if (this.#kept.length > this.#most) this.#kept.shift();
    this.#wake();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  /**
   * Gives events of containers until the signal aborts.
   * @param after the id of the last event that is known; left out: only what comes from now on
   */
  follow(after: string | undefined, signal: AbortSignal): AsyncGenerator<ContainerEvent | typeof MISSED> {
    return containersOf(this.followAll(after, signal));
  }

  /** The same, with those of the host. */
  followAll(after: string | undefined, signal: AbortSignal): AsyncGenerator<AnyEvent | typeof MISSED> {
    return this.#from(this.#placeAfter(after), signal);
  }

  async *#from(place: number, signal: AbortSignal): AsyncGenerator<AnyEvent | typeof MISSED> {
    const wake = () => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      for (let next = place; !signal.aborted; ) {
        const first = this.#told - this.#kept.length;
        if (next < first) {
          next = first;
          yield MISSED;
          continue;
        }
        const event = this.#kept[next - first];
        if (event) {
          next += 1;
          yield event;
        } else await this.#more.promise;
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  /** @returns the number of events before the next one; -1 when it is not known what was missed */
  #placeAfter(after: string | undefined): number {
    if (after === undefined) return this.#told;
    const [, service, number] = /^(\w+)-([1-9]\d{0,14})$/.exec(after) ?? [];
    const place = Number(number);
    return service === this.#service && place <= this.#told ? place : -1;
  }
}

async function* containersOf(
  events: AsyncGenerator<AnyEvent | typeof MISSED>,
): AsyncGenerator<ContainerEvent | typeof MISSED> {
  for await (const event of events) if (event === MISSED || 'container' in event) yield event;
}

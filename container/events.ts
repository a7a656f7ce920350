/**
 * The events of containers for followers. The last thousand changes of state and health are kept, and a follower can
 * resume after an interruption.
 *
 * INVARIANTS
 * - A follower receives each event once and in order, or is told that it has missed some.
 * - The service stores only the position of a follower. A slow follower costs no memory.
 */

import { randomBytes } from 'node:crypto';
import type { NoticeCode, NoticeView } from '../host/notices.ts';
import { HEALTH_CODES, type HealthChange } from './health.ts';
import type { Transition } from './state.ts';
import type { ContainerView } from './view.ts';

export interface TransitionEvent {
  /** Pass it to `follow` to resume after this event. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  /** Missing when the container begins. */
  readonly from?: Transition['from'];
  readonly code: Transition['code'];
  readonly cause: string;
  /** The container's view at that time. */
  readonly container: ContainerView;
}

/** A change of health, not of state. */
export interface HealthEvent extends Omit<TransitionEvent, 'from' | 'code'> {
  readonly from?: undefined;
  readonly code: HealthChange['code'];
}

export type ContainerEvent = TransitionEvent | HealthEvent;

/** A notice of EC2 about the host. */
export interface NoticeEvent extends Pick<TransitionEvent, 'id' | 'at' | 'cause'> {
  readonly code: NoticeCode;
  readonly notice: NoticeView;
}

export type AnyEvent = ContainerEvent | NoticeEvent;

export function isOfHealth(event: AnyEvent): event is HealthEvent {
  return HEALTH_CODES.some((code) => code === event.code);
}

/** Stands for events that are no longer kept, or that another service sent. */
export const MISSED = 'missed';

/** The number of events that are kept. */
const MOST = 1000;

/** The data with which the next service continues the events. */
export interface HandedEvents {
  /** The first part of the ids of the events. */
  readonly service: string;
  /** The number of the last event. */
  readonly told: number;
  readonly kept: readonly AnyEvent[];
}

export class Events {
  readonly #most: number;
  /** Distinguishes the ids of this service from those of the next one. */
  readonly #service: string;
  readonly #kept: AnyEvent[];
  #told: number;
  #more = Promise.withResolvers<void>();

  /** @param handed the data of the previous service, whose events this one continues */
  constructor(most = MOST, handed?: HandedEvents) {
    this.#most = most;
    this.#service = handed?.service ?? randomBytes(4).toString('hex');
    this.#kept = [...(handed?.kept ?? [])];
    this.#told = handed?.told ?? 0;
  }

  /** The data for the next service. */
  get handed(): HandedEvents {
    return { service: this.#service, told: this.#told, kept: this.#kept };
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
    this.#told += 1;
    const id = this.newest;
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
   * Yields the events of containers until the signal aborts.
   * @param after the id of the last known event; missing: only new events
   */
  follow(after: string | undefined, signal: AbortSignal): AsyncGenerator<ContainerEvent | typeof MISSED> {
    return containersOf(this.followAll(after, signal));
  }

  /** Like `follow`, with the events of the host. */
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

  /** The id of the newest event. It can be passed to `follow` even if there are no events yet. */
  get newest(): string {
    return `${this.#service}-${this.#told}`;
  }

  /** @returns the number of events before the next one; -1 if it is unknown what was missed */
  #placeAfter(after: string | undefined): number {
    if (after === undefined) return this.#told;
    const [, service, number] = /^(\w+)-(0|[1-9]\d{0,14})$/.exec(after) ?? [];
    const place = Number(number);
    return service === this.#service && place <= this.#told ? place : -1;
  }
}

async function* containersOf(
  events: AsyncGenerator<AnyEvent | typeof MISSED>,
): AsyncGenerator<ContainerEvent | typeof MISSED> {
  for await (const event of events) if (event === MISSED || 'container' in event) yield event;
}

/** Makes what is held visible: to the log, and to whoever watches the service from within a test. */

import { messageOf } from '../errors/service-error.ts';
import { type HoldingEvent, Holdings } from '../lifetime/holdings.ts';
import type { LifetimeOptions } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';

/** Is told what is about to happen; what it throws happens instead. */
export interface Observer {
  readonly step?: (name: string) => void | Promise<void>;
  readonly holding?: (event: HoldingEvent) => void | Promise<void>;
}

export function observeHoldings(log: Logger, observer: Observer): LifetimeOptions {
  return {
    holdings: new Holdings(async (event) => {
      const { kind, what, owner } = event.holding;
      const seen = event.step === 'gone' ? { seen: event.seen } : {};
      const why = 'error' in event ? { why: messageOf(event.error) } : {};
      log.debug({ kind, what, owner, ...seen, ...why }, event.step);
      await observer.holding?.(event);
    }),
    report: ({ lifetime, what, error }) =>
      log.error({ lifetime, what, error, ...concerned(lifetime) }, 'could not be ended as it should'),
  };
}

/** The id of the container that a lifetime, by its name, belongs to. */
export function concerned(name: string): { readonly container?: string } {
  const [container] = /[0-9a-f]{60}/.exec(name) ?? [];
  return container === undefined ? {} : { container };
}

/** Reports what is held: to the log, and to an observer in tests. */

import type { Receipts } from '../container/receipts.ts';
import { messageOf } from '../errors/service-error.ts';
import { type HoldingEvent, Holdings, type Owner } from '../lifetime/holdings.ts';
import type { Ledger } from '../lifetime/ledger.ts';
import type { LifetimeOptions } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';

/** The page of everything that no container holds. */
export const SERVICE_PAGE = 'service';

/** Called with what is about to happen. What it throws happens instead. */
export interface Observer {
  readonly step?: (name: string) => void | Promise<void>;
  readonly holding?: (event: HoldingEvent) => void | Promise<void>;
}

/** Runs one step of a start or a hand-over. @returns its result */
export type Step = <T>(name: string, take: () => T | Promise<T>) => Promise<T>;

export function observeHoldings(
  log: Logger,
  observer: Observer,
  ledger: Ledger,
  receipts: Receipts,
  metrics: { holding(event: HoldingEvent): void },
): LifetimeOptions {
  return {
    holdings: new Holdings(async (event) => {
      const { kind, what, lifetime: owner } = event.holding;
      // A record that exists a moment too long is better than one that exists too short.
      if (event.step === 'taking') ledger.observe(event);
      const seen = event.step === 'gone' ? { seen: event.seen } : {};
      const why = 'error' in event ? { why: messageOf(event.error) } : {};
      log.debug({ kind, what, owner, ...seen, ...why }, event.step);
      metrics.holding(event);
      try {
        await observer.holding?.(event);
      } catch (error) {
        if (event.step === 'taking') ledger.observe({ ...event, step: 'not taken', error });
        throw error;
      }
      if (event.step !== 'taking') ledger.observe(event);
      await receipts.note(event);
    }),
    report: ({ lifetime, owner, what, error }) =>
      log.error({ lifetime, what, error, ...concerned(owner) }, 'a cleanup or task did not end properly'),
  };
}

/** The container that something belongs to, for the log. */
export function concerned({ kind, id }: Owner): { readonly container?: string } {
  const isOfContainer = kind === 'container' || kind === 'docker container';
  return isOfContainer && id !== undefined ? { container: id } : {};
}

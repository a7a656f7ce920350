/**
 * Records the running service in the ledger. Once the lock is held, everything that is held is recorded there, beside
 * what a crashed service left, together with the facts for a report of a crash.
 */

import { messageOf } from '../errors/service-error.ts';
import { holdSharedDirectory } from '../host/directories.ts';
import type { Ledger, Page } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { SERVICE_PAGE } from './observe.ts';
import { pageIn, type Reporting, type ServiceFacts, serviceFactsIn } from './reporting.ts';

export interface PresenceOptions {
  readonly ledger: Ledger;
  readonly reporting: Reporting;
  readonly as: 'service' | 'wait';
  readonly log: Logger;
}

export interface Presence {
  /** If containers keep running, it is left, so that its entry keeps the service's page. */
  readonly lifetime: Lifetime;
  /** Pages that a crashed service left. */
  readonly left: readonly Page[];
}

/** @throws {ServiceError} `ledger.not_written` */
export async function bePresent(root: Lifetime, options: PresenceOptions): Promise<Presence> {
  const { ledger, reporting, as, log } = options;
  const left = ledger.open();
  const { pid, ...identity } = serviceFactsIn(left) ?? { isReported: true };
  if (!identity.isReported)
    log.error({ pid }, 'the previous service on this host crashed, and its crash was not reported');
  const lifetime = root.child('service');
  await lifetime.acquire({
    kind: 'process',
    what: String(process.pid),
    take: () => {},
    release: () => {},
    seenGone: () => 'its work is done',
  });
  const facts = { pid: process.pid };
  reporting.keepIdentity(as === 'wait' ? identity : {}, (known) => note({ ...facts, ...known }, options));
  return { lifetime, left };
}

/** A failed write makes a later report incomplete, but does not end the service. */
function note(facts: ServiceFacts, { ledger, log }: PresenceOptions): void {
  try {
    ledger.note(SERVICE_PAGE, facts);
  } catch (error) {
    log.warn({ error }, messageOf(error));
  }
}

/** Holds a shared directory, which is left to the next process if containers keep running. */
export async function share({ lifetime, left }: Presence, path: string, mode: number): Promise<void> {
  const entries = pageIn(left)?.entries ?? [];
  const isLeft = entries.some(({ kind, what }) => kind === 'shared directory' && what === path);
  await holdSharedDirectory(lifetime, path, mode, isLeft);
}

/**
 * Listens to Docker's events about the containers of nodes. An event only wakes the reconciler, which then looks at
 * Docker itself. The start of the unbroken event stream matters too: only exits after it count against a container.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Docker } from '../../docker-engine/docker.ts';
import { messageOf } from '../../errors/service-error.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import type { Logger } from '../../logging/logger.ts';
import { linesIn } from '../../parsing/lines.ts';
import { filterOf } from './labels.ts';

const PAUSE: Backoff = { shortest: 50, longest: 2_000 };
const LONGEST_EVENT = 16 * 2 ** 20;
const EVENTS = ['start', 'die', 'destroy', 'health_status', 'pause', 'unpause', 'rename'];

export interface NodeEventsOptions {
  readonly docker: Pick<Docker, 'call'>;
  readonly hostId: string;
  /** @param since milliseconds; every event after this time is received; Infinity while there is no stream */
  readonly heard: (since: number) => void;
  readonly told: () => void;
  readonly log: Logger;
}

/** Listens until the signal aborts. Never rejects. */
export async function listen(options: NodeEventsOptions, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const _ of await open(options, signal)) {
        failures = 0;
        options.told();
      }
    } catch (error) {
      if (!signal.aborted) options.log.debug({ why: messageOf(error) }, "lost Docker's events of nodes");
    }
    // When Docker comes back, it has ended containers. The service may look at them before it receives Docker's events
    // again.
    options.heard(Infinity);
    await pause(backoff(failures, PAUSE), undefined, { signal }).catch(() => {});
  }
}

async function open({ docker, hostId, heard, told }: NodeEventsOptions, signal: AbortSignal) {
  const filters = JSON.stringify({ type: ['container'], event: EVENTS, label: filterOf(hostId) });
  const stream = await docker.call('events', Infinity, (_, api) =>
    api.getEvents({ filters, abortSignal: signal }),
  );
  heard(Date.now());
  told();
  return linesIn(stream as unknown as AsyncIterable<Uint8Array>, LONGEST_EVENT);
}

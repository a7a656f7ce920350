/**
 * Tells the webserver that this host lives: registers it, then sends a heartbeat at once and every minute or so, and
 * at the end one that says that it dies. Nothing that goes wrong here reaches the rest of the service.
 */

import { setTimeout as pauseFor } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { KeptRegistration, Registration } from './kept-registration.ts';
import { readMemory } from './memory.ts';
import type { Metadata } from './metadata.ts';
import type { Webserver } from './webserver.ts';

/** Milliseconds between heartbeats: at random within these, so that hosts do not beat together. */
const BETWEEN = { least: 55_000, most: 65_000 };
const AFTER_FAILURE: Backoff = { shortest: 1000, longest: 60_000 };
/** Between attempts of the last one: at the end of a service, and by whoever delivers it afterwards. */
const WHILE_ENDING: Backoff = { shortest: 200, longest: 200 };
const AFTER_DEATH: Backoff = { shortest: 200, longest: 60_000 };

export const OUTCOMES = ['ok', 'failed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface HeartbeatOptions {
  readonly webserver: Webserver;
  readonly metadata: Metadata;
  /** The registration that an earlier service left, and where a new one goes. */
  readonly kept: Pick<KeptRegistration, 'exists' | 'read' | 'write' | 'forget'>;
  readonly log: Logger;
  /** Is told each one before it is used; its token must be kept out of the log. */
  readonly onRegistration: (registration: Registration) => void;
  /** Is told how each one went, but for the last; must not throw. */
  readonly onBeat?: ((outcome: Outcome) => void) | undefined;
  readonly pause?: Pause;
}

type Pause = (milliseconds: number, signal: AbortSignal) => Promise<unknown>;

const wait: Pause = (milliseconds, signal) => pauseFor(milliseconds, undefined, { signal });

export class Heartbeats {
  readonly #options: HeartbeatOptions;
  readonly #pause: Pause;
  readonly #stop = new AbortController();
  /** Aborts what must not be cut short by a stop. */
  readonly #giveUp = new AbortController();
  readonly #cut: AbortSignal;
  readonly #running: Promise<void>;
  #registration: Registration | undefined;
  /** Aborts the pause that comes next, or that lasts. */
  #hurry = new AbortController();
  #draining = false;
  #number = 0;
  #failures = 0;

  /** They begin at once and end with `lifetime`, or with `sayDying`. */
  constructor(lifetime: Lifetime, options: HeartbeatOptions) {
    this.#options = options;
    this.#pause = options.pause ?? wait;
    this.#cut = AbortSignal.any([lifetime.signal, this.#giveUp.signal]);
    const signal = AbortSignal.any([lifetime.signal, this.#stop.signal]);
    this.#running = lifetime.track('heartbeats', this.#run(signal));
  }

  /** Says at once, and in each heartbeat from now on, whether this host takes no more containers. */
  drain(isDraining = true): void {
    this.#draining = isDraining;
    this.#hurry.abort();
  }

  /**
   * Sends the last one, as often as it takes, for `milliseconds` at most. Never rejects.
   * A registration that is under way is waited for: the webserver may have made it. A host without one has nobody
   * to tell.
   */
  async sayDying(milliseconds: number): Promise<void> {
    this.#stop.abort();
    try {
      await withDeadline(milliseconds, 'the dying heartbeat', (late) => this.#sayLast(late));
    } catch (error) {
      this.#options.log.warn({ error }, 'could not tell the webserver that this host is dying');
    } finally {
      this.#giveUp.abort();
    }
  }

  async #sayLast(late: AbortSignal): Promise<void> {
    const { log, kept } = this.#options;
    await this.#running;
    if (!this.#registration) return;
    const registration = this.#registration;
    await sendLast(() => this.#send(registration, true, late), log, late);
    await kept.forget();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#hurry = new AbortController();
      const early = AbortSignal.any([signal, this.#hurry.signal]);
      const next = await this.#attempt(signal);
      await this.#pause(next, early).catch(() => {});
    }
  }

  /** Returns the milliseconds until the next one. */
  async #attempt(signal: AbortSignal): Promise<number> {
    const { log, onBeat } = this.#options;
    try {
      await this.#beat(signal);
      onBeat?.('ok');
      if (this.#failures > 0) log.info('the webserver accepts heartbeats again');
      this.#failures = 0;
      return BETWEEN.least + Math.random() * (BETWEEN.most - BETWEEN.least);
    } catch (error) {
      const milliseconds = backoff(this.#failures, AFTER_FAILURE);
      if (!signal.aborted) {
        this.#tell(error);
        onBeat?.('failed');
      }
      this.#failures += 1;
      return milliseconds;
    }
  }

  /** The first of several failures is an error; the others only repeat it. */
  #tell(error: unknown): void {
    const { log } = this.#options;
    if (this.#failures === 0) log.error({ error }, messageOf(error));
    else log.warn(messageOf(error));
  }

  async #beat(signal: AbortSignal): Promise<void> {
    if (this.#number === 0) this.#registration = await this.#remember(signal);
    if (this.#registration && (await this.#send(this.#registration, false, signal))) return;
    // The old one is kept until there is a new one: it may be known again when the webserver is itself again.
    this.#registration = await this.#register(signal);
    if (await this.#send(this.#registration, false, signal)) return;
    throw new Error('the webserver rejects the token that it has just issued');
  }

  /** The webserver may still know this instance from an earlier service, and would then refuse to register it again. */
  async #remember(signal: AbortSignal): Promise<Registration | undefined> {
    const { metadata, kept, log, onRegistration } = this.#options;
    const { instanceId } = await unlessAborted(metadata.facts(), signal);
    const found = await kept.read(instanceId);
    if (!found) return undefined;
    onRegistration(found);
    log.info({ instanceId }, 'reusing the registration of the previous service');
    return found;
  }

  async #register(signal: AbortSignal): Promise<Registration> {
    const { webserver, metadata, kept, log, onRegistration } = this.#options;
    const facts = await unlessAborted(metadata.facts(), signal);
    const { instanceId } = facts;
    const registration = { token: await webserver.handshake(facts, this.#cut), instanceId };
    onRegistration(registration);
    await kept.write(registration);
    log.info({ instanceId }, 'the webserver has registered this host');
    return registration;
  }

  async #send(registration: Registration, dying: boolean, signal: AbortSignal): Promise<boolean> {
    const memory = await readMemory();
    const number = this.#number++;
    const beat = { ...registration, number, memory, dying, draining: this.#draining };
    return await this.#options.webserver.heartbeat(beat, signal);
  }
}

export type LastWords = Omit<HeartbeatOptions, 'onBeat'>;

/**
 * Sends the last heartbeat that a service which is gone still owes, if it does: again and again, with growing pauses.
 * @throws the reason of `signal` when that aborts before the webserver has answered
 */
export async function sayGone(options: LastWords, signal: AbortSignal): Promise<void> {
  const { webserver, metadata, kept, log, onRegistration, pause } = options;
  const send = async () => {
    const { instanceId } = await unlessAborted(metadata.facts(), signal);
    const registration = await kept.read(instanceId);
    if (!registration) return undefined;
    onRegistration(registration);
    const memory = await readMemory();
    return await webserver.heartbeat(
      { ...registration, number: 0, memory, dying: true, draining: false },
      signal,
    );
  };
  if (!(await kept.exists())) return;
  await sendLast(send, log, signal, { pause, between: AFTER_DEATH });
  await kept.forget();
}

/** Sends the last one until the webserver has answered. @param send resolves to undefined when none is owed @throws the reason of `late` */
async function sendLast(
  send: () => Promise<boolean | undefined>,
  log: Logger,
  late: AbortSignal,
  { pause = wait, between = WHILE_ENDING }: { pause?: Pause | undefined; between?: Backoff } = {},
): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      const isKnown = await send();
      if (isKnown) log.info('the webserver knows that this host is dying');
      if (isKnown === false) log.warn('the webserver no longer knows this host');
      return;
    } catch (error) {
      late.throwIfAborted();
      log.warn(messageOf(error));
      await pause(backoff(failures, between), late);
    }
  }
}

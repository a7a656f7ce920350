/**
 * Tells the webserver that this host is alive: registers it, sends a heartbeat at once and then about every minute, and
 * at the end a last one that says that the host is dying. Failures here do not affect the rest of the service.
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

/** Milliseconds between heartbeats, random within these limits, so that the hosts do not send them at the same time. */
const BETWEEN = { least: 55_000, most: 65_000 };
const AFTER_FAILURE: Backoff = { shortest: 1000, longest: 60_000 };
/**
 * The pause between attempts to send the last heartbeat, at the end of a service or by the process that reports its
 * crash.
 */
const WHILE_ENDING: Backoff = { shortest: 200, longest: 200 };
const AFTER_DEATH: Backoff = { shortest: 200, longest: 60_000 };

export const OUTCOMES = ['ok', 'failed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface HeartbeatOptions {
  readonly webserver: Webserver;
  readonly metadata: Metadata;
  /** Stores the registration. An earlier service may have left one. */
  readonly kept: Pick<KeptRegistration, 'exists' | 'read' | 'write' | 'forget'>;
  readonly log: Logger;
  /** Called with each registration before it is used, so that its token can be kept out of the log. */
  readonly onRegistration: (registration: Registration) => void;
  /** Called with the result of each heartbeat except the last; must not throw. */
  readonly onBeat?: ((outcome: Outcome) => void) | undefined;
  readonly pause?: Pause;
}

type Pause = (milliseconds: number, signal: AbortSignal) => Promise<unknown>;

const wait: Pause = (milliseconds, signal) => pauseFor(milliseconds, undefined, { signal });

export class Heartbeats {
  readonly #options: HeartbeatOptions;
  readonly #pause: Pause;
  readonly #stop = new AbortController();
  /** Aborts what a stop must not interrupt. */
  readonly #giveUp = new AbortController();
  readonly #cut: AbortSignal;
  readonly #running: Promise<void>;
  #registration: Registration | undefined;
  /** Aborts the current or the next pause. */
  #hurry = new AbortController();
  #draining = false;
  #number = 0;
  #failures = 0;

  /** The heartbeats begin at once and end with `lifetime` or with `sayDying`. */
  constructor(lifetime: Lifetime, options: HeartbeatOptions) {
    this.#options = options;
    this.#pause = options.pause ?? wait;
    this.#cut = AbortSignal.any([lifetime.signal, this.#giveUp.signal]);
    const signal = AbortSignal.any([lifetime.signal, this.#stop.signal]);
    this.#running = lifetime.track('heartbeats', this.#run(signal));
  }

  /** Tells the webserver whether this host is draining, at once and in each later heartbeat. */
  drain(isDraining = true): void {
    this.#draining = isDraining;
    this.#hurry.abort();
  }

  /**
   * Sends the last heartbeat, with retries, for at most `milliseconds`. Never rejects. It waits for a registration in
   * progress, because the webserver may already know the host by it. Without a registration it sends nothing.
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

  /** Returns the milliseconds until the next attempt. */
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

  /** The first of several failures is logged as an error, the later ones at a lower level. */
  #tell(error: unknown): void {
    const { log } = this.#options;
    if (this.#failures === 0) log.error({ error }, messageOf(error));
    else log.warn(messageOf(error));
  }

  async #beat(signal: AbortSignal): Promise<void> {
    if (this.#number === 0) this.#registration = await this.#remember(signal);
    if (this.#registration && (await this.#send(this.#registration, false, signal))) return;
    // The old registration is kept until there is a new one, because the webserver may accept it again once it has
    // recovered.
    this.#registration = await this.#register(signal);
    if (await this.#send(this.#registration, false, signal)) return;
    throw new Error('the webserver rejects the token that it has just issued');
  }

  /** The webserver may still know this instance from an earlier service. It would then refuse to register it again. */
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
 * Sends the last heartbeat of a crashed service, if it is still owed, with retries and growing pauses.
 * @throws the reason of `signal` if it aborts before the webserver has answered
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

/**
 * Sends the last heartbeat until the webserver has answered.
 * @param send resolves to undefined if no heartbeat is owed
 * @throws the reason of `late`
 */
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

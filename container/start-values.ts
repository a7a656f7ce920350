/**
 * The data that the webserver and the client app send about a container, and whether they match. The webserver is the
 * only authority. What a client app sends before it is kept as a candidate and has no effect.
 */

import { monotonic } from '../lifetime/monotonic.ts';
import { sameSecret } from '../settings/secret.ts';
import type { HandedOffer } from './handed-over.ts';

/** The data of the webserver. */
export interface StartValues {
  /** Dots per inch of the user's screen; null: the container keeps its default. */
  readonly dpi: number | null;
  readonly containerArn: string;
  /** The user whose config is loaded; empty: no config. */
  readonly userId: string;
  readonly clientAppAuthSecret: string;
}

/** The data of a client app. */
export interface TokenOffer {
  readonly userId: string;
  readonly clientAppAuthSecret: string;
  readonly configEncryptionToken: string;
  /** The network address of its sender. */
  readonly source: string;
}

export function sameStartValues(a: StartValues, b: StartValues): boolean {
  return (
    a.dpi === b.dpi &&
    a.containerArn === b.containerArn &&
    a.userId === b.userId &&
    sameSecret(a.clientAppAuthSecret, b.clientAppAuthSecret)
  );
}

/** Whether the client app is the one that the webserver announced. It takes the same time for both results. */
export function proves(offer: TokenOffer, values: StartValues): boolean {
  const user = sameSecret(offer.userId, values.userId);
  const secret = sameSecret(offer.clientAppAuthSecret, values.clientAppAuthSecret);
  return user && secret;
}

/** Limits on what outsiders can make a container keep. */
export const MOST_CANDIDATES = 8;
export const MOST_CANDIDATES_OF_A_SOURCE = 2;
export const CANDIDATE_LIFE = 2 * 60_000;

/** Tokens that arrived before the start values, kept for two minutes each. */
export class Candidates {
  readonly #now: () => number;
  #kept: HandedOffer[];

  /**
   * @param kept the tokens of the previous service
   * @param now a monotonic clock in milliseconds
   */
  constructor(kept: readonly HandedOffer[] = [], now: () => number = monotonic) {
    this.#kept = [...kept];
    this.#now = now;
  }

  /** The waiting tokens, for the next service. */
  get waiting(): readonly HandedOffer[] {
    return this.#kept;
  }

  /** @returns false if there is no room; a source can only fill its own share, which drops its oldest tokens */
  keep(offer: TokenOffer): boolean {
    this.#dropExpired();
    const own = this.#kept.filter((one) => one.offer.source === offer.source);
    if (own.length >= MOST_CANDIDATES_OF_A_SOURCE) this.#kept = this.#kept.filter((one) => one !== own[0]);
    if (this.#kept.length >= MOST_CANDIDATES) return false;
    this.#kept.push({ offer, until: this.#now() + CANDIDATE_LIFE });
    return true;
  }

  /** Returns the latest matching offer, and removes all. */
  settle(values: StartValues): TokenOffer | undefined {
    this.#dropExpired();
    const proven = this.#kept.findLast((one) => proves(one.offer, values));
    this.#kept = [];
    return proven?.offer;
  }

  #dropExpired(): void {
    this.#kept = this.#kept.filter((one) => one.until > this.#now());
  }
}

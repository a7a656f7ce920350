/**
 * What the webserver and the client app say about a container, and whether they agree. The webserver is the
 * only authority: what a client app sends before it is kept as a candidate and changes nothing.
 */

import { sameSecret } from '../settings/secret.ts';

/** What the webserver sends. */
export interface StartValues {
  /** Dots per inch of the user's screen; null: the container keeps its own. */
  readonly dpi: number | null;
  readonly containerArn: string;
  /** Whose config it is; empty: nobody's, and there is none. */
  readonly userId: string;
  readonly clientAppAuthSecret: string;
}

/** What a client app sends. */
export interface TokenOffer {
  readonly userId: string;
  readonly clientAppAuthSecret: string;
  readonly configEncryptionToken: string;
  /** The network address that it came from. */
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

/** Whether the client app is the one that the webserver spoke of; takes the same time either way. */
export function proves(offer: TokenOffer, values: StartValues): boolean {
  const user = sameSecret(offer.userId, values.userId);
  const secret = sameSecret(offer.clientAppAuthSecret, values.clientAppAuthSecret);
  return user && secret;
}

/** Bounds of what outsiders can make a container keep. */
export const MOST_CANDIDATES = 8;
export const MOST_CANDIDATES_OF_A_SOURCE = 2;
export const CANDIDATE_LIFE = 2 * 60_000;

/** Tokens that came before the start values, for two minutes each. */
export class Candidates {
  readonly #now: () => number;
  #kept: { readonly offer: TokenOffer; readonly until: number }[] = [];

  /** @param now a clock in milliseconds that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @returns false when there is no room; one source can fill only its own share, pushing out its oldest */
  keep(offer: TokenOffer): boolean {
    this.#dropExpired();
    const own = this.#kept.filter((one) => one.offer.source === offer.source);
    if (own.length >= MOST_CANDIDATES_OF_A_SOURCE) this.#kept = this.#kept.filter((one) => one !== own[0]);
    if (this.#kept.length >= MOST_CANDIDATES) return false;
    this.#kept.push({ offer, until: this.#now() + CANDIDATE_LIFE });
    return true;
  }

  /** Gives out the latest offer that proves itself, and forgets all. */
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

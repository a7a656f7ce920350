/**
 * The credentials for registries. A credential that expires is kept for nine tenths of its lifetime and then renewed. If
 * the renewal fails, the old credential is used until it expires.
 */

import type { ImageReference } from './image-reference.ts';
import type { RegistryAuth } from './pull-image.ts';

/** A credential with its expiry. */
export interface Issued {
  readonly auth: RegistryAuth;
  /** Milliseconds since 1970. Infinity: the issuer is asked each time, because an operator may replace the credential. */
  readonly ends: number;
}

/** @returns undefined if the issuer has no credential for the registry, which may need none */
export type Issuer = (registry: string) => Promise<Issued | undefined>;

/** @param auth `USER:PASSWORD` in base64 @returns undefined if it is anything else */
export function authIn(auth: string): RegistryAuth | undefined {
  const [username = '', ...rest] = Buffer.from(auth, 'base64').toString().split(':');
  return username && rest.length > 0 ? { username, password: rest.join(':') } : undefined;
}

interface Kept extends Issued {
  readonly renewAt: number;
}

const RENEW_AFTER = 0.9;

export class RegistryCredentials {
  readonly #issuers: readonly Issuer[];
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();
  readonly #asking = new Map<string, Promise<RegistryAuth | undefined>>();

  /** @param issuers are asked in turn, until one has a credential */
  constructor(issuers: readonly Issuer[], now: () => number = Date.now) {
    this.#issuers = issuers;
    this.#now = now;
  }

  /** @throws what an issuer throws, unless an older credential still lasts */
  for({ name }: Pick<ImageReference, 'name'>): Promise<RegistryAuth | undefined> {
    const [registry = ''] = name.split('/', 1);
    const kept = this.#kept.get(registry);
    if (kept && this.#now() < kept.renewAt) return Promise.resolve(kept.auth);
    const asking = this.#asking.get(registry) ?? this.#ask(registry, kept);
    this.#asking.set(registry, asking);
    const forget = () => this.#asking.delete(registry);
    asking.then(forget, forget);
    return asking;
  }

  async #ask(registry: string, kept: Kept | undefined): Promise<RegistryAuth | undefined> {
    try {
      for (const issue of this.#issuers) {
        const issued = await issue(registry);
        if (issued) return this.#keep(registry, issued);
      }
      return undefined;
    } catch (error) {
      if (kept && this.#now() < kept.ends) return kept.auth;
      throw error;
    }
  }

  #keep(registry: string, issued: Issued): RegistryAuth {
    const now = this.#now();
    if (Number.isFinite(issued.ends)) {
      this.#kept.set(registry, { ...issued, renewAt: now + RENEW_AFTER * (issued.ends - now) });
    }
    return issued.auth;
  }
}

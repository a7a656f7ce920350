/**
 * The AWS credentials of a node's app. EchoStream issues them for an hour at a time. Their end is computed with this host's
 * clock from the moment of the request, so a wrong clock does no harm.
 */

import type { Api } from './api.ts';
import { type AppType, type CredentialsAnswer, credentialsQuery } from './queries.ts';
import { Refreshed } from './refreshed.ts';

/** The requested lifetime, in seconds. */
const DURATION = 3600;
/** Milliseconds before their end at which they are fetched again. */
const MARGIN = 10 * 60_000;
/**
 * AWS's clients ask again five minutes before the end that they know. This end is one second further away than that, so that
 * credentials that AWS refuses are replaced at once. Until then the clients get the cached ones.
 */
const TOLD = 5 * 60_000 + 1000;

export interface App {
  readonly name: string;
  readonly tenant: string;
  readonly type: AppType;
}

export interface TemporaryCredentials extends CredentialsAnswer {
  readonly expiration: Date;
}

export class AppCredentials {
  readonly #kept: Refreshed<CredentialsAnswer>;

  constructor(api: Api, { name, tenant, type }: App) {
    const query = credentialsQuery(type);
    this.#kept = new Refreshed(async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = await api.query(query, {
        name,
        tenant,
        duration: DURATION,
      });
      const value = { accessKeyId, secretAccessKey, sessionToken };
      return { value, milliseconds: DURATION * 1000 - MARGIN };
    });
  }

  /** For AWS's clients. */
  readonly provide = async (): Promise<TemporaryCredentials> => {
    const credentials = await this.#kept.value();
    return { ...credentials, expiration: new Date(Date.now() + TOLD) };
  };

  /** To be called when AWS has refused credentials. A late refusal of earlier ones does not affect the current ones. */
  forget(refusedKeyId: string): void {
    this.#kept.forget(({ accessKeyId }) => accessKeyId === refusedKeyId);
  }
}

/** The EchoStream API for a program that is not a node. It signs in as the app's user and sends queries. */

import { Api, type ApiQuery } from './api/api.ts';
import { cognitoClient } from './api/cognito.ts';
import { ServerTime } from './api/server-time.ts';
import { SignIn } from './api/sign-in.ts';
import { systemClock } from './clock.ts';
import { type NodeOptions, resolveNodeOptions } from './options.ts';

export type EchoStreamApiOptions = Pick<
  NodeOptions,
  'appsyncEndpoint' | 'clientId' | 'password' | 'tenant' | 'username' | 'userPoolId'
>;

export class EchoStreamApi implements Disposable {
  readonly #cognito: ReturnType<typeof cognitoClient>;
  readonly #api: Api;

  /** @throws EchoStreamError OPTIONS_INVALID */
  constructor(options: EchoStreamApiOptions) {
    // It has no name in EchoStream and needs none.
    const resolved = resolveNodeOptions({ ...options, name: 'none' }, process.env);
    const time = new ServerTime();
    this.#cognito = cognitoClient(resolved.userPoolId, time);
    const signIn = new SignIn(this.#cognito, resolved, time.now);
    this.#api = new Api(resolved.appsyncEndpoint, signIn, systemClock);
  }

  /** @throws EchoStreamError SIGN_IN_FAILED, API_FAILED; NODE_NOT_FOUND if the query finds nothing */
  query<T>(query: ApiQuery<T>, variables: object, signal?: AbortSignal): Promise<T> {
    return this.#api.query(query, variables, signal);
  }

  [Symbol.dispose](): void {
    this.#cognito.destroy();
  }
}

/** The EchoStream API: GraphQL over HTTPS, with the access token as it is in the Authorization header. */

import { backoff, type Clock } from '../clock.ts';
import { EchoStreamError, messageOf } from '../errors.ts';

/** For one request, in milliseconds. */
const DEADLINE = 30_000;
const ATTEMPTS = 5;

export interface Tokens {
  accessToken(): Promise<string>;
  forget(token: string): void;
}

export interface ApiQuery<T> {
  readonly text: string;
  /** Gets the result out of the answer's data. */
  readonly pick: (data: Record<string, unknown>) => T | null | undefined;
  /** Describes the query in errors. */
  readonly what: string;
}

interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { readonly message?: string; readonly errorType?: string }[];
}

/** A failure that another attempt may avoid. */
class Passing extends Error {}

export class Api {
  readonly #endpoint: string;
  readonly #tokens: Tokens;
  readonly #clock: Clock;

  constructor(endpoint: string, tokens: Tokens, clock: Clock) {
    this.#endpoint = endpoint;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /** @throws EchoStreamError API_FAILED, SIGN_IN_FAILED, NODE_NOT_FOUND */
  async query<T>(query: ApiQuery<T>, variables: object, signal?: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const data = await this.#ask(query.text, variables, signal);
        const picked = query.pick(data);
        if (picked !== null && picked !== undefined) return picked;
        throw new EchoStreamError(
          'NODE_NOT_FOUND',
          `EchoStream does not know ${query.what}. Check name and tenant.`,
        );
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof EchoStreamError) throw error;
        if (!(error instanceof Passing) || attempt === ATTEMPTS) {
          throw new EchoStreamError(
            'API_FAILED',
            `EchoStream did not tell ${query.what}: ${messageOf(error)}`,
            {
              cause: error,
            },
          );
        }
        await this.#clock.sleep(backoff(attempt), signal);
      }
    }
  }

  async #ask(query: string, variables: object, signal?: AbortSignal): Promise<Record<string, unknown>> {
    const token = await this.#tokens.accessToken();
    const deadline = AbortSignal.timeout(DEADLINE);
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      headers: { authorization: token, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    }).catch((error: Error) => {
      throw new Passing(`no answer from the API: ${messageOf(error.cause ?? error)}`);
    });
    const text = await response.text().catch((error: Error) => {
      throw new Passing(`the API's answer broke off: ${messageOf(error)}`);
    });
    const refused = response.status === 401 || /"errorType"\s*:\s*"UnauthorizedException"/.test(text);
    if (refused) this.#tokens.forget(token);
    if (refused || response.status === 429 || response.status >= 500) {
      throw new Passing(`the API answered with status ${response.status}`);
    }
    return dataOf(response.status, text);
  }
}

function dataOf(status: number, text: string): Record<string, unknown> {
  let answer: Answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Passing(`the API's answer (status ${status}) is not JSON`);
  }
  const passing = answer.errors?.find(({ errorType = '' }) =>
    /Throttl|TooMany|Timeout|Internal/i.test(errorType),
  );
  if (passing) throw new Passing(`${passing.errorType}: ${passing.message}`);
  if (answer.errors?.length) throw new Error(answer.errors.map(({ message }) => message).join('; '));
  if (status !== 200 || !answer.data) throw new Error(`the API answered with status ${status} and no data`);
  return answer.data;
}

/** Calls `/v1` from this page. A cookie carries the session. A header proves that the request comes from this page. */

import type { Answered, paths, Schemas } from 'ecs-host-service-api-client';
import { dataOf, ProblemError } from 'ecs-host-service-api-client';
import createClient from 'openapi-fetch';

export type Container = Schemas['Container'];
export type Capacity = Schemas['Capacity'];
export type Receipt = Schemas['Receipt'];
export type Host = Schemas['Host'];
export type Terminal = Schemas['Terminal'];
export type NewContainer = Schemas['NewContainer'];
export type UserConfig = Schemas['UserConfig'];
export type LogLine = Schemas['LogLine'];

const PROOF = { 'x-ecs-host-service-console': '1' };

export const api = createClient<paths>({ baseUrl: location.origin, headers: PROOF });

/** An error in words for the user. */
export interface Trouble {
  readonly title: string;
  readonly text: string;
  readonly status: number;
}

/** @throws {ProblemError} */
export async function answerTo<T>(call: Promise<Answered<T>>): Promise<T> {
  return dataOf(await call);
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) {
    const { title, detail } = (error.problem ?? {}) as { readonly title?: string; readonly detail?: string };
    return { title: title ?? 'unknown', text: detail ?? error.message, status: error.status };
  }
  return {
    title: 'unreachable',
    text: 'The service does not answer. Check that it runs and that the network is up; the console keeps trying.',
    status: 0,
  };
}

/**
 * Calls a route of the session, which is not part of `/v1`.
 * @param body undefined: asks who is signed in
 * @throws {ProblemError}
 */
export async function askSession(path: string, body?: object): Promise<{ readonly kind?: Kind }> {
  const sent = {
    method: 'POST',
    headers: { ...PROOF, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
  const response = await fetch(`/console/${path}`, body === undefined ? {} : sent);
  const answer = await response.json();
  if (!response.ok) throw new ProblemError(answer, response.status);
  return answer;
}

export type Kind = 'root' | 'operator' | 'viewer';

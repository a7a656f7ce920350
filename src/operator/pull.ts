/** The command that pulls an image and shows the progress. */

import { ServiceError } from '../../errors/service-error.ts';
import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { findSecret } from '../../settings/secret.ts';
import { dataOf, refusedBy } from './client.ts';
import { printableJson } from './printable.ts';
import { describePulled, PullDisplay, unbroken } from './pull-progress.ts';

export interface PullWords {
  readonly image: string;
  readonly platform: string | undefined;
  /** The registry's user, whose password is in REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE. */
  readonly user: string | undefined;
}

export interface Shown {
  readonly isJson: boolean;
  /** The width of the terminal; undefined if there is none. */
  readonly columns: number | undefined;
}

/**
 * Yields the text to print.
 * @throws {ServiceError} `operator.*`
 * @throws Error when the password is in a file that others than root can read
 */
export async function* pull(
  api: Api,
  words: PullWords,
  environment: NodeJS.ProcessEnv,
  { isJson, columns }: Shown,
): AsyncGenerator<string> {
  const { image, platform } = words;
  const registryAuth = authOf(words, environment);
  const body = { image, ...(platform && { platform }), ...(registryAuth && { registryAuth }) };
  const answer = dataOf(await api.POST('/v1/images/pull', { body, parseAs: 'stream' }));
  const { show, clear } = new PullDisplay(image, isJson ? undefined : columns);
  const broken = (why: string) => new ServiceError('operator.broken_off', { image, why });
  for await (const { event, data } of unbroken(answer, broken)) {
    if (isJson) yield `${printableJson({ event, ...data })}\n`;
    else if (event === 'progress') yield show(data as Schemas['PullProgress']);
    if (event === 'failed') {
      yield clear;
      throw refusedBy(data);
    }
    if (event === 'pulled') {
      if (!isJson) yield `${clear}${describePulled(data as Schemas['PulledImage'])}\n`;
      return;
    }
  }
}

/** The password must not be an argument, because all users of this machine can read arguments. */
function authOf({ user: username }: PullWords, environment: NodeJS.ProcessEnv) {
  if (username === undefined) return undefined;
  const password = findSecret('REGISTRY_PASSWORD', environment)?.text;
  if (password !== undefined) return { username, password };
  throw new ServiceError('operator.bad_target', {
    why: '--registry-user needs a password in REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE',
  });
}

/**
 * The command that has an image pulled, and shows how far it is: on a terminal in one line that is drawn again and again,
 * elsewhere in a line for each step of a layer.
 */

import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { findSecret } from '../../settings/secret.ts';
import { type Api, dataOf, refusedBy, type Schemas } from './client.ts';
import { messagesOf } from './events.ts';
import { printable, printableJson } from './printable.ts';

type Progress = Schemas['PullProgress'];

export interface PullWords {
  readonly image: string;
  readonly platform: string | undefined;
  /** Whose password is in REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE. */
  readonly user: string | undefined;
}

export interface Shown {
  readonly isJson: boolean;
  /** Of the terminal; undefined where there is none. */
  readonly columns: number | undefined;
}

const MIB = 2 ** 20;
/** Begins the line of a terminal anew. */
const CLEAR = '\r\u001b[K';

/** Gives what is to be printed. @throws {ServiceError} `operator.*` @throws Error when the password is not kept as a secret */
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
  const show = columns === undefined ? inSteps() : inOneLine(image, columns);
  const clear = isJson || columns === undefined ? '' : CLEAR;
  for await (const { event, data } of unbroken(image, answer)) {
    if (isJson) yield `${printableJson({ event, ...data })}\n`;
    else if (event === 'progress') yield show(data as Progress);
    if (event === 'failed') {
      yield clear;
      throw refusedBy(data);
    }
    if (event === 'pulled') {
      if (!isJson) yield `${clear}${describe(data as Schemas['PulledImage'])}\n`;
      return;
    }
  }
}

/** The password comes in no argument: all users of this machine can read those. */
function authOf({ user: username }: PullWords, environment: NodeJS.ProcessEnv) {
  if (username === undefined) return undefined;
  const password = findSecret('REGISTRY_PASSWORD', environment)?.text;
  if (password !== undefined) return { username, password };
  throw new ServiceError('operator.bad_target', {
    why: '--registry-user needs a password in REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE',
  });
}

interface Message {
  readonly event: string | undefined;
  readonly data: object;
}

/** @throws {ServiceError} `operator.broken_off` when there is no more to come */
async function* unbroken(image: string, answer: unknown): AsyncGenerator<Message> {
  let why = 'its answer ended';
  try {
    for await (const { event, data } of messagesOf(answer)) yield { event, data: JSON.parse(data) };
  } catch (error) {
    why = messageOf(error);
  }
  throw new ServiceError('operator.broken_off', { image, why: printable(why) });
}

function inSteps(): (progress: Progress) => string {
  const statuses = new Map<string, string>();
  return ({ layers }) =>
    layers
      .filter(({ id, status }) => statuses.get(id) !== status)
      .map(({ id, status }) => {
        statuses.set(id, status);
        return `${printable(`${id}: ${status}`)}\n`;
      })
      .join('');
}

function inOneLine(image: string, columns: number): (progress: Progress) => string {
  return ({ layers, bytes: { current, total } }) => {
    const isHere = layers.filter(({ status }) => /^(Pull complete|Already exists)$/.test(status));
    const percent = Math.floor((100 * current) / Math.max(total, 1));
    const bytes = `${mebibytes(current)} of ${mebibytes(total)} MiB (${percent} %)`;
    const line = `${printable(image)}: ${isHere.length} of ${layers.length} layers, ${bytes}`;
    return `${CLEAR}${line.slice(0, columns - 1)}`;
  };
}

function describe({ image, digest, size }: Schemas['PulledImage']): string {
  return printable(`${image} is on this host: ${digest}, ${mebibytes(size)} MiB`);
}

function mebibytes(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

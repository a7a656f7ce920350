/** The command that shows a container's output. */

import { ServiceError } from '../../errors/service-error.ts';
import { type Api, messagesOf, type Schemas } from '../../packages/api-client/src/main.ts';
import { dataOf, refusedBy } from './client.ts';
import type { Output } from './output.ts';

/** The options as texts. */
export interface LogWords {
  readonly name: 'logs' | 'nodes logs';
  readonly id: string;
  readonly isFollowing: boolean;
  readonly tail: string | undefined;
}

type LogLine = Schemas['LogLine'];

/** Prints until the log ends, or, when following, until the container has ended. @throws {ServiceError} `operator.*` */
export async function logs(
  api: Api,
  { name, id, isFollowing: follow, tail }: LogWords,
  isJson: boolean,
  stdout: Output,
  stderr: Output,
): Promise<void> {
  const query = { follow, ...(tail !== undefined && { tail: numberOf(tail) }) };
  const how = { parseAs: 'stream' } as const;
  const answer =
    name === 'logs'
      ? await api.GET('/v1/containers/{id}/logs', { params: { path: { id }, query }, ...how })
      : await api.GET('/v1/nodes/{node}/logs', { params: { path: { node: id }, query }, ...how });
  const body = dataOf(answer);
  for await (const data of linesIn(body)) {
    const { stream, text, partial }: LogLine = JSON.parse(data);
    const output = stream === 'stderr' && !isJson ? stderr : stdout;
    await output.write(isJson ? `${data}\n` : `${text}${partial ? '' : '\n'}`);
  }
}

function numberOf(tail: string): number {
  if (/^\d{1,6}$/.test(tail)) return Number(tail);
  throw new ServiceError('operator.bad_option', { option: '--tail', wanted: 'a number of lines', got: tail });
}

async function* linesIn(body: unknown): AsyncGenerator<string> {
  for await (const { event, data } of uncut(messagesOf(body))) {
    if (event === 'end') return;
    if (event === 'failed') throw refusedBy(JSON.parse(data));
    yield data;
  }
  throw new ServiceError('operator.cut_off', {});
}

async function* uncut<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw new ServiceError('operator.cut_off', {}, { cause: error });
  }
}

/** The command that follows the events of containers. */

import { type Api, messagesOf, type Schemas } from '../../packages/api-client/src/main.ts';
import { dataOf } from './client.ts';

const MISSED = 'Some earlier events are no longer available.';

/** Yields a line for each event, until the service ends. @param after the id of the last known event */
export async function* events(api: Api, after: string | undefined, isJson: boolean): AsyncGenerator<string> {
  const params = { query: after === undefined ? {} : { after } };
  const body = dataOf(await api.GET('/v1/events', { params, parseAs: 'stream' }));
  for await (const { event, data } of messagesOf(body)) {
    if (event === 'notice' && !isJson) yield `${describeNotice(JSON.parse(data))}\n`;
    else if (event === 'missed') yield isJson ? '{"missed":true}\n' : `${MISSED}\n`;
    else yield isJson ? `${data}\n` : `${describe(JSON.parse(data))}\n`;
  }
}

function describeNotice({ id, at, code, cause }: Schemas['NoticeEvent']): string {
  return `${at}  ${id}  ${''.padEnd(12)}  ${'this host'.padEnd(21)}  ${code.padEnd(15)}  ${cause}`;
}

function describe({ id, at, from, code, cause, container }: Schemas['Event']): string {
  const states = from ? `${from} → ${container.state}` : container.state;
  return `${at}  ${id}  ${container.id.slice(0, 12)}  ${states.padEnd(21)}  ${code.padEnd(15)}  ${cause}`;
}

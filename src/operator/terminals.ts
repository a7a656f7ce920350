/** The command about open terminals. */

import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { align } from '../align.ts';
import { dataOf } from './client.ts';
import { asJson, linesOf } from './containers.ts';

/** @param end the id of a terminal to end */
export async function terminals(api: Api, end: string | undefined, isJson: boolean): Promise<string> {
  if (end === undefined) {
    const found = dataOf(await api.GET('/v1/terminals')).terminals;
    return isJson ? asJson(found) : tableOf(found);
  }
  const ended = dataOf(await api.POST('/v1/terminals/{id}/end', { params: { path: { id: end } } }));
  return isJson ? asJson(ended) : tableOf([ended]);
}

function tableOf(found: readonly Schemas['Terminal'][]): string {
  const heads = ['TERMINAL', 'CONTAINER', 'PROGRAM', 'USER', 'BY', 'SIZE', 'ATTACHED', 'IDLE'];
  const rows = found.map(
    ({ id, container = 'host', program, user = '-', by, columns, rows, attached, idle }) => [
      id,
      container.slice(0, 12),
      program,
      user,
      by,
      `${columns}x${rows}`,
      String(attached),
      `${idle} s`,
    ],
  );
  return linesOf(align([heads, ...rows]));
}

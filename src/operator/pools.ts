/** The commands about pools: `pools list`, `pools set` and `pools remove`. */

import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { align } from '../align.ts';
import { dataOf } from './client.ts';
import { asJson, linesOf } from './containers.ts';
import { bodyOf, numberOf } from './create.ts';
import type { PoolAsked, PoolWords } from './pool-commands.ts';
import { printable } from './printable.ts';

/** @throws {ServiceError} `operator.*`, `pool.*` */
export async function pools(
  api: Api,
  asked: PoolAsked,
  ours: NodeJS.ProcessEnv,
  isJson: boolean,
): Promise<string> {
  if (asked.name === 'pools list') {
    const { pools: found } = dataOf(await api.GET('/v1/pools'));
    return isJson ? asJson(found) : tableOf(found);
  }
  const params = { path: { name: asked.pool } };
  const pool =
    asked.name === 'pools set'
      ? dataOf(await api.PUT('/v1/pools/{name}', { params, body: newPool(asked, ours) }))
      : dataOf(await api.DELETE('/v1/pools/{name}', { params }));
  if (isJson) return asJson(pool);
  return asked.name === 'pools set'
    ? tableOf([pool])
    : `The pool ${pool.name} is removed; its containers end.\n`;
}

function newPool({ size, maxAge, ...words }: PoolWords, ours: NodeJS.ProcessEnv): Schemas['NewPool'] {
  return {
    ...bodyOf(words, ours),
    size: numberOf('--size', size),
    ...(maxAge !== undefined && { maxAge: numberOf('--max-age', maxAge) }),
  };
}

function tableOf(found: readonly Schemas['Pool'][]): string {
  const heads = ['POOL', 'SIZE', 'READY', 'TAKEN', 'APP', 'IMAGE', 'LAST ERROR'];
  const rows = found.map(({ name, size, ready, taken, app, image, lastError = '-' }) => [
    name,
    ...[size, ready, taken].map(String),
    app,
    image,
    printable(lastError),
  ]);
  return linesOf(align([heads, ...rows]));
}

/** The commands about the pools of warm containers. */

import type { CommandRow, Given } from '../commands/row.ts';
import type { ShapeWords } from './create.ts';
import { ABOUT_SECRETS, SHAPE_OPTIONS, shapeWordsOf } from './shape-options.ts';

export interface PoolWords extends ShapeWords {
  readonly pool: string;
  readonly size: string;
  readonly maxAge: string | undefined;
}

export type PoolAsked =
  | { readonly name: 'pools list' }
  | { readonly name: 'pools remove'; readonly pool: string }
  | ({ readonly name: 'pools set' } & PoolWords);

type Row = Omit<CommandRow<PoolAsked>, 'read'> & { readonly read: (given: Given) => PoolAsked | undefined };

export const POOL_COMMANDS: readonly Row[] = [
  {
    name: 'pools list',
    summary: 'list the pools of warm containers',
    example: 'pools list',
    read: () => ({ name: 'pools list' }),
  },
  {
    name: 'pools set',
    words: '<POOL> <IMAGE>',
    summary: 'make a pool of warm containers, or change it',
    more: `The pool stays until you remove it or the service ends. ${ABOUT_SECRETS}`,
    options: [
      { flags: '--size <N>', meaning: 'the number of containers to keep ready', isRequired: true },
      { flags: '--max-age <SECONDS>', meaning: 'replace a container that nobody has taken for this time' },
      ...SHAPE_OPTIONS,
    ],
    example: 'pools set demo fractal/demo:current-build --size 4 --app demo --memory 2GiB',
    read: setOf,
  },
  {
    name: 'pools remove',
    words: '<POOL>',
    summary: 'remove a pool and end its containers',
    example: 'pools remove demo',
    read: ({ words: [pool] }) => (pool ? { name: 'pools remove', pool } : undefined),
  },
];

function setOf(given: Given): PoolAsked | undefined {
  const [pool, image] = given.words;
  const [size, maxAge] = [given.text('size'), given.text('max-age')];
  const words = shapeWordsOf(given, image);
  return pool && size && words ? { name: 'pools set', ...words, pool, size, maxAge } : undefined;
}

/** The JSON Schemas of the pools of warm containers. */

import { type Static, Type } from 'typebox';
import { PULL_POLICIES } from '../../docker-engine/needed-images.ts';
import { LONGEST_SECONDS } from '../../settings/parsers.ts';
import { SHAPE } from './create-schemas.ts';

const strict = { additionalProperties: false };
const count = (description: string) => Type.Integer({ minimum: 0, description });

/** The name of a pool. */
export const POOL_NAME = '^[a-z0-9][a-z0-9-]{0,62}$';

export const ByPool = Type.Object({
  name: Type.String({ pattern: POOL_NAME, description: 'Small letters, digits and hyphens.' }),
});

const Port = Type.Object(
  {
    container: Type.String({
      pattern: '^([1-9]\\d{0,4})/(tcp|udp)$',
      description: 'For example "8080/tcp".',
    }),
  },
  strict,
);

export const NewPool = Type.Object(
  {
    ...SHAPE,
    ports: Type.Optional(
      Type.Array(Port, {
        maxItems: 100,
        description: 'Ports like those of a new container, but each with any free host port.',
      }),
    ),
    size: Type.Integer({ minimum: 0, maximum: 1000, description: 'How many containers are ready.' }),
    maxAge: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LONGEST_SECONDS,
        description: 'Seconds after which a container that nobody has taken is replaced; 21600 by default.',
      }),
    ),
  },
  { ...strict, title: 'NewPool' },
);

export const Pool = Type.Object(
  {
    name: Type.String(),
    size: count('How many containers the service keeps ready.'),
    maxAge: count('Seconds after which a container that nobody has taken is replaced.'),
    pull: Type.Enum([...PULL_POLICIES], {
      description: 'When the service pulls the image for a new container.',
    }),
    image: Type.String(),
    app: Type.String(),
    ready: count('How many containers are ready.'),
    making: count('How many containers are being made.'),
    taken: count('How many containers users have taken since the service started.'),
    lastError: Type.Optional(Type.String({ description: 'Why the last container could not be made.' })),
  },
  { title: 'Pool', description: 'A pool of containers that wait for users.' },
);

export const Pools = Type.Object({ pools: Type.Array(Pool) });

export type NewPool = Static<typeof NewPool>;

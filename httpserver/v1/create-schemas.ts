/** The JSON Schemas of requests that create a container or set it up. */

import { type Static, Type } from 'typebox';
import { PULL_POLICIES } from '../../docker-engine/needed-images.ts';
import { LONGEST_SECONDS } from '../../settings/parsers.ts';
import { Container } from './schemas.ts';

const strict = { additionalProperties: false };
const text = (description: string) => Type.String({ minLength: 1, description });
const bytes = (description: string, minimum: number) =>
  Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, description });

const Port = Type.Object(
  {
    container: Type.String({
      pattern: '^([1-9]\\d{0,4})/(tcp|udp)$',
      description: 'For example "8080/tcp".',
    }),
    host: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: 'The default is any free port.' }),
    ),
  },
  strict,
);

const Mount = Type.Object(
  {
    source: Type.String({ pattern: '^/', description: 'A directory in ALLOWED_MOUNTS of this host.' }),
    target: Type.String({ pattern: '^/.*[^/]$', description: 'Where the container sees the directory.' }),
    readOnly: Type.Optional(Type.Boolean({ default: true })),
  },
  strict,
);

export const StartValues = Type.Object(
  {
    dpi: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: "Dots per inch of the user's screen." }),
    ),
    containerArn: Type.Optional(Type.String()),
    userId: Type.Optional(
      Type.String({
        description:
          'The user whose files the container gets. Without it, or with an empty one, it gets none.',
      }),
    ),
    clientAppAuthSecret: text('The secret with which the client app proves itself.'),
  },
  { ...strict, title: 'StartValues' },
);

export const ConfigToken = Type.Object(
  {
    userId: Type.Optional(Type.String()),
    clientAppAuthSecret: Type.String(),
    configEncryptionToken: text("The token from which the key of the user's files is derived."),
  },
  { ...strict, title: 'ConfigToken' },
);

/** The fields that describe a container. */
export const SHAPE = {
  image: text(
    'NAME[:TAG][@DIGEST]. The service pulls an image that is not on this host if the name begins with the host of its registry, or if DEFAULT_REGISTRY is set.',
  ),
  pull: Type.Optional(
    Type.Union(
      PULL_POLICIES.map((policy) => Type.Literal(policy)),
      {
        description:
          'When the service pulls the image. Default: missing, which means only when it is not on this host.',
      },
    ),
  ),
  app: text("The app. It says which of its user's files the container gets."),
  environment: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
      Type.String({ pattern: '^[^\\u0000]*$' }),
      strict,
    ),
  ),
  cpus: Type.Optional(Type.Number({ minimum: 0.01, maximum: 10_000, description: 'Limit of processors.' })),
  memory: Type.Optional(bytes('Limit of memory, in bytes.', 6 * 2 ** 20)),
  pids: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 2 ** 22, description: 'Limit of processes and threads.' }),
  ),
  sharedMemory: Type.Optional(bytes('Size of /dev/shm in bytes; 8 GiB by default.', 2 ** 16)),
  ports: Type.Optional(
    Type.Array(Port, {
      maxItems: 100,
      description: 'Ports in addition to 32262/tcp, 32263/udp and 32273/tcp, which every container has.',
    }),
  ),
  mounts: Type.Optional(Type.Array(Mount, { maxItems: 100 })),
  gpu: Type.Optional(
    Type.Boolean({
      description: "Whether the container gets the host's GPUs. By default it does, if there are any.",
    }),
  ),
  console: Type.Optional(
    Type.Boolean({ description: 'Whether the container gets a virtual console. By default it does.' }),
  ),
  labels: Type.Optional(
    Type.Record(Type.String({ pattern: '^(?!ecs-host-service\\.).+$' }), Type.String(), {
      ...strict,
      description: 'Labels of the Docker container.',
    }),
  ),
  timeout: Type.Optional(
    Type.Integer({
      minimum: -1,
      maximum: 2 ** 31 - 1,
      description:
        'Seconds for which the program waits for its first client; -1 means no limit. By default the program decides.',
    }),
  ),
  idleTimeout: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: LONGEST_SECONDS,
      description:
        'Seconds after which the service ends the container if it is ready and nobody is connected to its ports; 0 means never. The default is IDLE_SECONDS of this host.',
    }),
  ),
};

export const NewContainer = Type.Object(
  { ...SHAPE, startValues: Type.Optional(StartValues) },
  { ...strict, title: 'NewContainer' },
);

export const Created = Type.Object(
  {
    ...Container.properties,
    warm: Type.Optional(
      Type.Object(
        {
          pool: Type.Optional(Type.String({ description: 'The pool that the container comes from.' })),
          why: Type.Optional(
            Type.String({ description: 'Why the container does not come from a pool, as text for people.' }),
          ),
        },
        { description: 'Missing if this host has no pools, or the request has no start values.' },
      ),
    ),
  },
  { title: 'CreatedContainer', description: 'A new container.' },
);

export const CreateHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'The same request with the same key makes one container only.',
    }),
  ),
});

export const CreateQuery = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Boolean({ description: 'Only report whether there is room, and create nothing.' }),
    ),
  },
  strict,
);

export type NewContainer = Static<typeof NewContainer>;
export type StartValues = Static<typeof StartValues>;

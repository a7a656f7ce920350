/** What is asked of a container that is to be made, and of its set-up, as JSON Schema. */

import { type Static, Type } from 'typebox';
import { PULL_POLICIES } from '../../container/needed-images.ts';
import { LONGEST_SECONDS } from '../../settings/parsers.ts';

const strict = { additionalProperties: false };
const text = (description: string) => Type.String({ minLength: 1, description });
const bytes = (description: string, minimum: number) =>
  Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, description });

const Port = Type.Object(
  {
    container: Type.String({ pattern: '^([1-9]\\d{0,4})/(tcp|udp)$', description: 'Such as "8080/tcp".' }),
    host: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: 'Left out: any that is free.' }),
    ),
  },
  strict,
);

const Mount = Type.Object(
  {
    source: Type.String({ pattern: '^/', description: 'One of ALLOWED_MOUNTS of this host.' }),
    target: Type.String({ pattern: '^/.*[^/]$', description: 'Where the container sees it.' }),
    readOnly: Type.Optional(Type.Boolean({ default: true })),
  },
  strict,
);

export const StartValues = Type.Object(
  {
    dpi: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: "Of the user's screen." })),
    containerArn: Type.Optional(Type.String()),
    userId: Type.Optional(Type.String({ description: "Whose files it gets; left out or empty: nobody's." })),
    clientAppAuthSecret: text('By which the client app proves itself.'),
  },
  { ...strict, title: 'StartValues' },
);

export const ConfigToken = Type.Object(
  {
    userId: Type.Optional(Type.String()),
    clientAppAuthSecret: Type.String(),
    configEncryptionToken: text("Of which the key of the user's files is made."),
  },
  { ...strict, title: 'ConfigToken' },
);

export const NewContainer = Type.Object(
  {
    image: text(
      'NAME[:TAG][@DIGEST]. One that is not on this host is pulled if the name begins with the host of its registry, or DEFAULT_REGISTRY says where it is.',
    ),
    pull: Type.Optional(
      Type.Union(
        PULL_POLICIES.map((policy) => Type.Literal(policy)),
        { description: 'When the image is pulled; "missing", where this host has none, when left out.' },
      ),
    ),
    app: text('Whose files of a user it has.'),
    environment: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
        Type.String({ pattern: '^[^\\u0000]*$' }),
        strict,
      ),
    ),
    cpus: Type.Optional(Type.Number({ minimum: 0.01, maximum: 10_000, description: 'Processors, at most.' })),
    memory: Type.Optional(bytes('Bytes, at most.', 6 * 2 ** 20)),
    pids: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2 ** 22, description: 'Processes and threads, at most.' }),
    ),
    sharedMemory: Type.Optional(bytes('Bytes of /dev/shm; 8 GiB when left out.', 2 ** 16)),
    ports: Type.Optional(
      Type.Array(Port, {
        maxItems: 100,
        description: 'Beside 32262/tcp, 32263/udp and 32273/tcp, which all have.',
      }),
    ),
    mounts: Type.Optional(Type.Array(Mount, { maxItems: 100 })),
    gpu: Type.Optional(
      Type.Boolean({ description: "Whether it gets the host's GPUs; left out: where there are any." }),
    ),
    console: Type.Optional(
      Type.Boolean({ description: 'Whether it gets a virtual console of its own; left out: it does.' }),
    ),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: '^(?!ecs-host-service\\.).+$' }), Type.String(), {
        ...strict,
        description: 'Of the Docker container.',
      }),
    ),
    timeout: Type.Optional(
      Type.Integer({
        minimum: -1,
        maximum: 2 ** 31 - 1,
        description:
          'Seconds that its program waits for its first client; -1: for ever; left out: it decides.',
      }),
    ),
    idleTimeout: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LONGEST_SECONDS,
        description:
          'Seconds after which it ends when it is ready and nobody has been connected to its ports; 0: it does not; left out: as IDLE_SECONDS of this host says.',
      }),
    ),
    startValues: Type.Optional(StartValues),
  },
  { ...strict, title: 'NewContainer' },
);

export const CreateHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'The same request with the same one makes one container.',
    }),
  ),
});

export const CreateQuery = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Boolean({ description: 'Says whether it would have room, and makes nothing.' }),
    ),
  },
  strict,
);

export type NewContainer = Static<typeof NewContainer>;
export type StartValues = Static<typeof StartValues>;

/** The schema of one node in a feed: everything that determines its container, and how the container is replaced. */

import { type Static, Type } from 'typebox';

/** Satisfies EchoStream's rule for names of managed nodes and Docker's rule for names of containers. */
export const NODE_NAME = '^[A-Za-z0-9][A-Za-z0-9-]{1,62}$';

export const PortSpec = Type.Object(
  {
    containerPort: Type.Integer({ minimum: 1, maximum: 65_535 }),
    hostPort: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: 'If omitted, Docker chooses one.' }),
    ),
    hostAddress: Type.Optional(Type.String({ description: 'An IP address. If omitted, all addresses.' })),
    protocol: Type.Optional(Type.Enum(['tcp', 'udp', 'sctp'], { default: 'tcp' })),
  },
  { additionalProperties: false },
);
export type PortSpec = Static<typeof PortSpec>;

export const MountSpec = Type.Object(
  {
    source: Type.Optional(
      Type.String({
        description:
          'An absolute path on the host, which must exist, or the name of a volume. If omitted, an anonymous volume.',
      }),
    ),
    target: Type.String({ pattern: '^/', description: 'An absolute path in the container.' }),
  },
  { additionalProperties: false },
);
export type MountSpec = Static<typeof MountSpec>;

export const LimitsSpec = Type.Object(
  {
    memory: Type.Optional(
      Type.String({
        pattern: '^[1-9][0-9]{0,14}(KiB|MiB|GiB)?$',
        description: 'Bytes such as 512MiB, without swap.',
      }),
    ),
    cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 4096 })),
    pids: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
  },
  { additionalProperties: false },
);

export const UPDATE_ORDERS = ['auto', 'stop-first', 'hand-over'] as const;
const HAND_OVER_FILE = '/tmp/hand-over-complete';

export const UpdateSpec = Type.Object(
  {
    order: Type.Optional(
      Type.Enum([...UPDATE_ORDERS], {
        default: 'auto',
        description:
          'With auto, the new container starts before the old one stops, unless the node has a fixed host port. With hand-over, the old one runs until the new one has written handOverFile.',
      }),
    ),
    handOverFile: Type.Optional(
      Type.String({
        pattern: '^/.*[^/]$',
        default: HAND_OVER_FILE,
        description:
          'The file that the new container writes once the old one is not needed any more, for the order hand-over. An absolute path in the container, outside its mounts.',
      }),
    ),
    healthyAfter: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 86_400,
        default: 10,
        description: 'Seconds for which a new container without a health check must run to be accepted.',
      }),
    ),
    deadline: Type.Optional(
      Type.Number({
        minimum: 1,
        maximum: 86_400,
        default: 300,
        description:
          'Seconds within which the health check of a new container must succeed. After that time, a new container that has not written handOverFile replaces the old one all the same.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const NodeSpec = Type.Object(
  {
    name: Type.String({
      pattern: NODE_NAME,
      description: 'The name of the node and of its container, and its host name.',
    }),
    type: Type.Optional(
      Type.String({
        description: 'The type of the node. If nodes of a type have to be replaced, one is replaced first.',
      }),
    ),
    image: Type.String({
      minLength: 1,
      description: 'Such as registry.example.com/app:1.2, or with a digest.',
    }),
    environment: Type.Optional(Type.Record(Type.String({ pattern: '^[^=]+$' }), Type.String())),
    labels: Type.Optional(Type.Record(Type.String({ minLength: 1 }), Type.String())),
    ports: Type.Optional(Type.Array(PortSpec)),
    mounts: Type.Optional(Type.Array(MountSpec)),
    limits: Type.Optional(LimitsSpec),
    stopped: Type.Optional(
      Type.Boolean({ default: false, description: 'Whether the node should be stopped.' }),
    ),
    loggingLevel: Type.Optional(
      Type.String({ description: 'The LOGGING_LEVEL of its program, such as DEBUG.' }),
    ),
    update: Type.Optional(UpdateSpec),
  },
  { additionalProperties: false },
);
export type NodeSpec = Static<typeof NodeSpec>;

/** @returns the file whose existence completes a hand-over; undefined if the old container does not wait for one */
export function handOverFileOf({ update = {} }: NodeSpec): string | undefined {
  return update.order === 'hand-over' ? (update.handOverFile ?? HAND_OVER_FILE) : undefined;
}

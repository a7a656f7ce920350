/** What the operator's API takes and gives, as JSON Schema: its document is made of these. */

import { type Static, Type } from 'typebox';
import { RESOURCES } from '../../container/capacity.ts';
import { CHECK_HEALTHS, HEALTH_CODES, PORT_HEALTHS } from '../../container/health.ts';
import { ROLES } from '../../container/labels.ts';
import { CAUSE_CODES, STATES } from '../../container/state.ts';

const time = (description: string) => Type.String({ format: 'date-time', description });
const count = (description: string) => Type.Integer({ minimum: 0, description });

export const State = Type.Enum([...STATES], { description: 'What a container has come to.' });
const Code = Type.Enum([...CAUSE_CODES], { description: 'Why, for programs: these words stay.' });

const Health = Type.Object(
  {
    docker: Type.Optional(
      Type.Enum([...CHECK_HEALTHS], {
        description: "What Docker's check says; left out where there is none.",
      }),
    ),
    port: Type.Optional(
      Type.Enum([...PORT_HEALTHS], { description: 'Whether 32262/tcp in it takes connections.' }),
    ),
    since: time('When one of them was first seen so.'),
  },
  { description: 'How well it is, once that was looked at. Nothing ends because of it.' },
);

export const Container = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f]{60}$', description: 'The container id, which this service gave.' }),
    docker: Type.Optional(Type.String({ description: 'The docker id, once Docker has made it.' })),
    role: Type.Enum([...ROLES], { description: 'Who had it made.' }),
    app: Type.String({ description: 'Whose files of a user it has.' }),
    task: Type.Optional(Type.String({ description: 'ARN of the ECS task that it is of.' })),
    state: State,
    began: time('When it was asked for.'),
    since: time('When it came to its state.'),
    claimed: Type.Boolean({ description: 'Whether a user has been assigned to it.' }),
    port: Type.Optional(Type.Integer({ description: 'Its identifying host port, that of 32262/tcp.' })),
    ports: Type.Optional(
      Type.Record(Type.String(), Type.Integer(), {
        description: 'Host port by container port, such as "32262/tcp".',
      }),
    ),
    tty: Type.Optional(Type.Integer({ description: 'N of /dev/ttyN.' })),
    idleTimeout: Type.Optional(count('Seconds that it may be idle, where that was asked for; 0: for ever.')),
    health: Type.Optional(Health),
  },
  { title: 'Container', description: 'A container that this host hosts.' },
);

export const Containers = Type.Object({
  containers: Type.Array(Container),
  next: Type.Optional(Type.String({ description: 'To be given as `after` for those that follow.' })),
});

export const ListQuery = Type.Object(
  {
    state: Type.Optional(State),
    app: Type.Optional(Type.String({ description: 'Only those of this app.' })),
    claimed: Type.Optional(
      Type.Boolean({ description: 'Only those that a user has, or has not, been assigned to.' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
    after: Type.Optional(Type.String({ description: 'The `next` of the answer before.' })),
  },
  { additionalProperties: false },
);

export const ById = Type.Object({
  id: Type.String({
    minLength: 4,
    maxLength: 64,
    pattern: '^[0-9a-f]+$',
    description:
      'A container id or, while it lives, docker id, or as many of its first digits as no other one has.',
  }),
});

const Passed = Type.Object({
  state: State,
  at: time('When it came to it.'),
  code: Type.Optional(Code),
  cause: Type.Optional(Type.String({ description: 'Why, for people.' })),
});

const Warning = Type.Object({
  at: time('When it was noticed.'),
  code: Type.String({ description: 'Of the table of errors.' }),
  text: Type.String({ description: 'What it is, for people.' }),
});

const Held = Type.Object({
  kind: Type.String(),
  what: Type.String(),
  allotted: time('When it was taken.'),
  released: Type.Optional(time('When it was seen gone; left out while it is held.')),
  seen: Type.Optional(Type.String({ description: 'How it was seen gone.' })),
  failed: Type.Optional(Type.String({ description: 'Why it could not be released so far.' })),
});

export const Receipt = Type.Object(
  {
    container: Type.String(),
    docker: Type.Optional(Type.String()),
    role: Type.Enum([...ROLES]),
    task: Type.Optional(Type.String()),
    app: Type.String(),
    began: time('When it was asked for.'),
    ended: Type.Optional(time('When it was gone.')),
    cause: Type.Optional(Type.String({ description: 'Why it ended, for people.' })),
    code: Type.Optional(Code),
    states: Type.Array(Passed),
    warnings: Type.Optional(Type.Array(Warning)),
    resources: Type.Array(Held),
  },
  {
    title: 'Receipt',
    description: 'What a container was, why it ended, and what became of all that it held.',
  },
);

const Resource = Type.Object({
  name: Type.Enum([...RESOURCES]),
  size: count('How many this host has.'),
  held: count('How many containers have.'),
  each: count('How many each container takes.'),
  fits: count('For how many containers the others suffice.'),
});

export const Capacity = Type.Object(
  {
    fits: count('How many more containers have room.'),
    short: Type.Enum([...RESOURCES], { description: 'What runs short first.' }),
    resources: Type.Array(Resource),
    memory: Type.Object(
      {
        total: count('In all.'),
        free: count('Used for nothing.'),
        available: count('To be had by programs.'),
      },
      { description: 'In KiB.' },
    ),
  },
  { title: 'Capacity' },
);

export const Event = Type.Object(
  {
    id: Type.String({ description: 'To be sent as `Last-Event-ID`, to go on behind it.' }),
    at: time('When it happened.'),
    from: Type.Optional(State),
    code: Type.Enum([...CAUSE_CODES, ...HEALTH_CODES], {
      description: 'Why, for programs: these words stay.',
    }),
    cause: Type.String({ description: 'Why, for people.' }),
    container: Container,
  },
  { title: 'Event', description: 'A container came to a state, or its health changed.' },
);

export const EventsHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({ description: 'The id of the last event that is known.' })),
});

export const EventsQuery = Type.Object(
  {
    after: Type.Optional(Type.String({ description: 'As the header `Last-Event-ID`, which counts first.' })),
  },
  { additionalProperties: false },
);

export const Document = Type.Record(Type.String(), Type.Unknown(), { description: 'OpenAPI 3.1.' });

export const Draining = Type.Object({ containers: count('How many are waited for.') }, { title: 'Draining' });

export const Host = Type.Object(
  {
    id: Type.String({ description: 'Made once, and kept over reboots.' }),
    version: Type.String(),
    commit: Type.String(),
    environment: Type.String({ description: 'APP_ENV.' }),
    state: Type.Enum(['starting', 'running', 'draining', 'stopping']),
    started: time('When the service was started.'),
    docker: Type.Object({ engine: Type.String(), api: Type.String() }),
    containers: count('How many it hosts.'),
  },
  { title: 'Host' },
);

const AgentTask = Type.Object({
  arn: Type.String(),
  family: Type.String(),
  knownStatus: Type.String(),
  desiredStatus: Type.Optional(Type.String()),
  containers: Type.Array(
    Type.Object({
      name: Type.String(),
      dockerId: Type.String(),
      ports: Type.Array(Type.String(), { description: 'Such as "32262/tcp → 20001".' }),
    }),
  ),
});

export const Agent = Type.Object(
  {
    cluster: Type.String(),
    containerInstance: Type.String({ description: 'ARN of this host in the cluster.' }),
    version: Type.String(),
    tasks: Type.Array(AgentTask),
  },
  { title: 'Agent', description: 'What the ECS agent says of itself.' },
);

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String({ description: 'What went wrong, for programs: these words stay.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'The same for people, with what to do.' }),
  },
  { title: 'Problem', description: 'RFC 9457.' },
);

export type ListQuery = Static<typeof ListQuery>;
export type Host = Given<Static<typeof Host>>;
export type Agent = Given<Static<typeof Agent>>;
export type Problem = Static<typeof Problem>;

/** What JSON makes a `T` of. */
export type Given<T> = T extends readonly (infer Item)[]
  ? readonly Given<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Given<T[Key]> | (object extends Pick<T, Key> ? undefined : never) }
    : T;

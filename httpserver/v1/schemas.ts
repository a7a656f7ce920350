/** The JSON Schemas of the operator's API, from which its OpenAPI document is generated. */

import { type Static, Type } from 'typebox';
import { RESOURCES } from '../../container/capacity.ts';
import { HEALTH_CODES, PORT_HEALTHS } from '../../container/health.ts';
import { ROLES } from '../../container/labels.ts';
import { CAUSE_CODES, STATES } from '../../container/state.ts';
import { CHECK_HEALTHS } from '../../docker-engine/answers.ts';
import { Notice } from './notice-schemas.ts';

const time = (description: string) => Type.String({ format: 'date-time', description });
const count = (description: string) => Type.Integer({ minimum: 0, description });

export const State = Type.Enum([...STATES], { description: 'The state of a container.' });
const Code = Type.Enum([...CAUSE_CODES], {
  description: 'The cause as a code for programs, which does not change.',
});

const Health = Type.Object(
  {
    docker: Type.Optional(
      Type.Enum([...CHECK_HEALTHS], {
        description: "The result of Docker's health check. Missing if the image has none.",
      }),
    ),
    port: Type.Optional(
      Type.Enum([...PORT_HEALTHS], { description: 'Whether its port 32262/tcp accepts connections.' }),
    ),
    since: time('When one of the two last changed.'),
  },
  {
    description:
      'The health of the container. Missing until the first check. The service does not end a container because of it.',
  },
);

export const Container = Type.Object(
  {
    id: Type.String({
      pattern: '^[0-9a-f]{60}$',
      description: 'The container id, which this service assigns.',
    }),
    docker: Type.Optional(
      Type.String({ description: 'The docker id. Missing until Docker has made the container.' }),
    ),
    role: Type.Enum([...ROLES], { description: 'Who made the container.' }),
    app: Type.String({ description: "The app. It says which of its user's files the container gets." }),
    task: Type.Optional(Type.String({ description: 'ARN of its ECS task.' })),
    state: State,
    began: time('When the container was requested.'),
    since: time('When it entered this state.'),
    claimed: Type.Boolean({ description: 'Whether it is assigned to a user.' }),
    pool: Type.Optional(
      Type.String({ description: 'The pool in which it waits for a user. Missing from then on.' }),
    ),
    port: Type.Optional(
      Type.Integer({ description: 'Its identifying host port, which is bound to 32262/tcp.' }),
    ),
    ports: Type.Optional(
      Type.Record(Type.String(), Type.Integer(), {
        description: 'Host port by container port, such as "32262/tcp".',
      }),
    ),
    tty: Type.Optional(Type.Integer({ description: 'N of /dev/ttyN.' })),
    gpus: Type.Optional(
      Type.Array(Type.String(), {
        description: 'The UUIDs of its GPUs. Missing if it has none, or if it is unknown which.',
      }),
    ),
    idleTimeout: Type.Optional(
      count('Seconds for which it may be idle, if the request set this; 0 means no limit.'),
    ),
    health: Type.Optional(Health),
  },
  { title: 'Container', description: 'A hosted container.' },
);

export const Containers = Type.Object({
  containers: Type.Array(Container),
  next: Type.Optional(
    Type.String({ description: 'Pass this as `after` to get the next page. Missing on the last page.' }),
  ),
  lastEvent: Type.String({
    description:
      'The newest event that this page contains. Pass it as `after` to `/v1/events`, to follow what happens next without a gap.',
  }),
});

export const ListQuery = Type.Object(
  {
    state: Type.Optional(State),
    app: Type.Optional(Type.String({ description: 'Only containers of this app.' })),
    claimed: Type.Optional(
      Type.Boolean({ description: 'Only assigned containers (true), or only unassigned ones (false).' }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Containers on a page; 100 by default.',
      }),
    ),
    after: Type.Optional(Type.String({ description: 'The `next` of the previous page.' })),
  },
  { additionalProperties: false },
);

export const ById = Type.Object({
  id: Type.String({
    minLength: 4,
    maxLength: 64,
    pattern: '^[0-9a-f]+$',
    description:
      'A container id, or the docker id of a container that has not ended. Its first digits are enough, if they are unique.',
  }),
});

const Passed = Type.Object({
  state: State,
  at: time('When the container entered this state.'),
  code: Type.Optional(Code),
  cause: Type.Optional(Type.String({ description: 'The cause as text for people.' })),
});

const Warning = Type.Object({
  at: time('When the service noticed it.'),
  code: Type.String({ description: 'A code from the table of errors.' }),
  text: Type.String({ description: 'The warning as text for people.' }),
});

const Held = Type.Object({
  kind: Type.String(),
  what: Type.String(),
  allotted: time('When the resource was acquired.'),
  released: Type.Optional(time('When the service saw that it was gone. Missing while it is held.')),
  seen: Type.Optional(Type.String({ description: 'How the service saw that it was gone.' })),
  failed: Type.Optional(Type.String({ description: 'Why it could not be released yet.' })),
});

export const Receipt = Type.Object(
  {
    container: Type.String(),
    docker: Type.Optional(Type.String()),
    role: Type.Enum([...ROLES]),
    task: Type.Optional(Type.String()),
    app: Type.String(),
    began: time('When the container was requested.'),
    ended: Type.Optional(time('When everything was released. Missing until then.')),
    cause: Type.Optional(Type.String({ description: 'Why it ended, as text for people.' })),
    code: Type.Optional(Code),
    states: Type.Array(Passed),
    warnings: Type.Optional(Type.Array(Warning)),
    resources: Type.Array(Held),
  },
  {
    title: 'Receipt',
    description:
      'The history of a container: its states, why it ended, and how each of its resources was released.',
  },
);

const Resource = Type.Object({
  name: Type.Enum([...RESOURCES]),
  size: count('How many of them this host has.'),
  held: count('How many are held by containers.'),
  warm: count('How many of those are held by warm containers, which end if another container needs them.'),
  each: count('How many each container needs.'),
  fits: count(
    'The number of further containers for which the free ones and those of warm containers are enough.',
  ),
});

export const Capacity = Type.Object(
  {
    fits: count('How many more containers have room.'),
    short: Type.Enum([...RESOURCES], { description: 'The resource that runs out first.' }),
    resources: Type.Array(Resource),
    warm: count('How many warm containers wait in pools.'),
    memory: Type.Object(
      {
        total: count('All memory of the host.'),
        free: count('Memory that is not used at all.'),
        available: count('Memory that programs can still get.'),
      },
      { description: 'Memory, in KiB.' },
    ),
  },
  { title: 'Capacity' },
);

export const Event = Type.Object(
  {
    id: Type.String({ description: 'Send this as `Last-Event-ID` to continue after this event.' }),
    at: time('When it happened.'),
    from: Type.Optional(State),
    code: Type.Enum([...CAUSE_CODES, ...HEALTH_CODES], {
      description: 'The cause as a code for programs, which does not change.',
    }),
    cause: Type.String({ description: 'The cause as text for people.' }),
    container: Container,
  },
  { title: 'Event', description: "A change of a container's state or health." },
);

export const EventsHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ description: 'The id of the last event that you have received.' }),
  ),
});

export const EventsQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({ description: 'The same as the header `Last-Event-ID`, which takes precedence.' }),
    ),
  },
  { additionalProperties: false },
);

export const Document = Type.Record(Type.String(), Type.Unknown(), { description: 'OpenAPI 3.1.' });

export const Draining = Type.Object(
  { containers: count('How many containers the host still waits for.') },
  { title: 'Draining' },
);

export const Host = Type.Object(
  {
    id: Type.String({ description: 'The id of the host. It stays the same after reboots.' }),
    version: Type.String(),
    commit: Type.String(),
    environment: Type.String({ description: 'The value of APP_ENV.' }),
    state: Type.Enum(['starting', 'running', 'draining', 'stopping']),
    started: time('When the service was started.'),
    docker: Type.Object({ engine: Type.String(), api: Type.String() }),
    containers: count('Number of containers.'),
    notices: Type.Optional(
      Type.Array(Notice, { description: 'The notices of EC2 about this host. Missing in older versions.' }),
    ),
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
      ports: Type.Array(Type.String(), { description: 'For example "32262/tcp → 20001".' }),
    }),
  ),
});

export const Agent = Type.Object(
  {
    cluster: Type.String(),
    containerInstance: Type.String({
      description: 'ARN of this host as a container instance of the cluster.',
    }),
    version: Type.String(),
    tasks: Type.Array(AgentTask),
  },
  { title: 'Agent', description: 'What the ECS agent reports about itself.' },
);

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String({ description: 'The error as a code for programs, which does not change.' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What went wrong and what to do, as text for people.' }),
  },
  { title: 'Problem', description: 'An error, as in RFC 9457.' },
);

export type ListQuery = Static<typeof ListQuery>;
export type Host = Given<Static<typeof Host>>;
export type Agent = Given<Static<typeof Agent>>;
export type Problem = Static<typeof Problem>;

/** The type of a `T` after serialisation to JSON. */
export type Given<T> = T extends readonly (infer Item)[]
  ? readonly Given<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Given<T[Key]> | (object extends Pick<T, Key> ? undefined : never) }
    : T;

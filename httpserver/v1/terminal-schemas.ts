/** The JSON Schemas of the calls about terminals. */

import { type Static, Type } from 'typebox';
import { SIZE } from './terminal-messages.ts';

const how = {
  as: Type.Optional(
    Type.Enum(['write', 'take', 'watch'], {
      description:
        'write: type, if no other client types; take: type, while the client that typed before can only watch; watch: only watch.',
      default: 'write',
    }),
  ),
  after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 999_999_999_999_999,
      description:
        'How many printed bytes you have already received. Without it, you get the last output again.',
    }),
  ),
};

const what = {
  type: Type.Optional(
    Type.String({
      pattern: '^[0-9A-Za-z.+-]{1,64}$',
      description: 'The value of TERM.',
      default: 'xterm-256color',
    }),
  ),
  columns: Type.Optional({ ...SIZE.columns, default: 80 }),
  rows: Type.Optional({ ...SIZE.rows, default: 24 }),
};

export const HostQuery = Type.Object(what, { additionalProperties: false });
export type HostQuery = Static<typeof HostQuery>;

export const OpenQuery = Type.Object(
  {
    ...what,
    command: Type.Optional(
      Type.Array(Type.String({ maxLength: 4096 }), {
        minItems: 1,
        maxItems: 256,
        description:
          'The program, and again for each of its arguments. The default is bash, or sh if there is no bash.',
      }),
    ),
    user: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Za-z_][0-9A-Za-z_.-]{0,31}(:[0-9A-Za-z_][0-9A-Za-z_.-]{0,31})?$',
        description:
          "The user as whom the program runs, such as `root` or `1000:1000`. The default is the container's own user.",
      }),
    ),
  },
  { additionalProperties: false },
);

export const AttachQuery = Type.Object(how, { additionalProperties: false });

export const ByTerminal = Type.Object({
  id: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'The id of a terminal.' }),
});

export const Terminal = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    container: Type.Optional(
      Type.String({
        description:
          'The container of the terminal, or the name of its managed node. Missing if the terminal is on the host.',
      }),
    ),
    program: Type.String({ description: 'The program that runs in it, without arguments.' }),
    user: Type.Optional(
      Type.String({ description: "The user as whom it runs. Missing if that is the container's own user." }),
    ),
    by: Type.String({ description: 'Who opened it: a network address, or `unix socket`.' }),
    began: Type.String({ format: 'date-time' }),
    ...SIZE,
    attached: Type.Integer({ minimum: 0, description: 'How many clients are attached to it.' }),
    written: Type.Boolean({ description: 'Whether one of them can type.' }),
    idle: Type.Integer({
      minimum: 0,
      description: 'Seconds since a client typed, attached, left or received new output.',
    }),
  },
  { title: 'Terminal', description: 'An open terminal.' },
);
export type Terminal = Static<typeof Terminal>;

export const Terminals = Type.Object({ terminals: Type.Array(Terminal) });

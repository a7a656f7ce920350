/** What the calls about terminals take and give, as JSON Schema. */

import { type Static, Type } from 'typebox';
import { SIZE } from './terminal-messages.ts';

const how = {
  as: Type.Optional(
    Type.Enum(['write', 'take', 'watch'], {
      description:
        'write: as its writer, if there is none; take: as its writer, and who is it now watches from then on; watch: only to see it.',
      default: 'write',
    }),
  ),
  after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 999_999_999_999_999,
      description: 'Printed bytes that are known already; left out: the last ones come again.',
    }),
  ),
};

const what = {
  type: Type.Optional(
    Type.String({ pattern: '^[0-9A-Za-z.+-]{1,64}$', description: 'TERM.', default: 'xterm-256color' }),
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
          'The program and its arguments, as often as there are; left out: bash, or sh where there is none.',
      }),
    ),
    user: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Za-z_][0-9A-Za-z_.-]{0,31}(:[0-9A-Za-z_][0-9A-Za-z_.-]{0,31})?$',
        description: "As whom it runs, such as `root` or `1000:1000`; left out: as the container's own user.",
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
      Type.String({ description: 'The container that it is in; left out: it is on the host.' }),
    ),
    program: Type.String({ description: 'What runs in it, without arguments.' }),
    user: Type.Optional(Type.String({ description: "As whom; left out: the container's own user." })),
    by: Type.String({ description: 'Who opened it: an address, or `unix socket`.' }),
    began: Type.String({ format: 'date-time' }),
    ...SIZE,
    attached: Type.Integer({ minimum: 0, description: 'How many look at it.' }),
    written: Type.Boolean({ description: 'Whether one of them is its writer.' }),
    idle: Type.Integer({
      minimum: 0,
      description: 'Seconds since somebody typed, came, went or saw something new.',
    }),
  },
  { title: 'Terminal', description: 'A terminal that is open.' },
);
export type Terminal = Static<typeof Terminal>;

export const Terminals = Type.Object({ terminals: Type.Array(Terminal) });

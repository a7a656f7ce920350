/** The JSON Schema of the numbers of the last hour. */

import { type Static, Type } from 'typebox';
import type { Given } from './schemas.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });

const Sample = Type.Object({
  at: Type.String({ format: 'date-time', description: 'When the sample was taken.' }),
  containers: count('How many containers the host had.'),
  processor: Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'The share of processor time that the host used since the sample before.',
  }),
  memory: count('Bytes of memory in use.'),
  disk: count("Bytes in use on the filesystem of the service's state."),
  ends: count('How many containers began to end since the sample before.'),
  waiting: Type.Optional(
    Type.Object(
      { files: count('How many saves wait.'), bytes: count('Their size.') },
      { description: "Users' files that S3 does not have yet. Missing if the host stores none." },
    ),
  ),
});

export const History = Type.Object(
  {
    every: count('Seconds between samples.'),
    samples: Type.Array(Sample, { description: 'The samples of the last hour, oldest first.' }),
    sizes: Type.Object({
      memory: count('Bytes of memory that the host has.'),
      disk: count('Bytes of the filesystem.'),
    }),
    ended: Type.Record(Type.String(), Type.Integer(), {
      description: 'How many containers have ended since the service started, by the code of the cause.',
    }),
    notReleased: count('Resources whose release has failed since the service started, each counted once.'),
    predecessorDied: Type.Boolean({
      description: 'Whether this service found entries of a crashed service in the ledger.',
    }),
  },
  { title: 'History', description: 'Numbers of the last hour, and counts since the service started.' },
);
export type History = Given<Static<typeof History>>;

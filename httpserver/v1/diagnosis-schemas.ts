/** The JSON Schema of the doctor's findings. */

import { type Static, Type } from 'typebox';
import type { Given } from './schemas.ts';

const Finding = Type.Object({
  check: Type.String({ description: 'What was checked.' }),
  grade: Type.Enum(['ok', 'warning', 'error'], {
    description:
      'error: a part of the service does not work. warning: it works, but less safely or less well.',
  }),
  found: Type.String({ description: 'What was found, as text for people.' }),
  advice: Type.Optional(Type.String({ description: 'How to fix it.' })),
});

export const Diagnosis = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When the checks ran.' }),
    findings: Type.Array(Finding),
    leaks: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Differences between the ledger, Docker and the kernel, as text for people. Missing if they could not be compared.',
      }),
    ),
  },
  { title: 'Diagnosis', description: 'The findings of "ecs-host-service doctor" and "doctor --leaks".' },
);
export type Diagnosis = Given<Static<typeof Diagnosis>>;

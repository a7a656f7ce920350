/** The JSON Schema of a container's resource use and its limits. */

import { Type } from 'typebox';

const count = (description: string) => Type.Integer({ minimum: 0, description });
const limit = (description: string) => Type.Optional(Type.Number({ description }));

export const ResourceUse = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When Docker read the numbers.' }),
    processor: Type.Object({
      used: Type.Number({ description: 'Seconds of processor time since the start.' }),
      limit: limit('How many processors it may use at a time. Missing if it may use all.'),
    }),
    memory: Type.Object({
      used: count('Bytes, without the cache that the kernel can drop at once.'),
      limit: limit('Missing if there is none.'),
    }),
    processes: Type.Object({
      used: count('Processes and threads.'),
      limit: limit('Missing if there is none.'),
    }),
  },
  { title: 'ResourceUse', description: "A container's resource use and its limits." },
);

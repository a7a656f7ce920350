/** The routes about the stored versions of a container's user config. Operators need not know who the user is. */

import { type Static, Type } from 'typebox';
import type { ConfigHistory } from '../../container/user-config.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { setUpOf } from './create-routes.ts';
import type { Routes } from './routes.ts';
import { ById, type Given } from './schemas.ts';

/** The time limit in milliseconds for all requests to S3. */
const PATIENCE = 60_000;

const UserConfigVersion = Type.Object(
  {
    version: Type.String({ description: 'The name of the version, by which it is restored.' }),
    stored: Type.String({ format: 'date-time' }),
    bytes: Type.Integer({ minimum: 0, description: 'Size of its last archive, encrypted.' }),
    changes: Type.Boolean({ description: 'Whether its last archive has changes only, and not all files.' }),
    aside: Type.Boolean({
      description: 'Whether it was saved by a container that had started without the stored files.',
    }),
    current: Type.Boolean({ description: "Whether the user's next container starts with it." }),
  },
  { title: 'UserConfigVersion', description: "A stored version of a user's files of an app." },
);

export const UserConfig = Type.Object(
  { versions: Type.Array(UserConfigVersion, { description: 'The latest first.' }) },
  { title: 'UserConfig', description: "The stored versions of the files of a container's user." },
);

export const RestoreVersion = Type.Object(
  { version: Type.String({ minLength: 1, description: 'A `version` of the list.' }) },
  { additionalProperties: false, title: 'RestoreVersion' },
);

export function addUserConfigRoutes(routes: Routes, gate: Gate<Hosting>): void {
  routes.add('GET', '/containers/:id/user-config', {
    summary: "List the stored versions of the files of a container's user",
    description:
      'The versions are those of the user and the app of the container. The answer does not name the user.',
    params: ById,
    answer: UserConfig,
    handle: ({ params }) =>
      gate.pass(async ({ tracker }) => {
        const { history } = setUpOf(tracker.named(params.id));
        return await listed(history, AbortSignal.timeout(PATIENCE));
      }),
  });
  routes.add('PUT', '/containers/:id/user-config', {
    summary: "Choose the version with which the user's next container starts",
    description: 'The container keeps the files that it has. What it saves is then kept aside.',
    params: ById,
    body: RestoreVersion,
    answer: UserConfig,
    handle: ({ params, body: { version } }) =>
      gate.pass(async ({ tracker }) => {
        const { history } = setUpOf(tracker.named(params.id));
        const signal = AbortSignal.timeout(PATIENCE);
        await history.restore(version, signal);
        return await listed(history, signal);
      }),
  });
}

async function listed(
  history: ConfigHistory,
  signal: AbortSignal,
): Promise<Given<Static<typeof UserConfig>>> {
  const versions = await history.list(signal);
  return {
    versions: versions.map(({ word, at, bytes, changes, directory, isCurrent }) => ({
      version: word,
      stored: at.toISOString(),
      bytes,
      changes: changes !== undefined,
      aside: directory === 'aside',
      current: isCurrent,
    })),
  };
}

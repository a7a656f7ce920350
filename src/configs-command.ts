/** The commands about stored user configs. They work on any machine with access to the bucket. */

import { ServiceError } from '../errors/service-error.ts';
import { loadSome } from '../settings/load.ts';
import { type Listed, listVersions, restoreVersion } from '../user-configs/history.ts';
import { prefixOf } from '../user-configs/object-keys.ts';
import { PartBuffers } from '../user-configs/part-buffers.ts';
import type { ConfigStore } from '../user-configs/store.ts';
import { align } from './align.ts';

/** A user and an app. */
export interface Whose {
  readonly user: string;
  readonly app: string;
}

const COLUMNS = ['version', 'stored', 'bytes', 'what'] as const;

/** @returns a table for people @throws {ServiceError} */
export async function listConfigs(environment: NodeJS.ProcessEnv, whose: Whose): Promise<string> {
  const versions = await listVersions(await storeOf(environment, whose), new AbortController().signal);
  if (versions.length === 0) return `Nothing is stored for user "${whose.user}", app "${whose.app}".\n`;
  return `${align([COLUMNS, ...versions.map(cells)]).join('\n')}\n`;
}

/** @returns a confirmation for people @throws {ServiceError} */
export async function restoreConfig(
  environment: NodeJS.ProcessEnv,
  whose: Whose,
  version: string,
): Promise<string> {
  const { WEBSERVER_AUTH_SECRET: secret } = loadSome(environment, ['APP_ENV', 'WEBSERVER_AUTH_SECRET']);
  const store = await storeOf(environment, whose);
  const parts = { store, prefix: prefixOf(whose.user, whose.app), secret: secret.reveal() };
  await restoreVersion(parts, version, new AbortController().signal);
  return `The next container of user "${whose.user}", app "${whose.app}", starts with ${version}.\n`;
}

async function storeOf(environment: NodeJS.ProcessEnv, { user, app }: Whose): Promise<ConfigStore> {
  const settings = loadSome(environment, ['USER_CONFIG_BUCKET', 'AWS_REGION', 'AWS_ENDPOINT_URL_S3']);
  const { USER_CONFIG_BUCKET: bucket, AWS_REGION: region, AWS_ENDPOINT_URL_S3: endpoint } = settings;
  if (!bucket) throw new ServiceError('start.settings', { problems: '  USER_CONFIG_BUCKET: must be given' });
  const [{ openS3 }, { ConfigStore }] = await Promise.all([
    import('../user-configs/s3-client.ts'),
    import('../user-configs/store.ts'),
  ]);
  return new ConfigStore({
    client: openS3(region ?? 'us-east-1', endpoint),
    bucket,
    prefix: prefixOf(user, app),
    buffers: new PartBuffers(),
  });
}

function cells({ word, at, bytes, changes, directory, isCurrent }: Listed): readonly string[] {
  const what = [
    changes ? 'changes' : 'all files',
    ...(directory === 'aside' ? ['kept aside'] : []),
    ...(isCurrent ? ['current'] : []),
  ];
  return [word, `${at.toISOString().slice(0, 19)}Z`, String(bytes), what.join(', ')];
}

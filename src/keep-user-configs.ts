/** Starts to keep users' files, if a bucket is configured. */

import { join } from 'node:path';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { checkTools } from '../user-configs/confined-tar.ts';
import { UserConfigs } from '../user-configs/user-configs.ts';
import type { Metrics } from './metrics/metrics.ts';

export interface KeepingOptions {
  readonly settings: Settings;
  readonly paths: Paths;
  /** The region of this host; undefined if unknown. */
  readonly region: string | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** @returns undefined if they are not kept */
export async function keepUserConfigs(
  root: Lifetime,
  share: (path: string, mode: number) => Promise<void>,
  { settings, paths, region, metrics, log }: KeepingOptions,
): Promise<UserConfigs | undefined> {
  const bucket = settings.USER_CONFIG_BUCKET;
  if (!bucket) return undefined;
  const seen = join(paths.state, 'seen-configs');
  for (const path of [paths.spool, seen]) await share(path, 0o700);
  await checkTools(seen, paths.spool);
  return await UserConfigs.open(root, {
    bucket,
    region: settings.AWS_REGION ?? region ?? 'us-east-1',
    endpoint: settings.AWS_ENDPOINT_URL_S3,
    spool: paths.spool,
    spoolLimit: settings.USER_CONFIG_SPOOL_LIMIT,
    limit: settings.USER_CONFIG_LIMIT,
    versions: settings.USER_CONFIG_VERSIONS,
    seen,
    readsOldFormat: settings.USER_CONFIG_OLD_FORMAT === 'read',
    secret: settings.WEBSERVER_AUTH_SECRET,
    onAlarm: metrics.configAlarm,
    onBytes: metrics.configBytes,
    log,
  });
}

/** Makes the directories that the service shares with whoever comes after it. */

import { removeOldLogs } from '../container/kept-logs.ts';
import type { Receipts } from '../container/receipts.ts';
import { MARK } from '../host/directories.ts';
import type { Paths } from '../host/paths.ts';
import type { Logger } from '../logging/logger.ts';
import { type Presence, share } from './presence.ts';

export async function makeDirectories(
  presence: Presence,
  { state, receipts: directory, logs, private: secret, containers, temporary }: Paths,
  receipts: Receipts,
  log: Logger,
): Promise<void> {
  await share(presence, state, 0o700);
  await share(presence, directory, 0o700);
  await receipts.removeOld();
  await share(presence, logs, 0o700);
  await removeOldLogs(logs, log);
  await share(presence, secret, 0o700);
  // Files of users that are kept may outlive the service that made it.
  await share(presence, containers, MARK | 0o755);
  await share(presence, temporary, 0o755);
}

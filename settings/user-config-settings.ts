/** The settings for users' files. */

import { bucket, bytes, oneOf, wholeNumber } from './parsers.ts';
import { type Setting, setting } from './setting.ts';

export const USER_CONFIG_SETTINGS = {
  USER_CONFIG_BUCKET: {
    meaning: "S3 bucket for users' files. With none, the service does not keep them.",
    fallback: (environment) => (environment === 'localdev' ? 'none' : 'fractal-user-app-configs'),
    parse: bucket,
  } satisfies Setting<string | undefined>,
  USER_CONFIG_VERSIONS: setting(
    'For each user and app, the number of most recent containers whose last save stays in the bucket; at least 2.',
    '10',
    wholeNumber(2, 1000),
  ),
  USER_CONFIG_CHECKPOINT_SECONDS: setting(
    "Seconds between checkpoints of a running container's user config.",
    '180',
    wholeNumber(1, 86_400),
  ),
  USER_CONFIG_OLD_FORMAT: setting(
    "Whether the service reads the predecessor's files for a user who has no others: read, or refuse, because nothing authenticates these files.",
    'read',
    oneOf('read', 'refuse'),
  ),
  USER_CONFIG_LIMIT: setting("Largest size of a user's files of one app, such as 4GiB.", '4GiB', bytes),
  USER_CONFIG_KEEP_HOURS: setting(
    'Hours for which files over USER_CONFIG_LIMIT stay on this host after their container has ended.',
    '24',
    wholeNumber(0, 8760),
  ),
  USER_CONFIG_SPOOL_LIMIT: setting(
    'Largest total size of the saved user configs that wait on this host for S3, in bytes or such as 20GiB.',
    '20GiB',
    bytes,
  ),
} as const;

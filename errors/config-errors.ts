/** Part of the table of errors: users' files. */

export const CONFIG_ERRORS = {
  'config.too_large': {
    status: 507,
    text: "a user's files have more than {limit} bytes; remove some, or raise USER_CONFIG_LIMIT",
  },
  'config.store': {
    status: 502,
    text: 'the store of user configs could not {what}: {why}; check that this host can reach S3, and that its role has the required permissions',
  },
  'config.answer_too_large': {
    status: 502,
    text: 'S3 returned more than {limit} bytes as {what}, but this service never stores that much; check who can write to the bucket, and restore the previous object',
  },
  'config.rolled_back': {
    status: 502,
    text: 'S3 may have returned an older state of a user\'s files than the current one: {why}; check who can write to the bucket, and choose a version with "configs restore"',
  },
  'config.spool_full': {
    status: 507,
    text: 'the user configs in {directory} that wait for their upload to S3 would exceed {limit} bytes; check that this host can reach S3, or raise USER_CONFIG_SPOOL_LIMIT',
  },
  'config.none': {
    status: 409,
    text: 'nothing is stored for container {id}: {why}',
  },
  'config.no_version': {
    status: 404,
    text: 'there is no stored version {version}; "configs list" shows the stored versions',
  },
  'config.busy': {
    status: 409,
    text: 'a container saved its files at the same moment, so nothing was changed; list the versions and try again',
  },
  'config.not_packed': { status: 500, text: "a user's files could not be packed: {why}" },
} as const;

/** What can go wrong with the files of users. */

export const CONFIG_ERRORS = {
  'config.too_large': {
    status: 507,
    text: "a user's files are more than {limit} bytes; remove some, or raise USER_CONFIG_LIMIT",
  },
  'config.store': {
    status: 502,
    text: 'the store of user configs did not {what}: {why}; see that S3 can be reached and allows it',
  },
  'config.answer_too_large': {
    status: 502,
    text: 'S3 gave more than {limit} bytes as {what}, which this service never stores; see who can write to the bucket, and put back what was there before',
  },
  'config.rolled_back': {
    status: 502,
    text: 'S3 may have given back an older state of a user\'s files than there was: {why}; see who can write to the bucket, and choose a version with "configs restore"',
  },
  'config.spool_full': {
    status: 507,
    text: 'user configs that wait for S3 would be more than {limit} bytes in {directory}; see that S3 can be reached, or raise USER_CONFIG_SPOOL_LIMIT',
  },
  'config.no_version': {
    status: 404,
    text: 'there is no stored version {version}; "configs list" names those that there are',
  },
  'config.busy': {
    status: 409,
    text: 'a container saved at this moment, and nothing was changed; look at the versions again, and try again',
  },
  'config.not_packed': { status: 500, text: "a user's files could not be packed: {why}" },
} as const;

/** The settings of the places that the log goes to beside stdout, and of what is logged. */

import { join } from 'node:path';
import { ownLevel } from './node-settings.ts';
import { absolutePath, logGroup, oneOf } from './parsers.ts';
import { type Known, optional, type Setting } from './setting.ts';

/** The path of the log on EchoStream's own hosts. */
const ECHOSTREAM_LOG = 'var/log/echostream/echostream-managed-app.log';

export const LOG_SETTINGS = {
  LOG_LEVEL: {
    meaning: 'Lowest level that is logged: trace, debug, info, warn or error.',
    fallback: (_, known) => ownLevel(known),
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error'),
  } satisfies Setting<'trace' | 'debug' | 'info' | 'warn' | 'error'>,
  LOG_FILE: {
    meaning:
      'File that gets the log in addition to stdout. The service opens it again after a rotation. With none, there is no such file. With NODES_FEED=echostream, the default is /var/log/echostream/echostream-managed-app.log.',
    fallback: (_, { NODES_FEED, ROOT = '/' }: Known) =>
      NODES_FEED === 'echostream' ? join(ROOT, ECHOSTREAM_LOG) : 'none',
    parse: (text: string) => (text === 'none' ? undefined : absolutePath(text)),
  } satisfies Setting<string | undefined>,
  CLOUDWATCH_LOG_GROUP: optional(
    "CloudWatch log group that also gets the service's own log. The service creates it if it is missing. Without it, the log does not go to CloudWatch. The region is AWS_REGION, AWS_DEFAULT_REGION, or that of the instance.",
    logGroup,
  ),
} as const;

/** The settings of managed nodes. */

import { problemWithApp } from './app-name.ts';
import { absolutePath, oneOf, remoteUrl, wholeNumberOrNone } from './parsers.ts';
import { type Known, optional, type Setting, setting } from './setting.ts';
import { updateWindow } from './update-window.ts';

export const INTERACTIVE = setting(
  'Whether this host has interactive containers: on, or off (managed nodes only). With off, the service uses no consoles, input devices or ECS agent, keeps no user configs, and needs neither WEBSERVER_AUTH_SECRET nor WEBSERVER_URL.',
  'on',
  oneOf('on', 'off'),
);

export const NODE_SETTINGS = {
  NODES_FEED: setting(
    'Where the service learns which managed nodes this host has: none, file (NODES_FILE) or echostream (the managed app APP of EchoStream).',
    'none',
    oneOf('none', 'file', 'echostream'),
  ),
  NODES_FILE: {
    ...optional(
      'YAML file with the managed nodes, for NODES_FEED=file. Only root may write to it. The service reads it again when it changes.',
      absolutePath,
    ),
    neededBy: ({ NODES_FEED }: Known) => (NODES_FEED === 'file' ? 'NODES_FEED is file' : undefined),
  } satisfies Setting<string>,
  NODES_KEEP_IMAGES: setting(
    "How many images of a repository are kept after a node's image was replaced. Images that a container is made from always stay. With none, all stay.",
    '3',
    wholeNumberOrNone(1, 1000),
  ),
  NODES_UPDATE_WINDOW: setting(
    'When the containers of running nodes may be replaced, as a range in UTC such as 02:00-04:30, Mon-Fri 02:00-04:30 or Sat,Sun 22:00-02:00. With none, at any time. New nodes start and removed nodes stop at any time.',
    'none',
    updateWindow,
  ),
  NODES_ON_STOP: setting(
    'What the service does with managed nodes when it is asked to stop: leave (they keep running) or stop (each gets SIGTERM, and SIGKILL after 30 seconds).',
    'leave',
    oneOf('leave', 'stop'),
  ),
  ON_APP_REMOVED: setting(
    'What the service does when the app is removed from EchoStream: stop (its nodes are stopped) or poweroff (this host is also powered off).',
    'stop',
    oneOf('stop', 'poweroff'),
  ),
  REGISTRY_AUTH_FILE: optional(
    "File with credentials for registries of nodes, in the format of Docker's config.json. Only root may have read access to it. Credentials for Amazon ECR need no file: the service asks for them with the host's AWS credentials, and renews them.",
    absolutePath,
  ),
  APP: echostream('Name of the managed app in EchoStream.', any),
  TENANT: echostream("Name of the app's tenant in EchoStream.", any),
  APPSYNC_ENDPOINT: echostream("URL of EchoStream's API.", any),
  USER_POOL_ID: echostream("Id of the app's Cognito user pool.", any),
  CLIENT_ID: echostream("Client id of the app's user pool.", any),
  USER_NAME: echostream("Name of the app's user in EchoStream.", any),
  PASSWORD: { ...echostream("Password of the app's user in EchoStream.", any), secret: true as const },
  LOG_GROUP_NAME: echostream(
    "Beginning of the names of the CloudWatch log groups that the nodes' output goes to: NAME/node/NODE.",
    any,
  ),
  AWS_DEFAULT_REGION: optional(
    'Region of CLOUDWATCH_LOG_GROUP, if AWS_REGION is not given. EchoStream gives this variable to its hosts. The registries and log groups of nodes are in the regions that EchoStream names.',
    any,
  ),
  LOGGING_LEVEL: optional(
    "EchoStream's name for LOG_LEVEL: DEBUG, INFO, WARNING, ERROR or CRITICAL. LOG_LEVEL takes precedence. The level of a node's program is the node's own loggingLevel. For NODES_FEED=echostream.",
    any,
  ),
} as const;

/** The log levels of EchoStream's programs, with the corresponding levels of this service. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ['DEBUG', 'debug'],
  ['INFO', 'info'],
  ['WARNING', 'warn'],
  ['ERROR', 'error'],
  ['CRITICAL', 'error'],
]);

/** @returns the LOG_LEVEL that applies if none is given */
export function ownLevel({ NODES_FEED, LOGGING_LEVEL }: Known): string {
  const level = NODES_FEED === 'echostream' ? LEVELS.get(LOGGING_LEVEL ?? '') : undefined;
  return level ?? 'info';
}

/** A setting that NODES_FEED=echostream needs, under EchoStream's own name. */
function echostream<T>(meaning: string, parse: (text: string) => T) {
  const neededBy = ({ NODES_FEED }: Known) =>
    NODES_FEED === 'echostream' ? 'NODES_FEED is echostream' : undefined;
  return { ...optional(`${meaning} For NODES_FEED=echostream.`, parse), neededBy };
}

/** Other programs use such names too, so `problemsOfNodes` checks the values, and only if the feed needs them. */
function any(text: string): string {
  return text;
}

/** Checks the variables of EchoStream together, because they matter only with its feed. */
export function* problemsOfNodes({
  NODES_FEED: feed,
  APP: app,
  APPSYNC_ENDPOINT: endpoint,
  LOGGING_LEVEL: level,
}: {
  readonly NODES_FEED?: string;
  readonly APP?: string | undefined;
  readonly APPSYNC_ENDPOINT?: string | undefined;
  readonly LOGGING_LEVEL?: string | undefined;
}): Generator<string> {
  if (feed !== 'echostream') return;
  const badName = app === undefined ? undefined : problemWithApp(app);
  if (badName !== undefined) yield `  APP: ${badName}`;
  const problem = endpoint === undefined ? undefined : problemWith(() => remoteUrl(endpoint));
  if (problem !== undefined) yield `  APPSYNC_ENDPOINT: ${problem}`;
  if (level !== undefined && !LEVELS.has(level))
    yield `  LOGGING_LEVEL: must be one of ${[...LEVELS.keys()].join(', ')}; got "${level}"`;
}

function problemWith(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

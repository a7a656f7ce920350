/** Every setting of the service, with its default, its meaning, and how its text is understood. */

import { isIP } from 'node:net';
import { amountOrNone } from './amount.ts';
import { type Environment, parseEnvironment } from './environment.ts';
import { hostedAllow } from './hosted-allow.ts';
import {
  absolutePath,
  bucket,
  bytes,
  bytesOrNone,
  directories,
  image,
  oneOf,
  operatorToken,
  port,
  ports,
  region,
  remoteUrl,
  secondsOrNone,
  sentryDsn,
  unixSocket,
  url,
  userName,
  wholeNumber,
  wholeNumberOrNone,
  yesOrNo,
} from './parsers.ts';

/** The secrets that the predecessor compiled in; everybody knows them. */
export const WELL_KNOWN_SECRETS: readonly string[] = [
  'testwebserverauthsecretdev',
  'testwebserverauthsecretstaging',
  'testwebserverauthsecretprod',
];

/** The commit that a bundle was made from. */
declare const BUILT_FROM: string | undefined;

/** One setting. `parse` throws an Error that says what would be right. */
export interface Setting<T> {
  readonly meaning: string;
  /** The text that stands when nothing is given; `undefined`: there is no default. */
  readonly fallback: (environment: Environment) => string | undefined;
  readonly parse: (text: string) => T;
  /** Read by `findSecret` and kept out of every log. */
  readonly secret?: true;
  readonly optional?: true;
  /** Why an optional setting has to be given all the same, judged by those that stand above it. */
  readonly neededBy?: (known: Known) => string | undefined;
}

/** What decides about other settings. */
export interface Known {
  readonly APP_ENV?: Environment;
  readonly USE_PROD_LOGGING?: boolean;
}

function setting<T>(meaning: string, fallback: string, parse: (text: string) => T): Setting<T> {
  return { meaning, fallback: () => fallback, parse };
}

export const SCHEMA = {
  APP_ENV: {
    meaning: 'The environment: localdev, dev, staging or production.',
    fallback: () => undefined,
    parse: parseEnvironment,
  } satisfies Setting<Environment>,
  ROOT: setting(
    'Directory below which the service keeps all its files; run/ in it must be a tmpfs, since secrets are there.',
    '/',
    absolutePath,
  ),
  LISTEN_ADDRESS: {
    meaning: 'Address that HTTPS listens on.',
    fallback: (environment) => (environment === 'localdev' ? '127.0.0.1' : '0.0.0.0'),
    parse: (text) => {
      if (!isIP(text)) throw new Error(`must be an IP address; got "${text}"`);
      return text;
    },
  } satisfies Setting<string>,
  LISTEN_PORT: setting('Port that HTTPS listens on.', '4678', port),
  WEBSERVER_AUTH_SECRET: {
    meaning: 'Secret that the webserver sends with its calls.',
    fallback: (environment) => (environment === 'localdev' ? WELL_KNOWN_SECRETS[0] : undefined),
    parse: (text) => text,
    secret: true,
  } satisfies Setting<string>,
  OPERATOR_TOKEN: {
    ...optional(
      "The operator's token for /v1 over HTTPS; none: nobody is let in there. Its file is read again when it changes.",
      operatorToken,
    ),
    secret: true,
  },
  TLS_CERT_FILE: optional(
    'Certificate chain (PEM) to serve, read again when it changes; none: a self-signed one, renewed by itself.',
    absolutePath,
  ),
  TLS_KEY_FILE: optional('Private key (PEM) of TLS_CERT_FILE.', absolutePath),
  DOCKER_HOST: setting('Unix socket of the Docker Engine.', 'unix:///var/run/docker.sock', unixSocket),
  RESERVED_PORTS: setting('Host ports that no container gets, separated by commas.', '2375,2376', ports),
  ALLOWED_MOUNTS: setting(
    'Directories of this host that operators may have mounted into containers, separated by commas; none: none.',
    'none',
    directories,
  ),
  CONTAINER_PIDS: setting(
    'Processes and threads that a container may have whose create body sets no limit; none: any number.',
    '4096',
    wholeNumberOrNone(1, 4_194_304),
  ),
  CONTAINER_MEMORY: setting(
    "Memory that a container may use whose create body sets no limit, in bytes or as a share of the host's memory, without swap; none: all.",
    '50%',
    amountOrNone,
  ),
  CONTAINER_LOG_SIZE: setting(
    "Bytes that Docker keeps of a container's output with its drivers json-file and local, where the create body sets no size; none: all.",
    '64MiB',
    bytesOrNone,
  ),
  CONTAINER_DISK: setting(
    'Disk that a container may have, in bytes or as a share of the disk and of its inodes. Where the filesystem has project quotas, writes over it fail; elsewhere a container that has more is ended when little is left. none: any.',
    '25%',
    amountOrNone,
  ),
  HOSTED_ALLOW: setting(
    'What hosted containers may ask of Docker beyond the table in docs/security.md: FIELD=VALUE, separated by commas, such as CapAdd=SYS_PTRACE,Binds=/srv/data; none: nothing.',
    'none',
    hostedAllow,
  ),
  ECS_AGENT: {
    meaning:
      'How the Amazon ECS agent is run: unit (ecs.service), container, binary, none, or auto: the first that is there.',
    fallback: (environment) => (environment === 'localdev' ? 'none' : 'auto'),
    parse: oneOf('auto', 'none', 'unit', 'container', 'binary'),
  } satisfies Setting<'auto' | 'none' | 'unit' | 'container' | 'binary'>,
  ECS_AGENT_BINARY: setting(
    "The ECS agent's program, for ECS_AGENT=binary.",
    '/usr/libexec/amazon-ecs-agent',
    absolutePath,
  ),
  ECS_AGENT_IMAGE: setting(
    "The ECS agent's image, for ECS_AGENT=container; /var/cache/ecs/ecs-agent.tar is loaded where Docker has none.",
    'amazon/amazon-ecs-agent:latest',
    image,
  ),
  INPUT_DEVICES: {
    meaning:
      'Whether containers must get input devices of their own: required (no start without uinput) or optional.',
    fallback: (environment) => (environment === 'localdev' ? 'optional' : 'required'),
    parse: oneOf('required', 'optional'),
  } satisfies Setting<'required' | 'optional'>,
  FRONT_CONSOLE: {
    meaning:
      'Whether the service keeps a console of its own in front (own), so that no container and no login prompt gets keys that are typed elsewhere, or leaves the one that is there (leave).',
    fallback: (environment) => (environment === 'localdev' ? 'leave' : 'own'),
    parse: oneOf('own', 'leave'),
  } satisfies Setting<'own' | 'leave'>,
  UNCLAIMED_SECONDS: setting(
    'Seconds after which a container ends that nobody has been assigned to; none: it waits.',
    'none',
    secondsOrNone,
  ),
  NOT_READY_SECONDS: setting(
    'Seconds after which a container ends that was assigned and is not ready; none: it waits.',
    'none',
    secondsOrNone,
  ),
  TERMINALS: setting('Terminals that may be open on this host.', '100', wholeNumber(0, 1000)),
  TERMINALS_PER_CONTAINER: setting(
    'Terminals that may be open in one container, and on the host itself.',
    '10',
    wholeNumber(0, 1000),
  ),
  TERMINAL_IDLE_SECONDS: setting(
    'Seconds after which a terminal ends into which nobody has typed and of which nobody has seen anything new.',
    '1800',
    wholeNumber(1, 86_400),
  ),
  HOST_SHELL_USER: optional(
    'User of this host as whom operators may have a shell on it; none: they may not.',
    userName,
  ),
  HOST_SHELL_AS_ROOT: setting(
    'Whether HOST_SHELL_USER may be root, or a user who can become root, such as a member of the group docker.',
    'no',
    yesOrNo,
  ),
  IDLE_SECONDS: setting(
    'Seconds after which a container ends that is ready and that nobody has been connected to; none: it does not.',
    'none',
    secondsOrNone,
  ),
  HEALTH_PROBE_SECONDS: setting(
    "Seconds between looks at Docker's checks and the ports 32262/tcp of containers, of which their programs notice nothing; none: no looks.",
    '10',
    secondsOrNone,
  ),
  WEBSERVER_URL: {
    ...optional('Base address of the webserver that gets registration and heartbeats.', remoteUrl),
    neededBy: ({ APP_ENV }: Known) =>
      APP_ENV === 'localdev' ? undefined : 'the webserver must learn that this host lives',
  },
  DYING_HEARTBEAT: setting(
    'JSON type of IsDyingHeartbeat: string ("True", which the known webserver acts on) or boolean.',
    'string',
    oneOf('string', 'boolean'),
  ),
  USE_PROD_LOGGING: {
    meaning: 'Whether errors go to Sentry and the log to logz.io.',
    fallback: (environment) => (environment === 'localdev' ? 'no' : 'yes'),
    parse: yesOrNo,
  } satisfies Setting<boolean>,
  SENTRY_DSN: {
    ...optional('Address of the Sentry project that errors go to.', sentryDsn),
    neededBy: neededForLogging,
    secret: true,
  },
  LOGZIO_URL: {
    ...optional('Address of the logz.io listener of your region.', remoteUrl),
    neededBy: neededForLogging,
  },
  LOGZIO_SHIPPING_TOKEN: {
    ...optional('Token of the logz.io account.', (text: string) => text),
    neededBy: neededForLogging,
    secret: true,
  },
  USER_CONFIG_BUCKET: {
    meaning: "S3 bucket of the users' files; none: they are not kept.",
    fallback: (environment) => (environment === 'localdev' ? 'none' : 'fractal-user-app-configs'),
    parse: bucket,
  } satisfies Setting<string | undefined>,
  USER_CONFIG_VERSIONS: setting(
    'Containers of a user and app whose last save stays in the bucket, 2 or more.',
    '10',
    wholeNumber(2, 1000),
  ),
  USER_CONFIG_CHECKPOINT_SECONDS: setting(
    "Seconds between checkpoints of a living container's user config.",
    '180',
    wholeNumber(1, 86_400),
  ),
  USER_CONFIG_OLD_FORMAT: setting(
    'Whether what the predecessor stored is read for users of whom nothing else is stored: read, or refuse, since nothing authenticates it.',
    'read',
    oneOf('read', 'refuse'),
  ),
  USER_CONFIG_LIMIT: setting("Bytes that a user's files of one app may have, such as 4GiB.", '4GiB', bytes),
  USER_CONFIG_KEEP_HOURS: setting(
    'Hours for which files over USER_CONFIG_LIMIT stay on this host once their container has ended.',
    '24',
    wholeNumber(0, 8760),
  ),
  USER_CONFIG_SPOOL_LIMIT: setting(
    'Bytes of saved user configs that may wait on this host for S3.',
    '20GiB',
    bytes,
  ),
  AWS_REGION: optional('Region of the bucket; on EC2 that of the instance, else us-east-1.', region),
  AWS_ENDPOINT_URL_S3: optional("Address of another S3 than Amazon's.", remoteUrl),
  ON_DEATH: setting(
    'What EC2 sees of the service: none, tag (its state, in tags) or terminate (also ends the instance of one that died).',
    'none',
    oneOf('none', 'tag', 'terminate'),
  ),
  AWS_ENDPOINT_URL_EC2: optional("Address of another EC2 than Amazon's.", remoteUrl),
  AWS_EC2_METADATA_SERVICE_ENDPOINT: optional(
    'Where EC2 metadata is asked for; on EC2 the usual address, elsewhere nowhere.',
    url,
  ),
  AWS_EC2_METADATA_DISABLED: setting('Whether EC2 metadata is never asked for.', 'false', yesOrNo),
  LOG_LEVEL: setting(
    'Least level that is logged: trace, debug, info, warn, error.',
    'info',
    oneOf('trace', 'debug', 'info', 'warn', 'error'),
  ),
  COMMIT: setting(
    'Git commit, the release in Sentry; make and the executable know it.',
    typeof BUILT_FROM === 'string' ? BUILT_FROM : 'unknown',
    (text) => text,
  ),
} as const;

function optional<T>(meaning: string, parse: (text: string) => T): Setting<T> & { readonly optional: true } {
  return { meaning, fallback: () => undefined, parse, optional: true };
}

function neededForLogging({ USE_PROD_LOGGING }: Known): string | undefined {
  return USE_PROD_LOGGING ? 'USE_PROD_LOGGING is on; turn it off to go without' : undefined;
}

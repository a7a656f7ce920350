/** Every setting of the service with its default, its meaning and its parser. */

import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { amountOrNone } from './amount.ts';
import { type Environment, parseEnvironment } from './environment.ts';
import { hostedAllow } from './hosted-allow.ts';
import { LOG_SETTINGS } from './log-settings.ts';
import { INTERACTIVE, NODE_SETTINGS } from './node-settings.ts';
import { NOTICE_SETTINGS } from './notice-settings.ts';
import {
  absolutePath,
  bytesOrNone,
  directories,
  image,
  oneOf,
  operatorToken,
  pathOrNone,
  port,
  ports,
  region,
  registry,
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
import { type Known, optional, type Setting, setting } from './setting.ts';
import { USER_CONFIG_SETTINGS } from './user-config-settings.ts';

/** The secrets that are compiled into the predecessor. They are public. */
export const WELL_KNOWN_SECRETS: readonly string[] = [
  'testwebserverauthsecretdev',
  'testwebserverauthsecretstaging',
  'testwebserverauthsecretprod',
];

/** The commit that the bundle was built from. */
declare const BUILT_FROM: string | undefined;

export const SCHEMA = {
  APP_ENV: {
    meaning: 'The environment: localdev, dev, staging or production.',
    fallback: () => undefined,
    parse: parseEnvironment,
  } satisfies Setting<Environment>,
  INTERACTIVE,
  ROOT: setting(
    'Directory below which the service keeps all its files. Its run/ must be a tmpfs, because it holds secrets.',
    '/',
    absolutePath,
  ),
  LISTEN_ADDRESS: {
    meaning: 'IP address on which the service listens for HTTPS.',
    fallback: (environment) => (environment === 'localdev' ? '127.0.0.1' : '0.0.0.0'),
    parse: (text) => {
      if (!isIP(text)) throw new Error(`must be an IP address; got "${text}"`);
      return text;
    },
  } satisfies Setting<string>,
  LISTEN_PORT: setting('Port on which the service listens for HTTPS.', '4678', port),
  WEBSERVER_AUTH_SECRET: {
    meaning: 'Secret that the webserver sends with its calls.',
    // If nothing needs the secret, a random value is used, which nobody knows. So nobody can make these calls.
    fallback: (environment, { INTERACTIVE: interactive }) => {
      if (interactive === 'off') return randomBytes(32).toString('hex');
      return environment === 'localdev' ? WELL_KNOWN_SECRETS[0] : undefined;
    },
    parse: (text) => text,
    secret: true,
  } satisfies Setting<string>,
  OPERATOR_TOKEN: {
    ...optional(
      "The operator's token for /v1 over HTTPS. Without it, /v1 answers on the unix socket only. The service reads the token's file again when it changes.",
      operatorToken,
    ),
    secret: true,
  },
  VIEWER_TOKEN: {
    ...optional(
      'A token for /v1 and /metrics over HTTPS that can only read: it lists and follows, and changes nothing. The service reads its file again when it changes.',
      operatorToken,
    ),
    secret: true,
  },
  TLS_CERT_FILE: optional(
    'File with the certificate chain (PEM) to serve. The service reads it again when it changes. Without it, the service makes a self-signed certificate and renews it.',
    absolutePath,
  ),
  TLS_KEY_FILE: optional('File with the private key (PEM) of TLS_CERT_FILE.', absolutePath),
  DOCKER_HOST: setting('Unix socket of the Docker Engine.', 'unix:///var/run/docker.sock', unixSocket),
  DEFAULT_REGISTRY: setting(
    'Registry for images whose names include no registry, such as registry.example.com. With none, such images must be on this host.',
    'none',
    registry,
  ),
  RESERVED_PORTS: setting('Host ports that no container gets, separated by commas.', '2375,2376', ports),
  ALLOWED_MOUNTS: setting(
    'Directories of this host that operators may mount into containers, separated by commas. With none, they may mount no directory.',
    'none',
    directories,
  ),
  CONTAINERS_PER_GPU: setting(
    'Number of containers that may share a GPU. The service gives each container the GPU that has the fewest.',
    '64',
    wholeNumber(1, 1000),
  ),
  CONTAINER_PIDS: setting(
    'Limit of processes and threads for a container whose create body sets none. With none, there is no limit.',
    '4096',
    wholeNumberOrNone(1, 4_194_304),
  ),
  CONTAINER_MEMORY: setting(
    "Memory limit for a container whose create body sets none, in bytes or as a percentage of the host's memory, without swap. With none, there is no limit.",
    '50%',
    amountOrNone,
  ),
  CONTAINER_LOG_SIZE: setting(
    "Bytes of a container's output that Docker keeps, for the log drivers json-file and local, if the create body sets no size. With none, there is no limit.",
    '64MiB',
    bytesOrNone,
  ),
  CONTAINER_DISK: setting(
    'Disk space that a container may use, in bytes or as a percentage of the disk and of its inodes. Where the file system has project quotas, writes over the limit fail. Elsewhere the service ends a container that uses more, but only while the disk is nearly full. With none, there is no limit.',
    '25%',
    amountOrNone,
  ),
  HOSTED_ALLOW: setting(
    'What hosted containers may ask of Docker beyond the table in docs/security.md: FIELD=VALUE, separated by commas, such as CapAdd=SYS_PTRACE,Binds=/srv/data. With none, only what the table allows.',
    'none',
    hostedAllow,
  ),
  ECS_AGENT: {
    meaning:
      'How the service runs the Amazon ECS agent: unit (ecs.service), container, binary, none, or auto, which takes the first of them that is installed.',
    fallback: (environment) => (environment === 'localdev' ? 'none' : 'auto'),
    parse: oneOf('auto', 'none', 'unit', 'container', 'binary'),
  } satisfies Setting<'auto' | 'none' | 'unit' | 'container' | 'binary'>,
  ECS_AGENT_BINARY: setting(
    "Path of the ECS agent's program, for ECS_AGENT=binary.",
    '/usr/libexec/amazon-ecs-agent',
    absolutePath,
  ),
  ECS_AGENT_IMAGE: setting(
    "The ECS agent's image, for ECS_AGENT=container. If Docker does not have it, the service loads /var/cache/ecs/ecs-agent.tar.",
    'amazon/amazon-ecs-agent:latest',
    image,
  ),
  INPUT_DEVICES: {
    meaning:
      'Whether containers must get input devices: required (the service does not start without uinput) or optional.',
    fallback: (environment) => (environment === 'localdev' ? 'optional' : 'required'),
    parse: oneOf('required', 'optional'),
  } satisfies Setting<'required' | 'optional'>,
  FRONT_CONSOLE: {
    meaning:
      'Which virtual console is in the foreground: own (one of the service, so that no container and no login prompt receives keys that are typed elsewhere) or leave (the one that is there).',
    fallback: (environment) => (environment === 'localdev' ? 'leave' : 'own'),
    parse: oneOf('own', 'leave'),
  } satisfies Setting<'own' | 'leave'>,
  POOL: setting(
    'JSON file with the pools of warm containers that this host keeps: an object with the body of "PUT /v1/pools/{name}" for each name. Only root may write to it. With none, there are only the pools that operators make.',
    'none',
    pathOrNone,
  ),
  UNCLAIMED_SECONDS: setting(
    'Seconds after which the service ends a container that is still unassigned. With none, it never does.',
    'none',
    secondsOrNone,
  ),
  NOT_READY_SECONDS: setting(
    'Seconds after which the service ends a container that is assigned but still not ready. With none, it never does.',
    'none',
    secondsOrNone,
  ),
  TERMINALS: setting('Number of terminals that may be open on this host.', '100', wholeNumber(0, 1000)),
  TERMINALS_PER_CONTAINER: setting(
    'Number of terminals that may be open in one container, and of shells on the host itself.',
    '10',
    wholeNumber(0, 1000),
  ),
  TERMINAL_IDLE_SECONDS: setting(
    'Seconds after which the service ends an idle terminal. A terminal is idle when nobody types into it and nobody receives new output from it.',
    '1800',
    wholeNumber(1, 86_400),
  ),
  HOST_SHELL_USER: optional(
    'User for the shells that operators open on the host itself. Without it, operators cannot open one.',
    userName,
  ),
  HOST_SHELL_AS_ROOT: setting(
    'Whether HOST_SHELL_USER may be root, or a user who can become root, such as a member of the group docker.',
    'no',
    yesOrNo,
  ),
  IDLE_SECONDS: setting(
    'Seconds after which the service ends a ready container to which nobody is connected. With none, it never does.',
    'none',
    secondsOrNone,
  ),
  HEALTH_PROBE_SECONDS: setting(
    "Seconds between health checks. Each reads Docker's own check and tests whether port 32262/tcp is open, which the container's programs do not notice. With none, the service does not check.",
    '10',
    secondsOrNone,
  ),
  WEBSERVER_URL: {
    ...optional(
      'Base URL of the webserver that receives the registration and heartbeats of this host.',
      remoteUrl,
    ),
    neededBy: ({ APP_ENV, INTERACTIVE: interactive }: Known) =>
      APP_ENV === 'localdev' || interactive === 'off'
        ? undefined
        : 'the webserver must learn that this host is alive',
  },
  DYING_HEARTBEAT: setting(
    'JSON type of IsDyingHeartbeat: string ("True", which the known webserver acts on) or boolean.',
    'string',
    oneOf('string', 'boolean'),
  ),
  USE_PROD_LOGGING: {
    meaning: 'Whether the service sends errors to Sentry and its log to logz.io.',
    fallback: (environment) => (environment === 'localdev' ? 'no' : 'yes'),
    parse: yesOrNo,
  } satisfies Setting<boolean>,
  SENTRY_DSN: {
    ...optional('DSN of the Sentry project that receives errors.', sentryDsn),
    neededBy: neededForLogging,
    secret: true,
  },
  LOGZIO_URL: {
    ...optional('URL of the logz.io listener of your region.', remoteUrl),
    neededBy: neededForLogging,
  },
  LOGZIO_SHIPPING_TOKEN: {
    ...optional('Shipping token of the logz.io account.', (text: string) => text),
    neededBy: neededForLogging,
    secret: true,
  },
  ...USER_CONFIG_SETTINGS,
  ...NOTICE_SETTINGS,
  ...NODE_SETTINGS,
  AWS_REGION: optional(
    'Region of the bucket. By default that of the instance, and outside EC2 us-east-1.',
    region,
  ),
  AWS_ENDPOINT_URL_S3: optional("URL of an S3 service other than Amazon's.", remoteUrl),
  ON_DEATH: setting(
    "What the service does in EC2: none, tag (writes its state to the instance's tags) or terminate (also terminates the instance after the service has died).",
    'none',
    oneOf('none', 'tag', 'terminate'),
  ),
  AWS_ENDPOINT_URL_EC2: optional("URL of an EC2 service other than Amazon's.", remoteUrl),
  AWS_EC2_METADATA_SERVICE_ENDPOINT: optional(
    'URL of the EC2 metadata service. The default is the usual address on EC2; elsewhere the service asks for no metadata.',
    url,
  ),
  AWS_EC2_METADATA_DISABLED: setting('Whether the service never asks for EC2 metadata.', 'false', yesOrNo),
  ...LOG_SETTINGS,
  COMMIT: setting(
    'Git commit, which names the release in Sentry. make and the executable set it.',
    typeof BUILT_FROM === 'string' ? BUILT_FROM : 'unknown',
    (text) => text,
  ),
} as const;

function neededForLogging({ USE_PROD_LOGGING }: Known): string | undefined {
  return USE_PROD_LOGGING ? 'USE_PROD_LOGGING is on; turn it off to go without' : undefined;
}

import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { inspect } from 'node:util';
import { ServiceError } from '../../errors/service-error.ts';
import { ENVIRONMENTS, parseEnvironment } from '../../settings/environment.ts';
import { childEnvironment, examineSettings, loadSettings, type Settings } from '../../settings/load.ts';
import { SCHEMA, WELL_KNOWN_SECRETS } from '../../settings/schema.ts';
import { findSecret, Secret, sameSecret } from '../../settings/secret.ts';

type Given = Readonly<Record<string, string>>;

/** The variables that EchoStream sets on its hosts. */
const ECHOSTREAM = [
  'APP',
  'APPSYNC_ENDPOINT',
  'AWS_DEFAULT_REGION',
  'CLIENT_ID',
  'LOG_GROUP_NAME',
  'PASSWORD',
  'TENANT',
  'USER_NAME',
  'USER_POOL_ID',
];

const OWN_SECRET = 'an-own-and-long-secret';

const DSN = 'https://5e4774e7bd5f4c0e@sentry.example/42';
const SHIPPING_TOKEN = 'a-long-shipping-token';

/** The reporting settings of a host outside localdev. */
const REPORTING = {
  WEBSERVER_URL: 'https://webserver.example',
  SENTRY_DSN: DSN,
  LOGZIO_URL: 'https://listener.logz.example:8071',
  LOGZIO_SHIPPING_TOKEN: SHIPPING_TOKEN,
};
const NO_REPORTING = Object.fromEntries(Object.keys(REPORTING).map((name) => [name, '']));

/** Production's minimal settings, with changes. */
function production(changes: Given = {}): Settings {
  return loadSettings({
    APP_ENV: 'production',
    WEBSERVER_AUTH_SECRET: OWN_SECRET,
    ...REPORTING,
    ...changes,
  });
}

/** The problems that stop the start of a host that has its reporting settings, one per line. */
function problemsOf(given: Given): string[] {
  try {
    loadSettings({ ...REPORTING, ...given });
  } catch (error) {
    assert.ok(error instanceof ServiceError);
    assert.equal(error.code, 'start.settings');
    const [title, ...problems] = error.message.split('\n');
    assert.equal(title, 'these settings cannot be used:');
    return problems.map((problem) => problem.trim());
  }
  assert.fail(`these settings were accepted: ${JSON.stringify(given)}`);
}

function directory() {
  return mkdtempDisposable(join(tmpdir(), 'settings-'));
}

async function secretFile(path: string, content: string, mode = 0o600, owner = 0): Promise<void> {
  await writeFile(path, content);
  await chmod(path, mode);
  await chown(path, owner, owner);
}

suite('APP_ENV', () => {
  test('without APP_ENV the service does not start', () => {
    for (const given of [{}, { APP_ENV: '' }]) {
      const problems = problemsOf({ ...given, WEBSERVER_AUTH_SECRET: OWN_SECRET });
      assert.deepEqual(problems, ['APP_ENV: must be given']);
    }
  });

  test('each environment is accepted under its names, in lower and upper case', () => {
    const names = {
      localdev: ['localdev', 'LOCALDEV', 'LocalDev'],
      dev: ['dev', 'DEV', 'development', 'Development'],
      staging: ['staging', 'STAGING'],
      production: ['prod', 'PROD', 'production', 'Production'],
    };
    assert.deepEqual(Object.keys(names), [...ENVIRONMENTS]);
    for (const [environment, texts] of Object.entries(names)) {
      for (const text of texts) assert.equal(production({ APP_ENV: text }).APP_ENV, environment, text);
    }
  });

  test('an unknown environment is refused, and the error lists the known ones', () => {
    for (const name of ['test', 'produktion', 'prod ', 'local', 'localdev,dev']) {
      const [problem, ...others] = problemsOf({ APP_ENV: name, WEBSERVER_AUTH_SECRET: OWN_SECRET });
      assert.deepEqual(others, []);
      assert.equal(
        problem,
        `APP_ENV: must be one of localdev, dev, development, staging, prod, production; got "${name}"`,
      );
    }
  });

  test('names that every JavaScript object has are not environments', () => {
    for (const name of ['constructor', '__proto__']) {
      assert.throws(() => parseEnvironment(name), /must be one of/, name);
    }
  });

  test("the operator's token must differ from the webserver's secret", () => {
    const both = 'one-secret-for-everything-is-not-good';
    assert.deepEqual(problemsOf({ APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET: both, OPERATOR_TOKEN: both }), [
      'OPERATOR_TOKEN: must not be the webserver\'s secret; "openssl rand -hex 32" makes one',
    ]);
  });

  test("the viewers' token must differ from the webserver's secret and the operator's token", () => {
    const [secret, operator] = ['s', 'o'].map((one) => one.repeat(40)) as [string, string];
    for (const viewer of [secret, operator]) {
      const given = { WEBSERVER_AUTH_SECRET: secret, OPERATOR_TOKEN: operator, VIEWER_TOKEN: viewer };
      assert.deepEqual(problemsOf({ APP_ENV: 'localdev', ...given }), [
        'VIEWER_TOKEN: must be neither the webserver\'s secret nor OPERATOR_TOKEN; "openssl rand -hex 32" makes one',
      ]);
    }
  });

  test("S11: without a valid APP_ENV, no other setting gets localdev's default", () => {
    assert.deepEqual(
      problemsOf(NO_REPORTING).map((problem) => problem.replace(/^(\w+: must be given).*/, '$1')),
      [
        'APP_ENV: must be given',
        'WEBSERVER_AUTH_SECRET: must be given',
        'WEBSERVER_URL: must be given',
        'SENTRY_DSN: must be given',
        'LOGZIO_URL: must be given',
        'LOGZIO_SHIPPING_TOKEN: must be given',
      ],
    );
  });
});

suite('defaults', () => {
  test('production requires only its name, its secret, and where it reports to', () => {
    const { WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN, ...others } = production();
    assert.deepEqual(
      [WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN].map((secret) => secret?.reveal()),
      [OWN_SECRET, DSN, SHIPPING_TOKEN],
    );
    assert.deepEqual(others, {
      APP_ENV: 'production',
      ROOT: '/',
      LISTEN_ADDRESS: '0.0.0.0',
      LISTEN_PORT: 4678,
      OPERATOR_TOKEN: undefined,
      VIEWER_TOKEN: undefined,
      TLS_CERT_FILE: undefined,
      TLS_KEY_FILE: undefined,
      DOCKER_HOST: '/var/run/docker.sock',
      DEFAULT_REGISTRY: undefined,
      RESERVED_PORTS: [2375, 2376],
      ALLOWED_MOUNTS: [],
      CONTAINERS_PER_GPU: 64,
      CONTAINER_PIDS: 4096,
      CONTAINER_MEMORY: { percent: 50 },
      CONTAINER_LOG_SIZE: 64 * 2 ** 20,
      CONTAINER_DISK: { percent: 25 },
      HOSTED_ALLOW: new Map(),
      ECS_AGENT: 'auto',
      ECS_AGENT_BINARY: '/usr/libexec/amazon-ecs-agent',
      ECS_AGENT_IMAGE: 'amazon/amazon-ecs-agent:latest',
      INPUT_DEVICES: 'required',
      FRONT_CONSOLE: 'own',
      POOL: undefined,
      UNCLAIMED_SECONDS: undefined,
      NOT_READY_SECONDS: undefined,
      IDLE_SECONDS: undefined,
      HEALTH_PROBE_SECONDS: 10,
      TERMINALS: 100,
      TERMINALS_PER_CONTAINER: 10,
      TERMINAL_IDLE_SECONDS: 1800,
      ...Object.fromEntries(ECHOSTREAM.map((name) => [name, undefined])),
      INTERACTIVE: 'on',
      ON_APP_REMOVED: 'stop',
      NODES_KEEP_IMAGES: 3,
      REGISTRY_AUTH_FILE: undefined,
      NODES_FEED: 'none',
      NODES_FILE: undefined,
      NODES_ON_STOP: 'leave',
      NODES_UPDATE_WINDOW: undefined,
      HOST_SHELL_USER: undefined,
      HOST_SHELL_AS_ROOT: false,
      WEBSERVER_URL: new URL('https://webserver.example/'),
      DYING_HEARTBEAT: 'string',
      USE_PROD_LOGGING: true,
      LOGZIO_URL: new URL('https://listener.logz.example:8071/'),
      USER_CONFIG_BUCKET: 'fractal-user-app-configs',
      USER_CONFIG_VERSIONS: 10,
      USER_CONFIG_CHECKPOINT_SECONDS: 180,
      USER_CONFIG_OLD_FORMAT: 'read',
      USER_CONFIG_LIMIT: 4 * 2 ** 30,
      USER_CONFIG_KEEP_HOURS: 24,
      USER_CONFIG_SPOOL_LIMIT: 20 * 2 ** 30,
      AWS_REGION: undefined,
      AWS_ENDPOINT_URL_S3: undefined,
      ON_DEATH: 'none',
      ON_SPOT_NOTICE: 'end',
      ON_REBALANCE_NOTICE: 'drain',
      ON_SCALE_IN: 'drain',
      ON_MAINTENANCE_NOTICE: 'tell',
      TERMINATION_HOOK: undefined,
      AWS_ENDPOINT_URL_AUTO_SCALING: undefined,
      AWS_ENDPOINT_URL_EC2: undefined,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: undefined,
      AWS_EC2_METADATA_DISABLED: false,
      LOG_LEVEL: 'info',
      LOG_FILE: undefined,
      LOGGING_LEVEL: undefined,
      CLOUDWATCH_LOG_GROUP: undefined,
      COMMIT: 'unknown',
    });
  });

  test('localdev listens on loopback only, with the well-known secret', () => {
    const settings = loadSettings({ APP_ENV: 'localdev' });
    assert.equal(settings.LISTEN_ADDRESS, '127.0.0.1');
    assert.equal(settings.WEBSERVER_AUTH_SECRET.reveal(), 'testwebserverauthsecretdev');
  });

  test('localdev has no bucket', () => {
    assert.equal(loadSettings({ APP_ENV: 'localdev' }).USER_CONFIG_BUCKET, undefined);
  });

  test('localdev needs no input devices and reports nowhere', () => {
    const settings = loadSettings({ APP_ENV: 'localdev' });
    assert.equal(settings.INPUT_DEVICES, 'optional');
    assert.equal(settings.FRONT_CONSOLE, 'leave', 'a desktop stays in front');
    assert.equal(settings.USE_PROD_LOGGING, false);
    for (const name of Object.keys(REPORTING) as (keyof typeof REPORTING)[]) {
      assert.equal(settings[name], undefined, name);
    }
  });

  test('every other environment than localdev needs input devices and reports errors', () => {
    for (const APP_ENV of ['dev', 'staging', 'production']) {
      const { INPUT_DEVICES, FRONT_CONSOLE, USE_PROD_LOGGING } = production({ APP_ENV });
      assert.deepEqual([INPUT_DEVICES, FRONT_CONSOLE, USE_PROD_LOGGING], ['required', 'own', true], APP_ENV);
    }
  });

  test('every other environment than localdev has an ECS agent', () => {
    assert.equal(loadSettings({ APP_ENV: 'localdev' }).ECS_AGENT, 'none');
    for (const APP_ENV of ['dev', 'staging', 'production'])
      assert.equal(production({ APP_ENV }).ECS_AGENT, 'auto');
    for (const ECS_AGENT of ['none', 'unit', 'container', 'binary'])
      assert.equal(production({ ECS_AGENT }).ECS_AGENT, ECS_AGENT);
  });

  test('a secret has no default outside localdev', () => {
    for (const APP_ENV of ['dev', 'staging', 'production']) {
      assert.deepEqual(problemsOf({ APP_ENV }), ['WEBSERVER_AUTH_SECRET: must be given']);
    }
  });

  test('an empty setting counts as missing', () => {
    const settings = production({
      LISTEN_PORT: '',
      TLS_CERT_FILE: '',
      LOG_LEVEL: '',
      CREDENTIALS_DIRECTORY: '',
    });
    assert.equal(settings.LISTEN_PORT, 4678);
    assert.equal(settings.TLS_CERT_FILE, undefined);
    assert.equal(settings.LOG_LEVEL, 'info');
    assert.deepEqual(problemsOf({ APP_ENV: 'production', WEBSERVER_AUTH_SECRET: '' }), [
      'WEBSERVER_AUTH_SECRET: must be given',
    ]);
  });
});

suite('values', () => {
  const accepted: readonly (readonly [keyof Settings, string, unknown])[] = [
    ['ROOT', '/srv/host', '/srv/host'],
    ['ROOT', '/srv//host/../x', '/srv/x'],
    ['LISTEN_ADDRESS', '10.1.2.3', '10.1.2.3'],
    ['LISTEN_ADDRESS', '::', '::'],
    ['LISTEN_PORT', '1', 1],
    ['LISTEN_PORT', '65535', 65_535],
    ['DOCKER_HOST', 'unix:///run/other.sock', '/run/other.sock'],
    ['DEFAULT_REGISTRY', 'none', undefined],
    ['DEFAULT_REGISTRY', 'registry.example.com', 'registry.example.com'],
    ['DEFAULT_REGISTRY', '127.0.0.1:5000/a-b/c_d', '127.0.0.1:5000/a-b/c_d'],
    ['DEFAULT_REGISTRY', '[::1]:5000', '[::1]:5000'],
    ['DEFAULT_REGISTRY', 'localhost', 'localhost'],
    ['RESERVED_PORTS', '80', [80]],
    ['RESERVED_PORTS', '80, 443 ,8080', [80, 443, 8080]],
    ['ALLOWED_MOUNTS', 'none', []],
    ['HOSTED_ALLOW', 'none', new Map()],
    [
      'HOSTED_ALLOW',
      'CapAdd=SYS_PTRACE, Binds=/srv/data',
      new Map([
        ['CapAdd', new Set(['SYS_PTRACE'])],
        ['Binds', new Set(['/srv/data'])],
      ]),
    ],
    [
      'HOSTED_ALLOW',
      'SecurityOpt=seccomp=unconfined',
      new Map([['SecurityOpt', new Set(['seccomp=unconfined'])]]),
    ],
    ['ALLOWED_MOUNTS', '/srv/a/, /srv/b', ['/srv/a', '/srv/b']],
    ['UNCLAIMED_SECONDS', 'none', undefined],
    ['UNCLAIMED_SECONDS', '90', 90],
    ['CONTAINER_PIDS', 'none', undefined],
    ['CONTAINER_PIDS', '512', 512],
    ['CONTAINER_MEMORY', 'none', undefined],
    ['CONTAINER_MEMORY', '6GiB', { bytes: 6 * 2 ** 30 }],
    ['CONTAINER_LOG_SIZE', 'none', undefined],
    ['CONTAINER_DISK', '30%', { percent: 30 }],
    ['CONTAINER_LOG_SIZE', '10MiB', 10 * 2 ** 20],
    ['INPUT_DEVICES', 'required', 'required'],
    ['INPUT_DEVICES', 'optional', 'optional'],
    ['FRONT_CONSOLE', 'own', 'own'],
    ['FRONT_CONSOLE', 'leave', 'leave'],
    ['DYING_HEARTBEAT', 'string', 'string'],
    ['DYING_HEARTBEAT', 'boolean', 'boolean'],
    ...['1', 'yes', 'true', 'YES', 'True'].map((text) => ['USE_PROD_LOGGING', text, true] as const),
    ...['0', 'no', 'false', 'NO', 'False'].map((text) => ['USE_PROD_LOGGING', text, false] as const),
    ...(['WEBSERVER_URL', 'LOGZIO_URL'] as const).flatMap((name) =>
      [
        'https://example.com',
        'https://example.com:8071/path/',
        'https://10.0.0.1',
        'https://localhost',
        'http://127.0.0.1:7730',
        'http://127.8.9.10/x',
        'http://[::1]:80',
      ].map((text) => [name, text, new URL(text)] as const),
    ),
    ...['http://169.254.169.254', 'http://[fd00:ec2::254]', 'https://example.com'].map(
      (text) => ['AWS_EC2_METADATA_SERVICE_ENDPOINT', text, new URL(text)] as const,
    ),
    ...['end', 'drain', 'tell'].flatMap((action) =>
      (['ON_SPOT_NOTICE', 'ON_REBALANCE_NOTICE', 'ON_SCALE_IN', 'ON_MAINTENANCE_NOTICE'] as const).map(
        (name) => [name, action, action] as const,
      ),
    ),
    ['TERMINATION_HOOK', 'hosts/save-users_1', 'hosts/save-users_1'],
    ['USER_CONFIG_BUCKET', 'none', undefined],
    ['USER_CONFIG_BUCKET', 'my.bucket-2', 'my.bucket-2'],
    ['USER_CONFIG_VERSIONS', '2', 2],
    ['USER_CONFIG_CHECKPOINT_SECONDS', '1', 1],
    ['USER_CONFIG_LIMIT', '1', 1],
    ['USER_CONFIG_LIMIT', '5KiB', 5120],
    ['USER_CONFIG_SPOOL_LIMIT', '500MiB', 500 * 2 ** 20],
    ...['us-east-1', 'us-gov-west-1', 'eusc-de-east-1'].map((text) => ['AWS_REGION', text, text] as const),
    ['AWS_ENDPOINT_URL_S3', 'https://s3.example.com', new URL('https://s3.example.com')],
    ['AWS_EC2_METADATA_DISABLED', 'true', true],
    ['AWS_EC2_METADATA_DISABLED', 'false', false],
    ['LOG_LEVEL', 'trace', 'trace'],
    ['LOG_LEVEL', 'error', 'error'],
    ['COMMIT', '7ea50c3', '7ea50c3'],
  ];
  for (const [name, text, value] of accepted) {
    test(`${name} accepts "${text}"`, () => {
      assert.deepEqual(production({ [name]: text })[name], value);
    });
  }

  const refused: readonly (readonly [keyof Settings, string, RegExp])[] = [
    ['ROOT', 'srv/host', /must be an absolute path; got "srv\/host"/],
    ['ALLOWED_MOUNTS', 'srv/a', /must be an absolute path/],
    ['HOSTED_ALLOW', 'SYS_ADMIN', /"SYS_ADMIN" must be FIELD=VALUE, and FIELD one of Binds, CapAdd, /],
    ['HOSTED_ALLOW', 'capadd=SYS_ADMIN', /must be FIELD=VALUE/],
    ['HOSTED_ALLOW', 'constructor=x', /must be FIELD=VALUE/],
    ['HOSTED_ALLOW', 'CapAdd=ALL', /CapAdd must be a capability/],
    ['HOSTED_ALLOW', 'Binds=/etc', /Binds must be an absolute path .* no way to root/],
    ['HOSTED_ALLOW', 'Binds=/', /no way to root/],
    ['HOSTED_ALLOW', 'Binds=/var', /no way to root/],
    ['HOSTED_ALLOW', 'Binds=/srv/../etc', /no way to root/],
    ['HOSTED_ALLOW', 'Binds=/run/docker.sock', /no way to root/],
    ['HOSTED_ALLOW', 'Devices=/dev/tty1', /no console/],
    ['HOSTED_ALLOW', 'DeviceCgroupRules=c 4:* rw', /opens no console/],
    ['HOSTED_ALLOW', 'DeviceCgroupRules=a *:* rwm', /opens no console/],
    ['HOSTED_ALLOW', 'NetworkMode=host', /must be the name of a network/],
    ['ALLOWED_MOUNTS', '/srv,/srv/a', /\/srv\/a must not be in \/srv; leave one of them out/],
    ['ALLOWED_MOUNTS', '/srv/a,/', /\/srv\/a must not be in \//],
    ['UNCLAIMED_SECONDS', '0', /must be a number from 1 to/],
    ['CONTAINER_PIDS', '0', /must be a number from 1 to/],
    ['CONTAINER_MEMORY', '100%', /a share such as 50%, or none; got "100%"/],
    ['CONTAINER_LOG_SIZE', '0', /must be a number of bytes/],
    ['OPERATOR_TOKEN', 'x'.repeat(31), /must be at least 32 printable characters/],
    ['OPERATOR_TOKEN', `${'x'.repeat(40)} `, /without spaces/],
    ['LISTEN_ADDRESS', 'localhost', /must be an IP address; got "localhost"/],
    ['LISTEN_ADDRESS', '10.1.2', /must be an IP address/],
    ['LISTEN_ADDRESS', '10.1.2.3:4678', /must be an IP address/],
    ...['0', '65536', '-1', '4678.0', '1e3', '0x50', ' 80', 'https'].map(
      (text) => ['LISTEN_PORT', text, /must be a port from 1 to 65535; got "/] as const,
    ),
    ['TLS_CERT_FILE', 'cert.pem', /must be an absolute path/],
    ['TLS_KEY_FILE', 'key.pem', /must be an absolute path/],
    ['DOCKER_HOST', 'tcp://10.0.0.1:2375', /must be a unix socket/],
    ['DOCKER_HOST', 'unix://run/docker.sock', /must be a unix socket/],
    ['DOCKER_HOST', 'unix:///', /must be a unix socket/],
    ['DOCKER_HOST', '/run/docker.sock', /must be a unix socket/],
    ['DEFAULT_REGISTRY', 'fractal', /must be the host of a registry such as registry\.example\.com, or none/],
    ['DEFAULT_REGISTRY', 'https://registry.example.com', /must be the host of a registry/],
    ['DEFAULT_REGISTRY', 'registry.example.com/', /must be the host of a registry/],
    ['DEFAULT_REGISTRY', 'registry.example.com/a:1', /must be the host of a registry/],
    ['RESERVED_PORTS', '80,', /must be a port from 1 to 65535; got ""/],
    ['RESERVED_PORTS', '80;443', /must be a port from 1 to 65535; got "80;443"/],
    ['RESERVED_PORTS', '80,70000', /got "70000"/],
    ...['none', 'Required', 'true'].map(
      (text) => ['INPUT_DEVICES', text, /must be one of required, optional; got "/] as const,
    ),
    ...['text', 'String', 'True'].map(
      (text) => ['DYING_HEARTBEAT', text, /must be one of string, boolean; got "/] as const,
    ),
    ...['stop', 'none', 'END'].map(
      (text) => ['ON_SPOT_NOTICE', text, /must be one of end, drain, tell; got "/] as const,
    ),
    ['TERMINATION_HOOK', 'a hook', /must be the name of a lifecycle hook; got "a hook"/],
    ...['2', 'on', 'off', 'y', 'yes ', 'nonsense', '-1'].map(
      (text) => ['USE_PROD_LOGGING', text, /must be one of 1, yes, true, 0, no, false; got "/] as const,
    ),
    ...(['WEBSERVER_URL', 'LOGZIO_URL'] as const).flatMap((name) => [
      ...['example.com', 'ftp://example.com', 'https://', 'https://exa mple.com', '/path'].map(
        (text) => [name, text, /must be an address like https:\/\/…$/] as const,
      ),
      ...[
        'http://example.com',
        'http://10.0.0.1',
        'http://localhost',
        'http://127.evil.com',
        'http://127.0.0.1.evil.com',
        'http://127.0.0.1@evil.com',
        'http://0.0.0.0',
        'http://128.0.0.1',
        'http://[::2]',
        'http://[::ffff:10.0.0.1]',
      ].map(
        (text) => [name, text, /must be an https address; only a loopback address may be http$/] as const,
      ),
    ]),
    ...['169.254.169.254', 'file:///etc/passwd', 'imds'].map(
      (text) => ['AWS_EC2_METADATA_SERVICE_ENDPOINT', text, /must be an address like/] as const,
    ),
    ...['My_bucket', 'a', 'bucket/x', '.bucket'].map(
      (text) => ['USER_CONFIG_BUCKET', text, /must be the name of a bucket, or none; got "/] as const,
    ),
    ...['1', '1001', '-2', '2.5', 'all'].map(
      (text) => ['USER_CONFIG_VERSIONS', text, /must be a number from 2 to 1000; got "/] as const,
    ),
    ['USER_CONFIG_CHECKPOINT_SECONDS', '0', /must be a number from 1 to 86400; got "0"/],
    ...['0', '4 GiB', '4GB', '-1', '99999999999GiB', 'x'].map(
      (text) =>
        ['USER_CONFIG_LIMIT', text, /must be a number of bytes such as 500MiB or 4GiB; got "/] as const,
    ),
    ['USER_CONFIG_SPOOL_LIMIT', 'unlimited', /must be a number of bytes/],
    ...['us-east', 'us_east_1', 'US-EAST-1', 'x/../y-1'].map(
      (text) => ['AWS_REGION', text, /must be a region like us-east-1; got "/] as const,
    ),
    ['AWS_ENDPOINT_URL_S3', 'http://s3.example.com', /must be an https address/],
    ['AWS_EC2_METADATA_DISABLED', 'disabled', /must be one of 1, yes, true, 0, no, false; got "disabled"/],
    ['LOG_LEVEL', 'verbose', /must be one of trace, debug, info, warn, error; got "verbose"/],
    ['LOG_LEVEL', 'silent', /must be one of/],
  ];
  for (const [name, text, why] of refused) {
    test(`${name} refuses "${text}"`, () => {
      const pair = { TLS_CERT_FILE: '/cert.pem', TLS_KEY_FILE: '/key.pem' };
      const given = { APP_ENV: 'production', WEBSERVER_AUTH_SECRET: OWN_SECRET, ...pair, [name]: text };
      const problems = problemsOf(given);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', why);
      assert.ok(problems[0]?.startsWith(`${name}: `));
    });
  }

  test('all problems are reported at once, and no secret with them', () => {
    const problems = problemsOf({
      APP_ENV: 'moon',
      WEBSERVER_AUTH_SECRET: OWN_SECRET,
      ROOT: 'x',
      LISTEN_PORT: 'x',
      INPUT_DEVICES: 'x',
      FRONT_CONSOLE: 'x',
      WEBSERVER_URL: '',
      DYING_HEARTBEAT: 'x',
      ECS_AGENT: 'x',
      ECS_AGENT_BINARY: 'x',
      ECS_AGENT_IMAGE: '--x',
      USE_PROD_LOGGING: 'x',
      SENTRY_DSN: 'x',
      LOGZIO_URL: 'http://example.com',
      USER_CONFIG_BUCKET: 'X',
      USER_CONFIG_VERSIONS: 'x',
      USER_CONFIG_CHECKPOINT_SECONDS: 'x',
      USER_CONFIG_LIMIT: 'x',
      USER_CONFIG_SPOOL_LIMIT: 'x',
      AWS_REGION: 'x',
      AWS_ENDPOINT_URL_S3: 'x',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'x',
      AWS_EC2_METADATA_DISABLED: 'x',
      LOG_LEVEL: 'x',
    });
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      [
        'APP_ENV',
        'ROOT',
        'LISTEN_PORT',
        'ECS_AGENT',
        'ECS_AGENT_BINARY',
        'ECS_AGENT_IMAGE',
        'INPUT_DEVICES',
        'FRONT_CONSOLE',
        'WEBSERVER_URL',
        'DYING_HEARTBEAT',
        'USE_PROD_LOGGING',
        'SENTRY_DSN',
        'LOGZIO_URL',
        'USER_CONFIG_BUCKET',
        'USER_CONFIG_VERSIONS',
        'USER_CONFIG_CHECKPOINT_SECONDS',
        'USER_CONFIG_LIMIT',
        'USER_CONFIG_SPOOL_LIMIT',
        'AWS_REGION',
        'AWS_ENDPOINT_URL_S3',
        'AWS_EC2_METADATA_SERVICE_ENDPOINT',
        'AWS_EC2_METADATA_DISABLED',
        'LOG_LEVEL',
      ],
    );
    for (const secret of [OWN_SECRET, SHIPPING_TOKEN]) {
      assert.doesNotMatch(problems.join('\n'), new RegExp(secret));
    }
  });

  const brokenDsns = [
    'sentry',
    '5e4774e7bd5f4c0e@sentry.example/42',
    'https://5e4774e7bd5f4c0e@sentry.example',
    'https://5e4774e7bd5f4c0e@sentry.example/',
    'https://5e4774e7bd5f4c0e@sentry.example/project',
    'https://5e4774e7bd5f4c0e@sentry.example/42/',
    'https://sentry.example/42',
    'https://5e4774e7bd5f4c0e@sentry.exa mple/42',
    'http://5e4774e7bd5f4c0e@sentry.example/42',
    'http://5e4774e7bd5f4c0e@localhost/42',
    'http://5e4774e7bd5f4c0e@127.evil.com/42',
    'ftp://5e4774e7bd5f4c0e@sentry.example/42',
  ];
  test('an invalid DSN is refused, and no part of it is shown', () => {
    for (const SENTRY_DSN of brokenDsns) {
      const problems = problemsOf({ APP_ENV: 'production', WEBSERVER_AUTH_SECRET: OWN_SECRET, SENTRY_DSN });
      assert.equal(problems.length, 1, SENTRY_DSN);
      assert.match(problems[0] ?? '', /^SENTRY_DSN: must be an (https )?address/, SENTRY_DSN);
      assert.doesNotMatch(problems[0] ?? '', /sentry|5e4774e7|example|evil|42/, SENTRY_DSN);
    }
  });

  test('a DSN is passed on unchanged, and http is accepted on loopback', () => {
    for (const SENTRY_DSN of [
      DSN,
      'https://key:password@sentry.example/path/42',
      'http://key@127.0.0.1:9000/1',
    ]) {
      assert.equal(production({ SENTRY_DSN }).SENTRY_DSN?.reveal(), SENTRY_DSN);
    }
  });

  test('the environment is not changed', () => {
    const environment = { APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET: OWN_SECRET, OTHER: 'x' };
    loadSettings(environment);
    assert.deepEqual(environment, {
      APP_ENV: 'localdev',
      WEBSERVER_AUTH_SECRET: OWN_SECRET,
      OTHER: 'x',
    });
  });

  test('each setting has a description', () => {
    for (const [name, { meaning }] of Object.entries(SCHEMA)) assert.match(meaning, /^[A-Z].+\.$/, name);
  });
});

suite('reporting', () => {
  const forLogging = ['SENTRY_DSN', 'LOGZIO_URL', 'LOGZIO_SHIPPING_TOKEN'];
  const isOn = forLogging.map(
    (name) => `${name}: must be given: USE_PROD_LOGGING is on; turn it off to go without`,
  );
  const noWebserver = 'WEBSERVER_URL: must be given: the webserver must learn that this host is alive';

  /** The problems of a host without reporting settings. */
  function missing(given: Given): string[] {
    return problemsOf({ WEBSERVER_AUTH_SECRET: OWN_SECRET, ...NO_REPORTING, ...given });
  }

  test('outside localdev a host must know where it reports to', () => {
    for (const APP_ENV of ['dev', 'staging', 'production']) {
      assert.deepEqual(missing({ APP_ENV }), [noWebserver, ...isOn], APP_ENV);
      assert.deepEqual(missing({ APP_ENV, USE_PROD_LOGGING: '1' }), [noWebserver, ...isOn], APP_ENV);
    }
  });

  test('a host that reports no errors must still know the webserver', () => {
    for (const APP_ENV of ['dev', 'staging', 'production']) {
      assert.deepEqual(missing({ APP_ENV, USE_PROD_LOGGING: 'no' }), [noWebserver], APP_ENV);
      const { WEBSERVER_URL, SENTRY_DSN, LOGZIO_URL, LOGZIO_SHIPPING_TOKEN } = production({
        APP_ENV,
        ...NO_REPORTING,
        USE_PROD_LOGGING: 'no',
        WEBSERVER_URL: 'https://webserver.example',
      });
      assert.equal(WEBSERVER_URL?.href, 'https://webserver.example/');
      assert.deepEqual([SENTRY_DSN, LOGZIO_URL, LOGZIO_SHIPPING_TOKEN], Array(3).fill(undefined));
    }
  });

  test('localdev can report errors, and then must know where', () => {
    assert.deepEqual(missing({ APP_ENV: 'localdev', USE_PROD_LOGGING: 'yes' }), isOn);
    const settings = loadSettings({ ...REPORTING, APP_ENV: 'localdev', USE_PROD_LOGGING: 'yes' });
    assert.equal(settings.USE_PROD_LOGGING, true);
    assert.equal(settings.SENTRY_DSN?.reveal(), DSN);
  });

  test('localdev accepts the webserver and shipping settings, and USE_PROD_LOGGING stays off', () => {
    const settings = loadSettings({ ...REPORTING, APP_ENV: 'localdev' });
    assert.equal(settings.WEBSERVER_URL?.href, 'https://webserver.example/');
    assert.equal(settings.LOGZIO_SHIPPING_TOKEN?.reveal(), SHIPPING_TOKEN);
    assert.equal(settings.USE_PROD_LOGGING, false);
  });
});

suite('unsafe settings', () => {
  test('S12: a well-known secret is refused outside localdev', () => {
    for (const APP_ENV of ['dev', 'staging', 'production']) {
      for (const WEBSERVER_AUTH_SECRET of WELL_KNOWN_SECRETS) {
        const problems = problemsOf({ APP_ENV, WEBSERVER_AUTH_SECRET, LISTEN_ADDRESS: '127.0.0.1' });
        assert.deepEqual(problems, [
          'WEBSERVER_AUTH_SECRET: this one is well known; use it in localdev only',
        ]);
      }
    }
  });

  test('S10: a well-known secret is refused beyond loopback', () => {
    for (const LISTEN_ADDRESS of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '12.7.0.1', '::2', '1::1']) {
      for (const WEBSERVER_AUTH_SECRET of ['', ...WELL_KNOWN_SECRETS]) {
        const problems = problemsOf({ APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET, LISTEN_ADDRESS });
        assert.equal(problems.length, 1);
        assert.match(problems[0] ?? '', /^LISTEN_ADDRESS: is not a loopback address/);
      }
    }
  });

  test('a well-known secret is accepted on loopback in localdev', () => {
    for (const LISTEN_ADDRESS of ['127.0.0.1', '127.8.9.10', '::1']) {
      assert.equal(loadSettings({ APP_ENV: 'localdev', LISTEN_ADDRESS }).LISTEN_ADDRESS, LISTEN_ADDRESS);
    }
  });

  test('localdev can listen beyond loopback with its own secret', () => {
    const given = { APP_ENV: 'localdev', LISTEN_ADDRESS: '0.0.0.0', WEBSERVER_AUTH_SECRET: OWN_SECRET };
    assert.equal(loadSettings(given).LISTEN_ADDRESS, '0.0.0.0');
  });

  test('a certificate without its key is refused, and a key without its certificate', () => {
    for (const name of ['TLS_CERT_FILE', 'TLS_KEY_FILE']) {
      const given = { APP_ENV: 'localdev', [name]: '/x.pem' };
      assert.deepEqual(problemsOf(given), ['TLS_CERT_FILE, TLS_KEY_FILE: give both or neither']);
    }
    const settings = production({ TLS_CERT_FILE: '/cert.pem', TLS_KEY_FILE: '/key.pem' });
    assert.deepEqual([settings.TLS_CERT_FILE, settings.TLS_KEY_FILE], ['/cert.pem', '/key.pem']);
  });

  test('all unsafe settings are reported at once', () => {
    const [secret] = WELL_KNOWN_SECRETS as [string];
    const problems = problemsOf({
      APP_ENV: 'dev',
      WEBSERVER_AUTH_SECRET: secret,
      TLS_KEY_FILE: '/key.pem',
    });
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      ['WEBSERVER_AUTH_SECRET', 'LISTEN_ADDRESS', 'TLS_CERT_FILE, TLS_KEY_FILE'],
    );
    assert.doesNotMatch(problems.join('\n'), new RegExp(secret));
  });

  test('unsafe settings are reported together with invalid ones', () => {
    const [secret] = WELL_KNOWN_SECRETS as [string];
    const problems = problemsOf({
      APP_ENV: 'dev',
      WEBSERVER_AUTH_SECRET: secret,
      TLS_CERT_FILE: 'cert.pem',
      LOG_LEVEL: 'x',
    });
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      [
        'TLS_CERT_FILE',
        'LOG_LEVEL',
        'WEBSERVER_AUTH_SECRET',
        'LISTEN_ADDRESS',
        'TLS_CERT_FILE, TLS_KEY_FILE',
      ],
    );
  });
});

suite('the source of a secret', () => {
  test('a secret is read from the named file, without line ends at its end', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'secret');
    await secretFile(path, ' first\nsecond \r\n\n');
    assert.equal(findSecret('X', { X_FILE: path })?.text, ' first\nsecond ');
    await secretFile(path, OWN_SECRET, 0o400);
    const settings = production({ WEBSERVER_AUTH_SECRET: '', WEBSERVER_AUTH_SECRET_FILE: path });
    assert.equal(settings.WEBSERVER_AUTH_SECRET.reveal(), OWN_SECRET);
  });

  test('a file that others can read or write is refused, and the error shows the remedy', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'secret');
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601]) {
      await secretFile(path, OWN_SECRET, mode);
      const problems = problemsOf({ APP_ENV: 'production', WEBSERVER_AUTH_SECRET_FILE: path });
      assert.deepEqual(problems, [
        `WEBSERVER_AUTH_SECRET: ${path} must be readable by root alone; run "chown root ${path} && chmod 600 ${path}"`,
      ]);
    }
  });

  test('a file that belongs to another user is refused', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'secret');
    await secretFile(path, OWN_SECRET, 0o600, 1000);
    assert.throws(() => findSecret('X', { X_FILE: path }), /must be readable by root alone/);
  });

  test('a missing file is refused, even if there is a default', async () => {
    await using temporary = await directory();
    const WEBSERVER_AUTH_SECRET_FILE = join(temporary.path, 'missing');
    for (const APP_ENV of ['localdev', 'production']) {
      const [problem] = problemsOf({ APP_ENV, WEBSERVER_AUTH_SECRET_FILE });
      assert.match(problem ?? '', /^WEBSERVER_AUTH_SECRET: ENOENT/);
    }
  });

  test('an empty file is refused, even if there is a default', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'secret');
    await secretFile(path, '\n');
    for (const APP_ENV of ['production', 'localdev']) {
      const problems = problemsOf({ APP_ENV, WEBSERVER_AUTH_SECRET_FILE: path });
      assert.match(problems.join('\n'), /^WEBSERVER_AUTH_SECRET: /);
    }
  });

  test('a secret is read from a systemd credential', async () => {
    await using temporary = await directory();
    await secretFile(join(temporary.path, 'WEBSERVER_AUTH_SECRET'), `${OWN_SECRET}\n`, 0o400);
    const settings = production({ WEBSERVER_AUTH_SECRET: '', CREDENTIALS_DIRECTORY: temporary.path });
    assert.equal(settings.WEBSERVER_AUTH_SECRET.reveal(), OWN_SECRET);
  });

  test('an optional secret is read from the same places, and can be missing', async () => {
    await using temporary = await directory();
    const dsn = join(temporary.path, 'dsn');
    await secretFile(dsn, `${DSN}\n`);
    await secretFile(join(temporary.path, 'LOGZIO_SHIPPING_TOKEN'), `${SHIPPING_TOKEN}\n`);
    const found = production({
      ...NO_REPORTING,
      WEBSERVER_URL: REPORTING.WEBSERVER_URL,
      LOGZIO_URL: REPORTING.LOGZIO_URL,
      SENTRY_DSN_FILE: dsn,
      CREDENTIALS_DIRECTORY: temporary.path,
    });
    for (const [secret, text] of [
      [found.SENTRY_DSN, DSN],
      [found.LOGZIO_SHIPPING_TOKEN, SHIPPING_TOKEN],
    ] as const) {
      assert.ok(secret instanceof Secret);
      assert.equal(secret.reveal(), text);
    }
    const { SENTRY_DSN, LOGZIO_SHIPPING_TOKEN } = loadSettings({ APP_ENV: 'localdev' });
    assert.deepEqual([SENTRY_DSN, LOGZIO_SHIPPING_TOKEN], [undefined, undefined]);
  });

  test('an unusable file is a problem for an optional secret too', async () => {
    await using temporary = await directory();
    const broken = join(temporary.path, 'broken');
    const open = join(temporary.path, 'open');
    await secretFile(broken, 'https://5e4774e7bd5f4c0e@sentry.example');
    await secretFile(open, SHIPPING_TOKEN, 0o644);
    const given = { SENTRY_DSN_FILE: broken, LOGZIO_SHIPPING_TOKEN_FILE: open };
    const problems = problemsOf({ APP_ENV: 'localdev', ...NO_REPORTING, ...given });
    assert.equal(problems.length, 2);
    assert.equal(problems[0], 'SENTRY_DSN: must be an address like https://key@host/123');
    assert.match(problems[1] ?? '', /^LOGZIO_SHIPPING_TOKEN: .*\/open must be readable by root alone/);
  });

  test('a systemd credential that others can read is refused', async () => {
    await using temporary = await directory();
    await secretFile(join(temporary.path, 'X'), OWN_SECRET, 0o444);
    assert.throws(() => findSecret('X', { CREDENTIALS_DIRECTORY: temporary.path }), /root alone/);
  });

  test('without a credential of its name there is no secret', async () => {
    await using temporary = await directory();
    assert.equal(findSecret('X', { CREDENTIALS_DIRECTORY: temporary.path })?.text, undefined);
    assert.equal(findSecret('X', {})?.text, undefined);
    assert.equal(findSecret('X', { X: '', X_FILE: '', CREDENTIALS_DIRECTORY: '' })?.text, undefined);
  });

  test('the variable takes precedence over the file, and the file over the credential', async () => {
    await using temporary = await directory();
    const file = join(temporary.path, 'file');
    const credentials = join(temporary.path, 'credentials');
    await mkdir(credentials);
    await secretFile(file, 'of the file');
    await secretFile(join(credentials, 'X'), 'of the credential');
    const environment = { X: 'of the variable', X_FILE: file, CREDENTIALS_DIRECTORY: credentials };
    assert.equal(findSecret('X', environment)?.text, 'of the variable');
    assert.equal(findSecret('X', { ...environment, X: '' })?.text, 'of the file');
    assert.equal(findSecret('X', { ...environment, X: '', X_FILE: '' })?.text, 'of the credential');
    await rm(file);
    assert.throws(() => findSecret('X', { ...environment, X: '' }), /ENOENT/);
  });

  test('a well-known secret is refused from a file too', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'secret');
    await secretFile(path, `${WELL_KNOWN_SECRETS[2]}\n`);
    const [problem] = problemsOf({ APP_ENV: 'production', WEBSERVER_AUTH_SECRET_FILE: path });
    assert.match(problem ?? '', /this one is well known/);
  });
});

suite('a secret', () => {
  test('a secret is shown only on an explicit request', () => {
    const secret = new Secret(OWN_SECRET);
    // Values that a careless cast would accept.
    const text = secret as unknown as string;
    const shown = [
      JSON.stringify({ secret }),
      JSON.stringify([secret]),
      String(secret),
      `${text}`,
      ''.concat(text),
      inspect(secret),
      inspect({ deep: { secret } }, { showHidden: true, depth: Infinity }),
      inspect(secret, { customInspect: false, showHidden: true }),
      Object.values(secret).join(),
      JSON.stringify(Object.assign({}, secret)),
    ];
    for (const seen of shown) assert.doesNotMatch(seen, new RegExp(OWN_SECRET));
    assert.equal(`${text}`, '[secret]');
    assert.equal(inspect(secret), '[secret]');
    assert.equal(JSON.stringify(secret), '"[secret]"');
    assert.equal(secret.reveal(), OWN_SECRET);
  });

  test('the settings as a whole do not show their secrets', () => {
    const settings = production();
    for (const text of [JSON.stringify(settings), inspect(settings, { depth: Infinity })]) {
      for (const secret of [OWN_SECRET, DSN, SHIPPING_TOKEN]) assert.ok(!text.includes(secret));
    }
  });

  test('two secrets are equal if their whole texts are', () => {
    assert.equal(sameSecret('abc', 'abc'), true);
    assert.equal(sameSecret('', ''), true);
    assert.equal(sameSecret('grüße', 'grüße'), true);
    for (const other of ['', 'ab', 'abd', 'abcd', 'ABC', 'abc ', 'abc\0']) {
      assert.equal(sameSecret('abc', other), false, JSON.stringify(other));
    }
  });
});

suite('the environment of child processes', () => {
  test('a child process sees no secret and no setting', () => {
    const settings = Object.keys(SCHEMA).flatMap((name) => [name, `${name}_FILE`]);
    const hidden = [
      'APP_ENV',
      'CREDENTIALS_DIRECTORY',
      'NODE_OPTIONS',
      'NOTIFY_SOCKET',
      'WATCHDOG_USEC',
      'ANYTHING',
      ...settings,
    ];
    const environment = Object.fromEntries(hidden.map((name) => [name, 'hush']));
    const seen = childEnvironment({ ...environment, PATH: '/bin' });
    assert.doesNotMatch(Object.values(seen).join(), /hush/);
    assert.equal(seen.PATH, '/bin');
  });

  test('a child process sees what it needs to find programs and the network', () => {
    const needed = {
      PATH: '/bin',
      HOME: '/root',
      LANG: 'C.UTF-8',
      HTTP_PROXY: 'http://proxy:1',
      HTTPS_PROXY: 'http://proxy:2',
      NO_PROXY: 'localhost',
    };
    assert.deepEqual(childEnvironment(needed), needed);
  });
});

test('a host without interactive containers needs no webserver, and its webserver secret is random', () => {
  const given = { APP_ENV: 'production', INTERACTIVE: 'off', NODES_FEED: 'file', NODES_FILE: '/nodes.yaml' };
  const load = () => loadSettings({ ...given, USE_PROD_LOGGING: 'no' });
  const { WEBSERVER_AUTH_SECRET, WEBSERVER_URL, NODES_FILE, NODES_ON_STOP } = load();
  assert.deepEqual([WEBSERVER_URL, NODES_FILE, NODES_ON_STOP], [undefined, '/nodes.yaml', 'leave']);
  assert.match(WEBSERVER_AUTH_SECRET.reveal(), /^[0-9a-f]{64}$/);
  assert.notEqual(WEBSERVER_AUTH_SECRET.reveal(), load().WEBSERVER_AUTH_SECRET.reveal());
});

test('a host without interactive containers or nodes does not start, nor one with NODES_FEED=file and no file', () => {
  assert.deepEqual(problemsOf({ APP_ENV: 'production', INTERACTIVE: 'off' }), [
    'INTERACTIVE: with off and without nodes there is nothing to do; set NODES_FEED, or INTERACTIVE=on',
  ]);
  assert.deepEqual(problemsOf({ APP_ENV: 'localdev', NODES_FEED: 'file' }), [
    'NODES_FILE: must be given: NODES_FEED is file',
  ]);
});

test("EchoStream's nine variables have their own names, and are checked only if they are needed", () => {
  const given = { APP_ENV: 'localdev', INTERACTIVE: 'off', NODES_FEED: 'echostream' };
  const needed = ECHOSTREAM.filter((name) => name !== 'AWS_DEFAULT_REGION');
  assert.deepEqual(
    problemsOf(given).toSorted((a, b) => a.localeCompare(b)),
    needed
      .map((name) => `${name}: must be given: NODES_FEED is echostream`)
      .toSorted((a, b) => a.localeCompare(b)),
  );
  const all = Object.fromEntries(ECHOSTREAM.map((name) => [name, 'x y']));
  assert.deepEqual(problemsOf({ ...given, ...all }), [
    'APP: must be the name of an app; got "x y"',
    'APPSYNC_ENDPOINT: must be an address like https://…',
  ]);
  const usable = { ...all, APP: 'my_app', APPSYNC_ENDPOINT: 'https://api.example/graphql' };
  const { PASSWORD, APP } = loadSettings({ ...given, ...usable });
  assert.deepEqual([PASSWORD?.reveal(), APP], ['x y', 'my_app']);
  assert.doesNotThrow(() => production(all));
});

test("an EchoStream app cannot have the name of one of Docker's own networks", () => {
  const others = ECHOSTREAM.filter((name) => name !== 'APP');
  const all = Object.fromEntries(others.map((name) => [name, 'https://api.example/graphql']));
  for (const APP of ['bridge', 'host', 'none', 'default', 'ingress', 'docker_gwbridge'])
    assert.deepEqual(
      problemsOf({ APP_ENV: 'localdev', INTERACTIVE: 'off', NODES_FEED: 'echostream', ...all, APP }),
      [`APP: must not be ${APP}, which is a network of Docker's own`],
    );
});

test("EchoStream's LOGGING_LEVEL is the level of the service's log, unless LOG_LEVEL is given", () => {
  const given = {
    APP_ENV: 'localdev',
    INTERACTIVE: 'off',
    NODES_FEED: 'echostream',
    ...Object.fromEntries(ECHOSTREAM.map((name) => [name, 'any'])),
    APPSYNC_ENDPOINT: 'https://api.example/graphql',
  };
  const levelOf = (more: object) => loadSettings({ ...given, ...more }).LOG_LEVEL;
  assert.equal(levelOf({}), 'info');
  assert.equal(levelOf({ LOGGING_LEVEL: 'WARNING' }), 'warn');
  assert.equal(levelOf({ LOGGING_LEVEL: 'CRITICAL' }), 'error');
  assert.equal(levelOf({ LOGGING_LEVEL: 'WARNING', LOG_LEVEL: 'debug' }), 'debug');
  assert.deepEqual(problemsOf({ ...given, LOGGING_LEVEL: 'loud' }), [
    'LOGGING_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL; got "loud"',
  ]);
  const others = { APP_ENV: 'localdev', LOGGING_LEVEL: 'loud' };
  assert.equal(loadSettings(others).LOG_LEVEL, 'info', 'others use such names too');
});

test('on EchoStream hosts the log goes to its usual file below ROOT, and on other hosts to the configured file', () => {
  const fileOf = (given: object) => examineSettings({ APP_ENV: 'localdev', ...given }).settings.LOG_FILE;
  assert.equal(fileOf({}), undefined);
  assert.equal(fileOf({ LOG_FILE: '/var/log/app.log' }), '/var/log/app.log');
  const echostream = { NODES_FEED: 'echostream' };
  assert.equal(fileOf(echostream), '/var/log/echostream/echostream-managed-app.log');
  assert.equal(fileOf({ ...echostream, ROOT: '/x' }), '/x/var/log/echostream/echostream-managed-app.log');
  assert.equal(fileOf({ ...echostream, LOG_FILE: 'none' }), undefined);
});

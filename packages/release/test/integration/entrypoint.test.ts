/**
 * The executable ecs-entrypoint as the first process of containers without Node, with the Secrets Manager of ministack.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { AwsHost, docker, ENVIRONMENT } from '../support/aws-host.ts';

const HIDDEN = 'hunter2-hunter2';
const work = mkdtempSync(join(tmpdir(), 'entrypoint-'));
const executable = join(work, 'ecs-entrypoint');
let host: AwsHost;

/** Makes an image with the executable, the C and C++ libraries that Debian's images have, and a shell. */
function makeImage(): void {
  const root = join(work, 'root');
  const put = (from: string, to = from) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  };
  put(executable, '/usr/bin/ecs-entrypoint');
  put('/bin/busybox');
  for (const name of ['sh', 'echo', 'cat', 'grep', 'ls', 'sleep'])
    symlinkSync('busybox', join(root, 'bin', name));
  const libraries = execFileSync('ldd', [executable], { encoding: 'utf8' });
  for (const [, path] of libraries.matchAll(/(\/\S+\.so\S*)/g)) put(path as string);
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/app.ini.tpl'), `password = \${PASSWORD}\n`);
  const table = {
    programs: {
      shell: { command: ['sh', '-c'] },
      look: {
        command: [
          'grep',
          '-hE',
          '^(Sig(Ign|Blk)|flags)',
          ...['status', 'fdinfo/0', 'fdinfo/1'].map((name) => `/proc/self/${name}`),
        ],
      },
      file: { command: ['sh', '-c'], templates: [{ from: '/etc/app.ini.tpl', to: '/app.ini' }] },
    },
  };
  writeFileSync(join(root, 'etc/ecs-entrypoint.yaml'), JSON.stringify(table));
  execFileSync('tar', ['--create', '--file', join(work, 'image.tar'), '-C', root, '.']);
  const entry = `ENTRYPOINT ${JSON.stringify(['/usr/bin/ecs-entrypoint', '--'])}`;
  docker('import', '--change', entry, join(work, 'image.tar'), 'entry:1');
}

function words(script: string, type: string, more: Readonly<Record<string, string>>): string[] {
  const { AWS_ENDPOINT_URL = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = ENVIRONMENT;
  const aws = { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION: 'us-east-1' };
  const environment = {
    ...aws,
    AWS_EC2_METADATA_DISABLED: 'true',
    IDENTITY: 'app',
    application_type: type,
    ...more,
  };
  const settings = Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  return ['--network=host', ...settings, 'entry:1', script];
}

function run(script: string, type = 'shell', more: Readonly<Record<string, string>> = {}) {
  return spawnSync('docker', ['run', '--rm', ...words(script, type, more)], { encoding: 'utf8' });
}

before(async () => {
  execFileSync(process.execPath, [
    join(import.meta.dirname, '../../scripts/entrypoint-executable.ts'),
    executable,
  ]);
  host = await AwsHost.start();
  const secrets = await host.clients.secrets();
  await secrets.send(
    new CreateSecretCommand({ Name: 'app', SecretString: JSON.stringify({ PASSWORD: HIDDEN }) }),
  );
  await secrets.send(new CreateSecretCommand({ Name: 'text', SecretString: HIDDEN }));
  makeImage();
});

after(async () => {
  await host?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

test('the executable needs no C library newer than 2.28', () => {
  const needed = readFileSync(executable, 'latin1').matchAll(/GLIBC_2\.(\d+)/g);
  assert.equal(Math.max(...[...needed].map(([, minor]) => Number(minor))), 28);
});

test('the program is process 1, gets the secret, and sets the container’s exit code', () => {
  const { stdout, stderr, status } = run('echo "$$ $PASSWORD $IDENTITY"; exit 7');
  assert.equal(stderr, '');
  assert.equal(stdout, `1 ${HIDDEN} app\n`);
  assert.equal(status, 7);
});

test('the program inherits no changed signal, no descriptor and no other process', () => {
  // A shell changes the handling of signals itself.
  const lines = run('/proc/self/fdinfo/2', 'look').stdout.split('\n');
  const masks = lines.flatMap((line) => /^Sig\w+:\s+(\w+)$/.exec(line)?.[1] ?? []);
  // Signals 32 and 33 belong to the C library: it may ignore them, and no program can use them.
  const ofPrograms = masks.map((mask) => BigInt(`0x${mask}`) & ~(0b11n << 31n));
  assert.deepEqual(ofPrograms, [0n, 0n]);
  const flags = lines.flatMap((line) => /^flags:\s+(\d+)/.exec(line)?.[1] ?? []);
  assert.equal(flags.length, 3);
  for (const flag of flags)
    assert.equal(Number.parseInt(flag, 8) & 0o4000, 0, 'a descriptor is non-blocking');
  const { stdout } = run('ls /proc/1/fd; ls -d /proc/[0-9]*');
  assert.deepEqual(
    stdout.split('\n').filter((line) => /^[0-9]$|^.proc.1$/.test(line)),
    ['0', '1', '2', '/proc/1'],
  );
});

test('a signal to the container reaches the program', async () => {
  const id = docker(
    'run',
    '--detach',
    ...words('trap "echo stopped; exit 9" TERM; echo ready; while :; do sleep 0.1; done', 'shell', {}),
  ).trim();
  const { stdout } = spawn('docker', ['logs', '--follow', id], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(stdout, 'data');
  docker('stop', '--time', '20', id);
  assert.equal(docker('inspect', '--format', '{{.State.ExitCode}}', id).trim(), '9');
  assert.match(docker('logs', id), /stopped/);
});

test('a filled template contains the secret, and the environment does not', () => {
  const { stdout, status } = run('cat /app.ini; ls -l /app.ini; echo "<$PASSWORD>"', 'file');
  assert.match(stdout, new RegExp(`^password = ${HIDDEN}\n-rw------- .*\n<>\n$`));
  assert.equal(status, 0);
});

test('each failure has its own exit code and a message without the secret, and nothing starts', () => {
  const failures: readonly [Readonly<Record<string, string>>, number, RegExp][] = [
    [{ IDENTITY: 'gone' }, 72, /no secret gone in us-east-1/],
    [{ IDENTITY: 'text' }, 75, /the secret text is not JSON/],
    [{ application_type: 'portal' }, 67, /set it to one of shell, look, file/],
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:9' }, 79, /check that the task can reach it/],
  ];
  for (const [environment, code, message] of failures) {
    const { stdout, stderr, status } = run('echo started', 'shell', environment);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.ok(!stderr.includes(HIDDEN));
    assert.equal(status, code);
  }
});

test('a signal before the program starts ends the container at once', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const asked = once(silent, 'connection');
  const id = docker(
    'run',
    '--detach',
    ...words('echo started', 'shell', { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` }),
  ).trim();
  const [connection] = await asked;
  docker('kill', '--signal', 'TERM', id);
  assert.equal(docker('wait', id).trim(), '143');
  assert.doesNotMatch(docker('logs', id), /started/);
  connection.destroy();
  silent.close();
});

test('the same sources produce the same bytes', () => {
  const again = join(work, 'again');
  execFileSync(process.execPath, [
    join(import.meta.dirname, '../../scripts/entrypoint-executable.ts'),
    again,
  ]);
  chmodSync(again, 0o755);
  assert.ok(readFileSync(again).equals(readFileSync(executable)));
});

test('the release tool as one executable works in a container without Node', async () => {
  const tool = join(work, 'ecs-release');
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/release-executable.ts'), tool]);
  await host.makeCluster('shop');
  await host.makeService('shop', 'portal', await host.register('portal', 'entry:1'));
  const settings = Object.entries(ENVIRONMENT).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const place = ['--network=host', '--volume', `${tool}:/ecs-release:ro`, '--entrypoint', '/ecs-release'];
  const command = ['init', '--cluster', 'shop', '--region', 'us-east-1', '--dry-run'];
  const { stdout, stderr } = spawnSync(
    'docker',
    ['run', '--rm', ...place, ...settings, 'entry:1', ...command],
    {
      encoding: 'utf8',
    },
  );
  assert.match(stdout, /^services:\n {2}portal:/m, stderr);
});

/**
 * A stage with secrets of each kind, from the build to the rollback: no secret is in what the tool prints or records, in an
 * argument of Docker's command line, or in an image.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { ACCOUNT, AwsHost, docker, LASTING, pushImage, REGISTRY } from '../support/aws-host.ts';
import { run } from '../support/tool.ts';

/** Debian's, which needs no plugin for BuildKit. */
const DOCKER = '/usr/bin/docker';
const random = () => randomBytes(12).toString('hex');
const BUILD = { variable: random(), file: random() };
const KEYS = { DATABASE_PASSWORD: random(), API_KEY: random() };
const CREDENTIALS = { AWS_SECRET_ACCESS_KEY: random(), AWS_SESSION_TOKEN: random() };
const SECRETS = [BUILD, KEYS, CREDENTIALS].flatMap((one) => Object.entries(one));

const config = (arn: string) => `
application: shop
stages:
  live:
    account: '${ACCOUNT}'
    region: us-east-1
    cluster: shop
    record: s3://releases/shop
    tags: ['{commit}']
images:
  web:
    repository: web
    registry: '${REGISTRY}'
    context: .
    secrets: { variable: { env: BUILD_TOKEN }, file: { file: build-token } }
services:
  portal:
    service: portal
    containers: { app: { image: web, secrets: { from: '${arn}', keys: [DATABASE_PASSWORD, API_KEY] } } }
tasks:
  before: [{ name: migrate, family: portal, command: [/bin/sh, -c, 'echo migrated'] }]
release: { timeout: 2m, poll: 500ms }
`;
const dockerfile = (script: string) => `FROM ${REGISTRY}/web:base
RUN --mount=type=secret,id=variable --mount=type=secret,id=file \
  cat /run/secrets/variable /run/secrets/file | wc -c > /read
CMD ${JSON.stringify(['/bin/sh', '-c', script])}
`;

let aws: AwsHost;
let cwd: string;
/** Everything that the tool printed, by command. */
const printed: [string, string][] = [];

async function tool(commit: string, command: string, ...words: readonly string[]): Promise<number | null> {
  const env = {
    ...CREDENTIALS,
    BUILD_TOKEN: BUILD.variable,
    DOCKER_WORDS: join(cwd, 'docker-words'),
    DOCKER_CONFIG: join(cwd, 'docker-config'),
    PATH: `${cwd}/bin:${process.env.PATH}`,
  };
  const all = [command, '--stage', 'live', '--set', `commit=${commit}`, ...words];
  const { code, stdout, stderr } = await run(all, { cwd, env });
  printed.push([all.join(' '), stdout + stderr]);
  return code;
}

before(async () => {
  aws = await AwsHost.start();
  cwd = await mkdtemp(join(tmpdir(), 'release-secrets-'));
  const words = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$DOCKER_WORDS"\n';
  execFileSync('mkdir', [join(cwd, 'bin')]);
  await writeFile(join(cwd, 'bin/docker'), `${words}exec ${DOCKER} "$@"\n`, { mode: 0o755 });
  await writeFile(join(cwd, '.dockerignore'), '*\n');
  await writeFile(join(cwd, 'build-token'), BUILD.file);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  const { ARN = '' } = await (await aws.clients.secrets()).send(
    new CreateSecretCommand({ Name: 'shop', SecretString: JSON.stringify(KEYS) }),
  );
  await writeFile(join(cwd, 'ecs-release.yaml'), config(ARN));
  pushImage(`${REGISTRY}/web:base`, LASTING);
  await aws.makeService('shop', 'portal', await aws.register('portal', `${REGISTRY}/web:base`));
});
after(async () => await aws[Symbol.asyncDispose]());

/** Builds and pushes an image, and releases it. @returns the exit code of the deploy */
async function release(commit: string, script: string): Promise<number | null> {
  await writeFile(join(cwd, 'Dockerfile'), dockerfile(script));
  assert.equal(await tool(commit, 'build'), 0, printed.at(-1)?.[1]);
  assert.equal(await tool(commit, 'push'), 0, printed.at(-1)?.[1]);
  await tool(commit, 'plan');
  return await tool(commit, 'deploy');
}

async function records(): Promise<string[]> {
  const s3 = await aws.clients.s3();
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'releases' }));
  const bodies = Contents.map(async ({ Key }) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'releases', Key }));
    return (await Body?.transformToString()) ?? '';
  });
  return await Promise.all(bodies);
}

function assertNone(where: string, text: string | Buffer): void {
  for (const [name, secret] of SECRETS) assert.ok(!text.includes(secret), `${where} contains ${name}`);
}

test('no secret is in what the tool prints, records, gives Docker as an argument, or puts into an image', async () => {
  assert.equal(await release('good', `echo listening; ${LASTING}`), 0, printed.at(-1)?.[1]);
  assert.equal(await release('broken', 'echo no database; exit 7'), 3, printed.at(-1)?.[1]);
  const looks = ['verify', 'doctor', 'status', 'history', 'images', 'schedules', 'lock'];
  for (const look of looks) for (const words of [[], ['--json']]) await tool('good', look, ...words);
  for (const name of ['render', 'describe']) await tool('good', name, 'portal');
  await tool('good', 'run', 'migrate');
  await tool('good', 'logs', 'portal');
  await tool('good', 'rollback', '--dry-run');

  for (const [command, text] of printed) assertNone(`the output of "${command}"`, text);
  const kept = await records();
  assert.ok(kept.length > 0);
  for (const record of kept) assertNone('a record', record);
  const words = await readFile(join(cwd, 'docker-words'), 'utf8');
  assert.match(words, /--secret id=variable,env=BUILD_TOKEN/);
  assertNone("an argument of Docker's command line", words);
  for (const commit of ['good', 'broken']) {
    const image = `${REGISTRY}/web:${commit}`;
    const read = docker('run', '--rm', '--network', 'none', '--entrypoint', '/bin/cat', image, '/read');
    assert.equal(Number(read), BUILD.variable.length + BUILD.file.length);
    assertNone('the history of an image', docker('history', '--no-trunc', image));
    assertNone('an image', execFileSync('docker', ['save', image], { maxBuffer: 1 << 28 }));
  }
});

/** The main journey with real containers: a deploy, a broken release that is taken back, a rollback, and a kill. */

import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DisableRuleCommand, ListTargetsByRuleCommand } from '@aws-sdk/client-eventbridge';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { listTasks, readServices, readTaskDefinition } from '../../src/aws/task-reads.ts';
import { ACCOUNT, AwsHost, docker, LASTING, pushImage, REGISTRY } from '../support/aws-host.ts';
import { type Ran, run, start } from '../support/tool.ts';

const CONFIG = `
application: shop
stages:
  staging:
    account: '${ACCOUNT}'
    region: us-east-1
    cluster: shop
    record: s3://releases/shop
    tags: ['staging-{commit}']
images:
  web: { repository: web, registry: '${REGISTRY}' }
services:
  portal: { service: portal, gate: true, containers: { app: { image: web, environment: { GREETING: hello } } } }
  worker: { service: worker, containers: { app: { image: web } } }
scheduled:
  nightly: { families: 'job-*', count: 2, schedule: cron(0 8 * * ? *), containers: { app: { image: web } } }
tasks:
  before: [{ name: migrate, family: portal, command: [/bin/sh, -c, 'echo migrated'] }]
release: { timeout: 2m, poll: 500ms }
`;

const WHERE = ['--stage', 'staging', '--set', 'commit=one'];
let aws: AwsHost;
let cwd: string;

const tool = (commit: string, command: string, ...words: readonly string[]): Promise<Ran> =>
  run([command, '--stage', 'staging', '--set', `commit=${commit}`, ...words], { cwd });

before(async () => {
  aws = await AwsHost.start();
  cwd = await mkdtemp(join(tmpdir(), 'release-'));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  pushImage(`${REGISTRY}/web:staging-old`, LASTING);
  for (const name of ['portal', 'worker'])
    await aws.makeService('shop', name, await aws.register(name, `${REGISTRY}/web:staging-old`));
  await aws.makeRule('job-a', await aws.register('job-a', `${REGISTRY}/web:staging-old`));
});
after(async () => await aws[Symbol.asyncDispose]());

async function imageOf(service: string): Promise<string | undefined> {
  const ecs = await aws.clients.ecs();
  const [live] = await readServices(ecs, 'shop', [service]);
  const { definition, tags } = await readTaskDefinition(ecs, live?.taskDefinition ?? '');
  assert.deepEqual(tags, [{ key: 'team', value: 'shop' }]);
  return definition.containerDefinitions?.[0]?.image;
}

test('a deploy runs its task, rolls out services and schedules by digest, and is recorded', async () => {
  pushImage(`${REGISTRY}/web:staging-one`, `: one; ${LASTING}`);
  const planned = await tool('one', 'plan');
  assert.equal(planned.code, 0, planned.stderr);
  assert.match(planned.stdout, /service portal \(gate\): portal:1 → a new revision of portal/);
  assert.match(
    planned.stdout,
    /\n {4}app: image: \S+:staging-old → \S+@sha256:\w+\n {4}app: environment GREETING changes\n/,
  );
  const { code, stderr } = await tool('one', 'deploy');
  assert.equal(code, 0, stderr);
  const image = await imageOf('portal');
  assert.match(image ?? '', /^localhost:4566\/web@sha256:[0-9a-f]{64}$/);
  assert.equal(await imageOf('worker'), image);
  const { Targets } = await (await aws.clients.events()).send(
    new ListTargetsByRuleCommand({ Rule: 'job-a' }),
  );
  const { TaskDefinitionArn = '', TaskCount } = Targets?.[0]?.EcsParameters ?? {};
  assert.match(TaskDefinitionArn, /job-a:2$/);
  assert.equal(TaskCount, 2);
  const scheduled = await tool('one', 'schedules');
  assert.match(scheduled.stdout, /nightly +rule job-a +1 +job-a:2 +2 +cron\(0 8 \* \* \? \*\)\n/);
  const told = await tool('one', 'history');
  assert.match(told.stdout, /deploy +deployed .* one /);
  assert.match(docker('ps', '--no-trunc'), /: one;/);
});

test('a deploy of what the stage already runs does nothing', async () => {
  const { code, stderr } = await tool('one', 'deploy');
  assert.equal(code, 6, stderr);
  assert.match(stderr, /already runs all of it/);
});

test('a release whose containers exit is rolled back, prints the cause with the last lines, and exits with code 3', async () => {
  const image = await imageOf('portal');
  pushImage(`${REGISTRY}/web:staging-broken`, 'case "$GREETING" in hello) echo no database; exit 7;; esac');
  const { code, stderr } = await tool('broken', 'deploy', '--skip-tasks');
  assert.equal(code, 3, stderr);
  assert.match(stderr, /app exited with code 7/);
  assert.match(stderr, /The last lines of app:\n {2}no database/);
  assert.equal(await imageOf('portal'), image);
  assert.equal(await imageOf('worker'), image);
  const { stdout } = await tool('one', 'history', '--limit', '1', '--json');
  const [record] = JSON.parse(stdout);
  assert.equal(record.outcome, 'rolled back');
  assert.match(record.reason, /app exited with code 7/);
});

test('if a task before the services fails, the release ends before it changes any service', async () => {
  pushImage(`${REGISTRY}/web:staging-two`, `: two; ${LASTING}`);
  const path = join(cwd, 'failing.yaml');
  await writeFile(path, CONFIG.replace('echo migrated', 'echo no table; exit 4'));
  const { code, stderr } = await tool('two', 'deploy', '--config', path);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /the task migrate failed: .*app exited with code 4/);
  assert.doesNotMatch(stderr, /roll out/);
});

test('a deploy that is killed is rolled back by the next one, which first waits for its lock', async () => {
  const killed = start(['deploy', '--stage', 'staging', '--set', 'commit=two'], { cwd });
  await killed.says(/worker: roll out/);
  killed.kill('SIGKILL');
  await killed.ended;
  assert.match((await tool('two', 'lock')).stdout, /has the lock for .* ago/);
  const refused = await tool('two', 'deploy', '--lock-timeout', '0');
  assert.equal(refused.code, 5, refused.stderr);
  assert.match(refused.stderr, /last sign of life .* ago/);
  const unlocked = await tool('two', 'unlock', '--now');
  assert.match(unlocked.stdout, /The next release first rolls back/);
  const next = await tool('two', 'deploy');
  assert.equal(next.code, 0, next.stderr);
  assert.match(next.stderr, /did not end; rolling it back first/);
  const { stdout } = await tool('two', 'history', '--limit', '2', '--json');
  const outcomes = JSON.parse(stdout).map((one: { outcome: string }) => one.outcome);
  assert.deepEqual(outcomes, ['deployed', 'rolled back']);
});

test('of two concurrent deploys, one runs and the other waits for it', async () => {
  pushImage(`${REGISTRY}/web:staging-three`, `: three; ${LASTING}`);
  pushImage(`${REGISTRY}/web:staging-four`, `: four; ${LASTING}`);
  const first = start(['deploy', '--stage', 'staging', '--set', 'commit=three'], { cwd });
  await first.says(/roll out/);
  // The first one cannot end before the second one waits.
  first.kill('SIGSTOP');
  const second = start(['deploy', '--stage', 'staging', '--set', 'commit=four'], { cwd });
  await second.says(/waiting for .*, which has the lock/).finally(() => first.kill('SIGCONT'));
  assert.equal((await first.ended).code, 0);
  const { code, stderr } = await second.ended;
  assert.equal(code, 0, stderr);
  assert.match(docker('ps', '--no-trunc'), /: four;/);
});

test('a rollback returns to the previous release, and a second one goes back one more', async () => {
  for (const [words, expected] of [
    [[], /: three;/],
    [[], /: two;/],
  ] as const) {
    const { code, stderr } = await tool('four', 'rollback', ...words);
    assert.equal(code, 0, stderr);
    assert.match(docker('ps', '--no-trunc'), expected);
  }
});

test('setting a variable in all task definitions is a release of its own, and so is scaling a service', async () => {
  const set = await tool('two', 'set', 'LEVEL=debug', '--only', 'worker');
  assert.equal(set.code, 0, set.stderr);
  const scaled = await tool('two', 'scale', 'worker', '2');
  assert.equal(scaled.code, 0, scaled.stderr);
  const [worker] = await readServices(await aws.clients.ecs(), 'shop', ['worker']);
  assert.equal(worker?.running, 2);
  const { definition } = await readTaskDefinition(await aws.clients.ecs(), worker?.taskDefinition ?? '');
  assert.deepEqual(definition.containerDefinitions?.[0]?.environment, [{ name: 'LEVEL', value: 'debug' }]);
  const back = await tool('two', 'rollback');
  assert.equal(back.code, 0, back.stderr);
});

test('run starts a configured task once, prints its lines, returns its exit code, and accepts another command', async () => {
  const dry = await tool('two', 'run', 'migrate', '--dry-run');
  assert.match(dry.stdout, /would run portal:\d+: app with \/bin\/sh -c echo migrated/);
  const first = await tool('two', 'run', 'migrate');
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^app\/[0-9a-f]{8} \| migrated\n$/);
  const other = await tool('two', 'run', 'migrate', '--json', '--', '/bin/sh', '-c', 'echo other; exit 9');
  assert.equal(other.code, 9, other.stderr);
  const [line, ended] = other.stdout
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one));
  assert.deepEqual([line.message, ended.container, ended.exitCode], ['other', 'app', 9]);
  const logs = await tool('two', 'logs', '--task', ended.arn.replace(/^.*\//, ''));
  assert.match(logs.stdout, /^app\/[0-9a-f]{8} \| other\n$/);
});

test('Ctrl-C stops the task that run started', async () => {
  const command = ['run', 'migrate', '--stage', 'staging', '--set', 'commit=two', '--json', '--'];
  const running = start([...command, '/bin/sh', '-c', 'echo ready; sleep 3600'], { cwd });
  await running.prints(/ready/);
  running.kill('SIGINT');
  assert.equal((await running.ended).code, 130);
  const stopped = await listTasks(await aws.clients.ecs(), 'shop', {
    startedBy: 'ecs-release',
    desiredStatus: 'STOPPED',
  });
  assert.ok(stopped.some(({ stoppedReason }) => /ecs-release was interrupted/.test(stoppedReason)));
});

test('images are built, pushed with all tags, listed, tagged and untagged', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'release-build-'));
  await writeFile(
    join(directory, 'Dockerfile'),
    'FROM scratch\nARG KIND\nLABEL kind=$KIND\nCOPY file /file\n',
  );
  await writeFile(join(directory, 'file'), 'text');
  const path = join(directory, 'ecs-release.yaml');
  const image = `{ repository: web, registry: '${REGISTRY}', context: '${directory}', arguments: { KIND: '{stage}' } }`;
  const source = CONFIG.replace(/web: \{.*/, `web: ${image}`).replace(
    "['staging-{commit}']",
    "['staging-{commit}', moving]",
  );
  await writeFile(path, source);
  for (const command of ['build', 'push']) {
    const { code, stderr } = await tool('built', command, '--config', path);
    assert.equal(code, 0, stderr);
  }
  const list = async () => (await tool('built', 'images', 'list', 'web', '--config', path)).stdout;
  assert.match(await list(), /(staging-built moving|moving staging-built) +sha256:/);
  const change = async (...words: readonly string[]) =>
    await tool('built', 'images', ...words, '--config', path);
  assert.equal((await change('tag', 'web', 'staging-built', 'stable')).code, 0);
  assert.match(await list(), /staging-built.* stable|stable.* staging-built/);
  const last = await change('untag', 'web', 'staging-one');
  assert.equal(last.code, 2);
  assert.match(last.stderr, /staging-one is the last tag of sha256:.*ECR deletes an image with its last tag/);
  assert.equal((await change('untag', 'web', 'stable')).code, 0);
  assert.doesNotMatch(await list(), /stable/);
  assert.equal((await change('tag', 'web', 'staging-two', 'stable')).code, 0);
  const watched = start(['images', 'watch', 'web', 'stable', '--poll', '200ms', '--json', ...WHERE], { cwd });
  await watched.says(/stable is sha256:/);
  const back = await change('back', 'web', 'stable');
  assert.match(back.stdout, /web:stable is now sha256:\w+; it was sha256:\w+/, back.stderr);
  const seen = await watched.ended;
  assert.equal(seen.code, 0, seen.stderr);
  const { before: from, digest } = JSON.parse(seen.stdout);
  assert.notEqual(from, digest);
  assert.match((await change('manifest', 'web', digest)).stdout, /"schemaVersion": ?2/);
});

test('verify checks everything that a release depends on by name, and finds a placeholder in a secret', async () => {
  const secrets = await aws.clients.secrets();
  const SecretString = JSON.stringify({ PASSWORD: 'CHANGE_ME', KEY: 'the value of the key' });
  const { ARN } = await secrets.send(new CreateSecretCommand({ Name: 'shop', SecretString }));
  await secrets.send(new CreateSecretCommand({ Name: 'identity', SecretString: '{"HOST":"x","PROXY":""}' }));
  const path = join(cwd, 'secret.yaml');
  const withSecret = `app: { image: web, environment: { IDENTITY: identity }, secrets: { from: '${ARN}', keys: [PASSWORD, KEY, ABSENT] } } }`;
  await writeFile(path, CONFIG.replace('app: { image: web } } }', `${withSecret} }`));
  await (await aws.clients.events()).send(new DisableRuleCommand({ Name: 'job-a' }));
  const { code, stdout } = await tool('one', 'verify', '--config', path);
  assert.equal(code, 1, stdout);
  for (const found of [
    /✓ account 000000000000, as arn:aws:/,
    /✓ record s3:\/\/releases\/shop/,
    /✓ repository web/,
    /✓ image localhost:4566\/web@sha256:[0-9a-f]{64} \(linux\/amd64\)/,
    /! secret identity: the keys PROXY are empty/,
    /! rule job-a, target 1: it is disabled/,
    /✗ role events: it does not exist/,
    /rights/,
  ])
    assert.match(stdout, found);
  assert.match(
    stdout,
    /✗ secret shop.*: the key PASSWORD is empty, or a placeholder; the key ABSENT is missing/,
  );
  assert.doesNotMatch(stdout, /the value of the key/);
  assert.match(stdout, /✓ images/);
});

test('the tool refuses credentials of another account', async () => {
  const env = { AWS_ACCESS_KEY_ID: '111111111111' };
  const { code, stderr } = await run(['status', '--stage', 'staging'], { cwd, env });
  assert.equal(code, 2);
  assert.match(stderr, /The credentials are of account 111111111111/);
});

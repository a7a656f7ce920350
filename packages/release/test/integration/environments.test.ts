/** Configurations and environments that are derived from existing services. No task really runs. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readServices, readTaskDefinition } from '../../src/aws/task-reads.ts';
import { systemClock } from '../../src/clock.ts';
import { DirectoryStore } from '../../src/record/directory-store.ts';
import { Ledger } from '../../src/record/ledger.ts';
import { ACCOUNT, AwsHost, REGISTRY } from '../support/aws-host.ts';
import { JsonAws } from '../support/json-aws.ts';
import { run } from '../support/tool.ts';

const CONFIG = `
application: shop
stages:
  staging:
    account: '${ACCOUNT}'
    region: us-east-1
    cluster: shop
    record: record
    tags: ['staging-{commit}']
  pr:
    account: '${ACCOUNT}'
    region: us-east-1
    cluster: shop
    record: record
    tags: ['staging-{commit}']
    copyOf: { stage: staging }
    variables: { portal: 'portal-pr-{pr}' }
variables: { portal: portal }
images: { web: { repository: web, registry: '${REGISTRY}' } }
services: { portal: { service: '{portal}', containers: { app: { image: web, environment: { STAGE: '{stage}' } } } } }
scheduled: { nightly: { families: 'job-*', containers: { app: { image: web } } } }
release: { timeout: 1m, poll: 200ms }
`;

let aws: AwsHost;
let cwd: string;

before(async () => {
  aws = await AwsHost.start(false);
  cwd = await mkdtemp(join(tmpdir(), 'release-environments-'));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  await aws.putImage('web', 'staging-four');
  for (const name of ['portal', 'worker'])
    await aws.makeService('shop', name, await aws.register(name, `${REGISTRY}/web:old`));
  await aws.makeRule('job-a', await aws.register('job-a', `${REGISTRY}/web:old`));
});
after(async () => await aws[Symbol.asyncDispose]());

test('init writes a configuration of the cluster that matches what runs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'release-init-'));
  await aws.makeRule('foreign', await aws.register('foreign', 'web:old'), 'another');
  // Ministack has no automatic scaling.
  await using scaling = await JsonAws.start();
  scaling.actions = {
    DescribeScalableTargets: () => ({ ScalableTargets: [{ ResourceId: 'service/shop/worker' }] }),
  };
  const AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING = scaling.settings.endpoint;
  const how = { cwd: directory, env: { AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING } };
  const made = await run(['init', '--cluster', 'shop', '--region', 'us-east-1', '--stage', 'staging'], how);
  assert.equal(made.code, 0, made.stderr);
  const written = await readFile(join(directory, 'ecs-release.yaml'), 'utf8');
  assert.match(written, /portal:\n {4}service: portal/);
  assert.match(written, /families: job-a/);
  assert.match(written, /service: worker\n {4}suspendAutoScaling: true/);
  assert.doesNotMatch(written, /foreign/);
  const again = await run(['init', '--cluster', 'shop', '--region', 'us-east-1'], how);
  assert.equal(again.code, 2);
  const { code, stderr } = await run(['plan', '--stage', 'staging', '--set', 'commit=four'], how);
  assert.ok(code === 0 || code === 6, stderr);
});

/** Leaves a release behind like a process that dies in the middle of it. */
async function leaveUnfinished(id: string): Promise<void> {
  const ledger = new Ledger(new DirectoryStore(join(cwd, 'record')), systemClock, 'shop', 'pr');
  const held = await ledger.lock({ release: id, owner: 'somebody', patience: 0, onWait: () => {} });
  const [last] = await ledger.history(1);
  assert.ok(last);
  const { endedAt: _, ...open } = last;
  await ledger.keep({ ...open, id, outcome: 'running', isSettled: false });
  await held.abandon();
}

test('an environment is made from another stage, deployed with its own images, and removed', async () => {
  const how = ['--stage', 'pr', '--set', 'pr=12', '--set', 'commit=four'];
  const early = await run(['deploy', ...how], { cwd });
  assert.equal(early.code, 2, early.stderr);
  assert.match(early.stderr, /create the service first with "ecs-release environment up"/);
  const ecs = await aws.clients.ecs();
  assert.equal((await run(['lock', '--hold', 'frozen', ...how], { cwd })).code, 0);
  const held = await run(['environment', 'up', '--lock-timeout', '0', ...how], { cwd });
  assert.match(held.stderr, /frozen/);
  assert.deepEqual(await readServices(ecs, 'shop', ['portal-pr-12']), [], 'a locked stage gets no services');
  assert.equal((await run(['unlock', ...how], { cwd })).code, 0);
  const up = await run(['environment', 'up', ...how], { cwd });
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stderr, /make the service portal-pr-12 from portal\n/);
  const [copy] = await readServices(ecs, 'shop', ['portal-pr-12']);
  assert.deepEqual([copy?.running, copy?.taskDefinition.replace(/^.*\//, '')], [1, 'portal-pr-12:1']);
  const { definition } = await readTaskDefinition(ecs, 'portal-pr-12');
  const [app] = definition.containerDefinitions ?? [];
  assert.match(app?.image ?? '', /@sha256:/);
  assert.deepEqual(app?.environment, [{ name: 'STAGE', value: 'pr' }]);
  const listed = await run(['environment', 'list', ...how], { cwd });
  assert.match(listed.stdout, /portal-pr-12 +staging +1\/1/);
  await leaveUnfinished('0-unfinished');
  const down = await run(['environment', 'down', ...how], { cwd });
  assert.equal(down.code, 0, down.stderr);
  assert.match((await run(['environment', 'list', ...how], { cwd })).stdout, /MADE\n$/);
  const [original] = await readServices(ecs, 'shop', ['portal']);
  assert.deepEqual([original?.status, original?.taskDefinition.replace(/^.*\//, '')], ['ACTIVE', 'portal:1']);
  const status = JSON.parse((await run(['status', ...how, '--json'], { cwd })).stdout);
  assert.deepEqual([status.current, status.inFlight, status.lock], [undefined, undefined, undefined]);
  const records = JSON.parse((await run(['history', ...how, '--json'], { cwd })).stdout);
  assert.deepEqual(
    records.map((one: { outcome: string; reason?: string }) => [one.outcome, one.reason]),
    [
      ['deployed', undefined],
      ['rolled back', 'the environment was removed'],
    ],
  );
});

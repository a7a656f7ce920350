/** With --dry-run, every command only looks; with --json, every result is JSON. */

import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inParts } from '../../src/aws/task-reads.ts';
import { ROWS } from '../../src/cli/rows.ts';
import { ACCOUNT, AwsHost, ENVIRONMENT, REGISTRY } from '../support/aws-host.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type Ran, run } from '../support/tool.ts';

const STAGE = `account: '${ACCOUNT}', region: us-east-1, cluster: shop, record: s3://releases/shop, tags: ['{commit}']`;
const CONFIG = `
application: shop
variables: { portal: portal }
stages:
  live: { ${STAGE} }
  copy: { ${STAGE}, copyOf: { stage: live }, variables: { portal: portal-copy } }
images: { web: { repository: web, registry: '${REGISTRY}', remote: { project: images } } }
services: { portal: { service: '{portal}', containers: { app: { image: web } } } }
scheduled: { nightly: { families: 'job-*', containers: { app: { image: web } } } }
tasks: { before: [{ name: migrate, family: portal }] }
release: { poll: 100ms }
`;

const CHANGING: Readonly<Record<string, readonly (readonly string[])[]>> = {
  deploy: [[]],
  rollback: [[]],
  scale: [['portal', '2']],
  set: [['LEVEL=debug']],
  exec: [['--service', 'portal', '--', 'ls']],
  forward: [['80', '--service', 'portal']],
  run: [['migrate']],
  lock: [[], ['--hold', 'a reason']],
  unlock: [['--forget']],
  environment: [['up'], ['down']],
  login: [[]],
  build: [[], ['--local', '--no-cache']],
  push: [[], ['--local']],
  images: [
    ['tag', 'web', 'one', 'stable'],
    ['untag', 'web', 'two'],
    ['back', 'web', 'two'],
  ],
  init: [['--cluster', 'shop', '--region', 'us-east-1']],
};
/** `logs` prints a line of JSON for each line of a log. */
const READING: Readonly<Record<string, readonly string[]>> = {
  ...{ plan: [], status: [], history: [], wait: [], schedules: [], tasks: [], verify: [] },
  ...{ doctor: [], render: ['portal'], describe: ['portal'] },
};
const CHANGES =
  /^(Create|Delete|Put|Register|Deregister|Update|Run|Stop|Start|Execute|BatchDelete|PUT|DELETE)/;

let aws: AwsHost;
let proxy: FaultProxy;
let cwd: string;

const tool = async (stage: string, command: string, ...words: readonly string[]) =>
  await run([command, ...(command === 'init' ? [] : ['--stage', stage, '--set', 'commit=two']), ...words], {
    cwd,
    env: { AWS_ENDPOINT_URL: proxy.url },
  });

before(async () => {
  aws = await AwsHost.start(false);
  proxy = await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? '');
  cwd = await mkdtemp(join(tmpdir(), 'release-dry-'));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  for (const tag of ['one', 'two']) await aws.putImage('web', tag);
  await aws.makeService('shop', 'portal', await aws.register('portal', `${REGISTRY}/web:old`));
  await aws.makeRule('job-a', await aws.register('job-a', `${REGISTRY}/web:old`));
  const agents = [{ name: 'ExecuteCommandAgent', lastStatus: 'RUNNING' }];
  const reachable = { enableExecuteCommand: true, containers: [{ name: 'app', managedAgents: agents }] };
  const changed = (all: unknown, make: (one: object, i: number) => object) =>
    (all as readonly object[]).map((one, i) => ({ ...one, ...make(one, i) }));
  proxy.reshape = (action, answer) => {
    if (action === 'DescribeTasks') return { ...answer, tasks: changed(answer.tasks, () => reachable) };
    // ministack may have taken all images within one second.
    if (action !== 'DescribeImages') return answer;
    return { ...answer, imageDetails: changed(answer.imageDetails, (_, i) => ({ imagePushedAt: i })) };
  };
  const { code, stderr } = await tool('live', 'deploy', '--skip-tasks');
  assert.equal(code, 0, stderr);
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
});

/** Several processes at once, because each takes long to start. */
const AT_ONCE = 3;

interface Command {
  readonly command: string;
  readonly words: readonly string[];
}

/** Runs commands, and asserts that none of them has changed anything in AWS. */
async function look(all: readonly Command[], made: (ran: Ran, command: Command) => void): Promise<void> {
  proxy.calls.clear();
  for (const some of inParts(all, AT_ONCE))
    await Promise.all(
      some.map(async (one) => {
        const stage = one.command === 'environment' ? 'copy' : 'live';
        const ran = await tool(stage, one.command, '--json', ...one.words);
        const what = `${one.command} ${one.words.join(' ')}: ${ran.stderr}`;
        assert.match(ran.stdout, /^[[{]/, what);
        JSON.parse(ran.stdout);
        made(ran, one);
      }),
    );
  const changes = [...proxy.calls.keys()].filter((action) => CHANGES.test(action));
  assert.deepEqual(changes, []);
}

test('with --dry-run no command changes anything in AWS, and its result is JSON on request', async () => {
  const dry = ROWS.filter(({ options = [] }) => options.some(({ flags }) => flags === '--dry-run'));
  assert.deepEqual(Object.keys(CHANGING).toSorted(), dry.map(({ name }) => name).toSorted());
  const all = Object.entries(CHANGING).flatMap(([command, some]) =>
    some.map((words) => ({ command, words: ['--dry-run', ...words] })),
  );
  await look(all, ({ code, stderr }, { command, words }) => {
    assert.ok(code === 0 || code === 6, `${command} ${words.join(' ')}: ${stderr}`);
    for (const line of stderr.split('\n').filter(Boolean)) assert.ok(JSON.parse(line).text, command);
    if (words.includes('--no-cache')) assert.match(stderr, /docker build --no-cache --tag /);
  });
});

test('every command that reads prints its result as JSON on request', async () => {
  const rest = ROWS.map(({ name }) => name).filter((name) => !(name in CHANGING) && name !== 'logs');
  assert.deepEqual(Object.keys(READING).toSorted(), rest.toSorted());
  await look(
    Object.entries(READING).map(([command, words]) => ({ command, words })),
    () => {},
  );
});

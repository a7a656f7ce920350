/** Commands that show a stage, or reach into its tasks, as a user runs them; without containers. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { ECSClient, UpdateServiceCommand } from '@aws-sdk/client-ecs';
import { ACCOUNT, AwsHost, ENVIRONMENT, REGISTRY } from '../support/aws-host.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { Rollouts } from '../support/rollouts.ts';
import { portProgram, terminalProgram } from '../support/session-agent.ts';
import { SessionService } from '../support/session-service.ts';
import { run, start } from '../support/tool.ts';

const CONFIG = `
application: shop
stages: { live: { account: '${ACCOUNT}', region: us-east-1, cluster: shop, record: s3://releases/shop, tags: ['{commit}'] } }
images: { web: { repository: web, registry: '${REGISTRY}' } }
services: { portal: { service: portal, containers: { app: { image: web, environment: { COLOUR: blue } } } } }
tasks: { before: [{ name: migrate, family: portal, command: [migrate] }] }
release: { poll: 100ms }
`;

type Json = Readonly<Record<string, unknown>>;

let aws: AwsHost;
let proxy: FaultProxy;
let cwd: string;
let digest: string;

const stage = ['--stage', 'live', '--set', 'commit=one'];
const tool = async (env: Record<string, string>, ...words: readonly string[]) =>
  await run([...words.slice(0, 1), ...stage, ...words.slice(1)], {
    cwd,
    env: { AWS_ENDPOINT_URL: proxy.url, ...env },
  });

before(async () => {
  aws = await AwsHost.start(false);
  proxy = await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? '');
  cwd = await mkdtemp(join(tmpdir(), 'release-commands-'));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  digest = await aws.putImage('web', 'one');
  await aws.makeService('shop', 'portal', await aws.register('portal', `${REGISTRY}/web:old`));
});
beforeEach(() => {
  proxy.reshape = (_, answer) => answer;
  proxy.instead = async () => undefined;
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
});

/** Begins a rollout that this tool has not started. */
async function rollOut(rollouts: Rollouts): Promise<void> {
  proxy.reshape = (action, answer) => rollouts.reshape(action, answer);
  assert.equal((await tool({}, 'status')).code, 0);
  const ecs = new ECSClient({ endpoint: proxy.url });
  const taskDefinition = await aws.register('portal', `${REGISTRY}/web:newer`);
  await ecs.send(new UpdateServiceCommand({ cluster: 'shop', service: 'portal', taskDefinition }));
  ecs.destroy();
}

test('wait returns when the new tasks of a rollout are stable and the old ones are gone', async () => {
  const rollouts = new Rollouts();
  await rollOut(rollouts);
  const { code, stdout, stderr } = await tool({}, 'wait');
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'All services are stable.\n');
  rollouts.note('the end');
  assert.deepEqual(rollouts.notes.get('the end')?.gone, ['portal']);
});

test('wait fails after its timeout, and names the services that are not stable', async () => {
  await rollOut(new Rollouts(3_600_000));
  const { code, stderr } = await tool({}, 'wait', '--timeout', '1s');
  assert.equal(code, 1, stderr);
  assert.match(stderr, /portal did not become stable in the time .* --timeout for "wait"/);
});

test('render prints the task definition that a release would use, and describe the one in ECS', async () => {
  const shown = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await tool({}, ...words);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const [rendered, described] = [await shown('render', 'portal'), await shown('describe', 'portal')];
  const [app] = rendered.containerDefinitions;
  assert.equal(app.image, `${REGISTRY}/web@${digest}`);
  assert.deepEqual(app.environment, [{ name: 'COLOUR', value: 'blue' }]);
  assert.equal(rendered.revision, undefined);
  assert.match(described.containerDefinitions[0].image, /web:newer$/);
  assert.deepEqual(described.tags, [{ key: 'team', value: 'shop' }]);
  assert.ok(described.revision > 1);
  const unknown = await tool({}, 'render', 'nothing');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /It has: portal, migrate/);
});

test('doctor prints what is wrong with a stage, with causes, and exits with code 1', async () => {
  const message =
    '(service portal) was unable to place a task because no container instance met all of its requirements.';
  proxy.reshape = (action, answer) => {
    if (action === 'DescribeServices')
      return {
        ...answer,
        services: changed(answer.services, { events: [{ id: '1', createdAt: 1, message }] }),
      };
    if (action === 'DescribeRepositories')
      return { ...answer, repositories: changed(answer.repositories, { imageTagMutability: 'IMMUTABLE' }) };
    return answer;
  };
  proxy.instead = async (action, { desiredStatus }) => {
    if (action === 'ListTasks' && desiredStatus === 'STOPPED')
      return { taskArns: ['arn:aws:ecs:r:1:task/shop/1'] };
    if (action === 'DescribeTasks') return { tasks: [STOPPED] };
    return undefined;
  };
  const path = join(cwd, 'moving.yaml');
  await writeFile(path, CONFIG.replace("tags: ['{commit}']", 'tags: [stable]'));
  const { code, stdout, stderr } = await tool({}, 'doctor', '--config', path);
  assert.equal(code, 1, stderr);
  for (const found of [
    /✗ portal: a task stopped: .*app exited with code 137.*\n {4}- .*raise "memory"/,
    /✗ portal: \(service portal\) was unable to place a task because no container instance met/,
    /✗ repository web: its tags are immutable, so a second push of stable is refused/,
    /✗ image web: .*stable/,
  ])
    assert.match(stdout, found);
  assert.doesNotMatch(stdout, /✓/);
});

const STOPPED = {
  ...{ taskArn: 'arn:aws:ecs:r:1:task/shop/1', lastStatus: 'STOPPED', startedBy: 'ecs-svc/1', createdAt: 1 },
  ...{ stopCode: 'EssentialContainerExited', stoppedReason: 'Essential container in task exited' },
  containers: [
    { name: 'app', exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' },
  ],
};

const changed = (all: unknown, by: Json) => (all as readonly Json[]).map((one) => ({ ...one, ...by }));

/** Tasks that ECS Exec can reach: a program of this machine stands for one in a container. */
async function reachable(): Promise<SessionService> {
  const sessions = await SessionService.start();
  const containers = [
    {
      name: 'app',
      runtimeId: '1-2',
      managedAgents: [{ name: 'ExecuteCommandAgent', lastStatus: 'RUNNING' }],
    },
  ];
  proxy.reshape = (action, answer) =>
    action === 'DescribeTasks'
      ? { ...answer, tasks: changed(answer.tasks, { enableExecuteCommand: true, containers }) }
      : answer;
  proxy.instead = async (action, request) =>
    action === 'ExecuteCommand' ? { ...sessions.answer(action, request) } : undefined;
  return sessions;
}

test('exec runs a command in a task of the service and exits with its code', async () => {
  await using sessions = await reachable();
  sessions.agent = ({ command }) => ({
    sessionType: 'InteractiveCommands',
    start: terminalProgram(String(command)),
  });
  const env = { AWS_ENDPOINT_URL_SSM: sessions.url };
  const { code, stdout, stderr } = await tool(env, 'exec', '--service', 'portal', '--', 'echo hello; exit 3');
  assert.equal(code, 3, stderr);
  assert.equal(stdout, 'hello\n');
});

test('forward connects a local port to a task of the service until Ctrl-C', async () => {
  await using sessions = await reachable();
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as { port: number };
  sessions.agent = () => ({ sessionType: 'Port', start: portProgram(port) });
  const env = { AWS_ENDPOINT_URL: proxy.url, AWS_ENDPOINT_URL_SSM: sessions.url };
  const forwarding = start(['forward', String(port), ...stage, '--service', 'portal', '--json'], {
    cwd,
    env,
  });
  await forwarding.prints(/\n}\n/);
  const told = JSON.parse(forwarding.stdout);
  const socket = connect(told.local.port, told.local.host);
  socket.write('hello');
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  forwarding.kill('SIGINT');
  await once(socket, 'close');
  assert.equal((await forwarding.ended).code, 0);
  echo.close();
});

test('a running deploy that unlock stops gives the lock up before unlock returns, and is then rolled back', async () => {
  const rollouts = new Rollouts(3_600_000);
  proxy.reshape = (action, answer) => rollouts.reshape(action, answer);
  const env = { AWS_ENDPOINT_URL: proxy.url };
  const deploying = start(['deploy', ...stage, '--skip-tasks'], { cwd, env });
  await deploying.says(/portal: roll out/);
  const unlocked = await tool({}, 'unlock');
  assert.equal(unlocked.code, 0, unlocked.stderr);
  assert.match(unlocked.stderr, /waiting until .* gives the lock up/);
  assert.match(unlocked.stdout, /The lock of .* was removed\. The next release first rolls back .*\./);
  const { code, stderr } = await deploying.ended;
  assert.equal(code, 5, stderr);
  assert.match(stderr, /stopped by "ecs-release unlock"/);
  proxy.reshape = (_, answer) => answer;
  const next = await tool({}, 'deploy', '--skip-tasks');
  assert.equal(next.code, 0, next.stderr);
  assert.match(next.stderr, /did not end; rolling it back first/);
});

test('under a moving tag, a forced deploy replaces the tasks, and the history has the digests', async () => {
  const path = join(cwd, 'moving-tag.yaml');
  const image = 'web: { repository: web, tag: moving, pin: false,';
  await writeFile(
    path,
    CONFIG.replace('web: { repository: web,', image).replace('application: shop', 'application: moving'),
  );
  const withPath = async (...words: readonly string[]) => await tool({}, ...words, '--config', path);
  const updates: Json[] = [];
  proxy.instead = async (action, request) => void (action === 'UpdateService' && updates.push(request));
  const digests = [await aws.putImage('web', 'moving'), await aws.putImage('web', 'newer')];
  const first = await withPath('deploy', '--skip-tasks');
  assert.equal(first.code, 0, first.stderr);
  const again = await withPath('deploy', '--skip-tasks');
  assert.equal(again.code, 6, again.stderr);
  assert.equal((await withPath('images', 'tag', 'web', 'newer', 'moving')).code, 0);
  const forced = await withPath('deploy', '--skip-tasks', '--force', 'portal');
  assert.equal(forced.code, 0, forced.stderr);
  const [begun, replaced] = updates;
  assert.deepEqual([begun?.forceNewDeployment, replaced?.forceNewDeployment], [false, true]);
  assert.equal(replaced?.taskDefinition, begun?.taskDefinition);
  const described = JSON.parse((await withPath('describe', 'portal')).stdout);
  assert.equal(described.containerDefinitions[0].image, `${REGISTRY}/web:moving`);
  const records = JSON.parse((await withPath('history', '--json')).stdout);
  const seen = records.map((one: { images: { web: { digest: string } } }) => one.images.web.digest);
  assert.deepEqual(seen, digests.toReversed());
  const [{ by, commit, startedAt, endedAt, outcome }] = records;
  assert.match(by, /^arn:aws:/);
  assert.deepEqual([commit, outcome, startedAt <= endedAt], ['one', 'deployed', true]);
  // The age of the release, and how long it took.
  assert.match((await withPath('history')).stdout, /deploy +deployed +\d+ s +\d+ s +one +arn:aws:/);
});

test('login gives Docker the password of the registry on its standard input', async () => {
  const bin = await mkdtemp(join(tmpdir(), 'docker-'));
  const [words, input] = [join(bin, 'words'), join(bin, 'input')];
  const script = `#!/bin/sh\necho "$*" >> ${words}\ncat >> ${input}\n`;
  await writeFile(join(bin, 'docker'), script, { mode: 0o755 });
  const { code, stdout, stderr } = await tool({ PATH: `${bin}:${process.env.PATH}` }, 'login');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Docker is logged in to localhost:4566 as arn:aws:/);
  assert.equal(await readFile(words, 'utf8'), `login --username AWS --password-stdin ${REGISTRY}\n`);
  assert.notEqual(await readFile(input, 'utf8'), '');
});

test('build starts a build in CodeBuild with its overrides, and prints the digest that it has pushed', async () => {
  const path = join(cwd, 'remote.yaml');
  const remote = `registry: '${REGISTRY}', remote: { project: images } }`;
  await writeFile(path, CONFIG.replace(`registry: '${REGISTRY}' }`, remote));
  const builds: Json[] = [];
  proxy.instead = async (action, request) => {
    if (action === 'StartBuild') builds.push(request);
    if (action === 'StartBuild') return { build: { id: 'images:1' } };
    const ended = { id: 'images:1', currentPhase: 'COMPLETED', buildStatus: 'SUCCEEDED' };
    return action === 'BatchGetBuilds' ? { builds: [ended] } : undefined;
  };
  const overrides = ['--source', 'main', '--override', 'BUILD_PATH=deploy'];
  const { code, stdout, stderr } = await tool({}, 'build', '--config', path, ...overrides, '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { web: { build: 'images:1', digest } });
  const [{ projectName, sourceVersion, environmentVariablesOverride } = {} as Json] = builds;
  assert.deepEqual([projectName, sourceVersion], ['images', 'main']);
  const variables = environmentVariablesOverride as readonly { name: string; value: string }[];
  assert.deepEqual(
    variables.map(({ name, value }) => `${name}=${value}`),
    ['IMAGE_REPO_NAME=web', 'IMAGE_TAG=one', 'BUILD_PATH=deploy'],
  );
});

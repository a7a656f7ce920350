/**
 * Managed nodes, shown: two of them from a registry of the demo's own, an edit, a bad image that is rolled back with its
 * reason, a restart of the service that no node notices, and a stranger that is left alone. At last, a table of all steps.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { align } from '../src/align.ts';
import { Operator } from '../test/support/operator.ts';
import { Registry } from '../test/support/registry.ts';
import { ServiceProcess } from '../test/support/service-process.ts';
import { demonstrate } from './demonstrate.ts';
import { say } from './say.ts';

const RUNS = 'trap "exit 0" TERM; echo serving; while :; do /bin/busybox sleep 1; done';
const FILE = join(mkdtempSync(join(tmpdir(), 'ecs-host-service-nodes-')), 'nodes.yaml');
const SETTINGS = { INTERACTIVE: 'off', NODES_FEED: 'file', NODES_FILE: FILE };
const PROGRAM = join(import.meta.dirname, '../src/ecs-host-service.ts');

interface Shown {
  readonly name: string;
  readonly image: string;
  readonly port?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** As an editor saves it. */
function write(nodes: readonly Shown[]): void {
  const texts = nodes.map(
    ({ name, image, port, environment = {} }) =>
      `  - { name: ${name}, image: "${image}", ${port ? `ports: [{ containerPort: 80, hostPort: ${port} }], ` : ''}environment: ${JSON.stringify(environment)}, update: { healthyAfter: 1 } }\n`,
  );
  writeFileSync(
    `${FILE}.new`,
    `app: demo-nodes\nnodes:${texts.length > 0 ? `\n${texts.join('')}` : ' []\n'}`,
  );
  renameSync(`${FILE}.new`, FILE);
}

class Story {
  readonly root: string;
  readonly docker = new Dockerode({ socketPath: '/var/run/docker.sock' });

  constructor(root: string) {
    this.root = root;
  }

  async command(...words: string[]): Promise<void> {
    console.log(`\n$ ecs-host-service ${words.join(' ')}`);
    const env = { PATH: process.env.PATH, ROOT: this.root };
    const child = spawn(process.execPath, [PROGRAM, ...words], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}`);
    console.log();
  }

  /** Waits until a node is in a state, with a container that is not `but`. @returns its container */
  async until(node: string, state: string, but = ''): Promise<string> {
    const operator = new Operator(this.root);
    for (let looks = 0; looks < 1200; looks++) {
      const { status, body } = await operator.ask('GET', `/v1/nodes/${node}`);
      const found = status === 200 ? body.state : 'gone';
      if (found === state && (state === 'gone' || body.container !== but)) return String(body.container);
      await pause(50);
    }
    throw new Error(`the node ${node} is not ${state}`);
  }

  async startedAt(name: string): Promise<string> {
    return (await this.docker.getContainer(name).inspect()).State.StartedAt;
  }
}

async function show(service: ServiceProcess, root: string, registry: Registry): Promise<boolean> {
  const story = new Story(root);
  const good = registry.addScript('demo/good', RUNS);
  const bad = registry.addScript('demo/bad', 'echo "cannot find my config"; exit 7');
  const web = { name: 'web', image: good, port: 18_080 };
  const worker = { name: 'worker', image: good };
  say('starting the service with nodes alone: no webserver, no consoles, no input devices …');
  await service.ready();
  say('its file names two nodes, whose image is in a registry of this demo');
  write([web, worker]);
  const first = await story.until('worker', 'running');
  const old = await story.until('web', 'running');
  await story.command('nodes', 'list');
  say(
    'an edit: the worker gets another environment. It has no fixed port, so the old one runs until the new one is accepted …',
  );
  write([web, { ...worker, environment: { GREETING: 'hello' } }]);
  await story.until('worker', 'running', first);
  say('a bad image for web: it exits at once, and the old one comes back');
  write([
    { ...web, image: bad },
    { ...worker, environment: { GREETING: 'hello' } },
  ]);
  const isBack = (await story.until('web', 'reverted')) === old;
  await story.command('nodes', 'explain', 'web');
  write([web, { ...worker, environment: { GREETING: 'hello' } }]);
  await story.until('web', 'running');
  return (await outlive(story, service)) && (await leaveAlone(story, good)) && isBack;
}

const steps: string[][] = [];

function keepSteps({ lines }: ServiceProcess): void {
  for (const { msg, step, node, why } of lines as {
    msg: string;
    step?: { do: string; node: string };
    node?: string;
    why?: string;
  }[]) {
    if (msg === 'a step of a node' && step) steps.push([String(steps.length + 1), step.node, step.do, '']);
    if (msg === 'the new container of a node was rejected') steps.push(['', String(node), '', String(why)]);
  }
}

let last: ServiceProcess | undefined;

async function outlive(story: Story, service: ServiceProcess): Promise<boolean> {
  const nodes = ['web', 'worker'];
  const before = await Promise.all(nodes.map((node) => story.startedAt(node)));
  say('the service is asked to stop, and started again. Its nodes run on …');
  const exitCode = await service.stop('SIGTERM');
  keepSteps(service);
  last = await new ServiceProcess(story.root, { env: SETTINGS, patience: 120_000 }).ready();
  for (const node of nodes) await story.until(node, 'running');
  const after = await Promise.all(nodes.map((node) => story.startedAt(node)));
  const isSame = before.join() === after.join();
  say(
    `they were started at ${after.join(' and ')}: ${isSame ? 'no node has noticed it' : 'THEY WERE RESTARTED'}`,
  );
  return isSame && exitCode === 0;
}

async function leaveAlone(story: Story, image: string): Promise<boolean> {
  const { docker } = story;
  say('somebody else runs a container of the name "other". The file now names a node "other" too …');
  const stranger = await docker.createContainer({ name: 'other', Image: image });
  await stranger.start();
  const { StartedAt } = (await stranger.inspect()).State;
  write([
    { name: 'web', image, port: 18_080 },
    { name: 'other', image },
  ]);
  await story.until('other', 'blocked');
  await story.until('worker', 'gone');
  await story.command('nodes', 'list');
  write([]);
  await story.until('web', 'gone');
  const { State } = await stranger.inspect();
  const isLeft = State.Running && State.StartedAt === StartedAt;
  say(isLeft ? 'the stranger was left alone' : 'THE STRANGER WAS TOUCHED');
  await stranger.remove({ force: true });
  const exitCode = await last?.stop();
  if (last) keepSteps(last);
  const network = await docker.getNetwork('demo-nodes').inspect();
  await docker.getNetwork(network.Id).remove();
  await docker
    .getImage(image)
    .remove({ force: true })
    .catch(() => {});
  say(`the service has ended, exit code ${exitCode}. All steps:\n`);
  console.log(align([['STEP', 'NODE', 'DO', 'REJECTED'], ...steps]).join('\n'));
  return isLeft && exitCode === 0;
}

/** Where Docker does not run, it runs for the demo: nodes outlive the service, and not Docker. */
async function runDocker(): Promise<ChildProcess | undefined> {
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  const answers = () =>
    docker.ping().then(
      () => true,
      () => false,
    );
  if (await answers()) return undefined;
  const engine = spawn('dockerd', [], { stdio: 'ignore' });
  while (!(await answers())) await pause(50);
  return engine;
}

const engine = await runDocker();
const registry = await Registry.open();
try {
  await demonstrate((service, root) => show(service, root, registry), SETTINGS);
} finally {
  await last?.stop();
  await registry[Symbol.asyncDispose]();
  rmSync(join(FILE, '..'), { recursive: true });
  if (engine) {
    engine.kill();
    await once(engine, 'exit');
  }
}

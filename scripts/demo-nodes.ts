/**
 * Demonstrates managed nodes: two nodes from the demo's own registry, an edit, a bad image that is rolled back with the
 * reason, a restart of the service that affects no node, and another container that is left alone. It ends with a table of
 * all steps.
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

/** Writes the file of nodes atomically, as an editor does. */
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
  say('starting the service for managed nodes only: no webserver, no consoles, no input devices …');
  await service.ready();
  say('the file of nodes names two nodes, whose image is in the registry of this demo');
  write([web, worker]);
  const first = await story.until('worker', 'running');
  const old = await story.until('web', 'running');
  await story.command('nodes', 'list');
  say(
    'an edit: the worker gets another environment. It has no fixed port, so its old container runs until the new one is accepted …',
  );
  write([web, { ...worker, environment: { GREETING: 'hello' } }]);
  await story.until('worker', 'running', first);
  say('a bad image for web: its container exits at once, and the service restores the old one');
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
  say('the service stops and starts again. Its nodes keep running …');
  const exitCode = await service.stop('SIGTERM');
  keepSteps(service);
  last = await new ServiceProcess(story.root, { env: SETTINGS, patience: 120_000 }).ready();
  for (const node of nodes) await story.until(node, 'running');
  const after = await Promise.all(nodes.map((node) => story.startedAt(node)));
  const isSame = before.join() === after.join();
  say(
    `the nodes were started at ${after.join(' and ')}: ${isSame ? 'the restart of the service did not affect them' : 'THEY WERE RESTARTED'}`,
  );
  return isSame && exitCode === 0;
}

async function leaveAlone(story: Story, image: string): Promise<boolean> {
  const { docker } = story;
  say('somebody else runs a container with the name "other". Now the file names a node "other" too …');
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
  say(isLeft ? 'the service left that container alone' : 'THE SERVICE CHANGED THAT CONTAINER');
  await stranger.remove({ force: true });
  const exitCode = await last?.stop();
  if (last) keepSteps(last);
  const network = await docker.getNetwork('demo-nodes').inspect();
  await docker.getNetwork(network.Id).remove();
  await docker
    .getImage(image)
    .remove({ force: true })
    .catch(() => {});
  say(`the service has exited with code ${exitCode}. It took these steps:\n`);
  console.log(align([['STEP', 'NODE', 'DO', 'REJECTED'], ...steps]).join('\n'));
  return isLeft && exitCode === 0;
}

/**
 * Starts Docker for the demo if it is not running. If the service started Docker, the nodes would end with the service.
 */
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

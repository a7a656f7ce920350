/**
 * Measures the cost of managed nodes beside Docker: starting them, replacing one, looking at many that need nothing,
 * and the memory of an idle host.
 */

import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import pLimit from 'p-limit';
import { Docker } from '../docker-engine/docker.ts';
import { createLogger } from '../logging/logger.ts';
import { labelsOf } from '../managed-nodes/docker/labels.ts';
import { Looking } from '../managed-nodes/docker/look.ts';
import { Wanted } from '../managed-nodes/plan/wanted.ts';
import { Reconciler } from '../managed-nodes/reconciler.ts';
import type { NodeSpec } from '../managed-nodes/spec/node-spec.ts';
import { digestOf } from '../test/support/conduct.ts';
import { NodeSite, RUNS } from '../test/support/node-site.ts';
import { wantedOf } from '../test/support/nodes-model.ts';
import { Registry } from '../test/support/registry.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { TestHost } from '../test/support/test-host.ts';
import { inRandomOrder, type Measure, median, ofPairs, quantile, type Row, row } from './measure.ts';
import { start, stop } from './program.ts';

const NODES = 50;
/** The number of containers that the service creates or starts at a time. The other side does the same number. */
const AT_A_TIME = 8;
const ROUNDS = 5;
const PAIRS = 20;
const MANY = 200;
const LOOKS = 20;
const STARTS = 5;
/** Limits: calls to Docker, milliseconds of CPU time, and KiB. */
const CALLS = 2;
const CPU = 30;
const MEMORY = 10 * 1024;
/** Milliseconds after which a process without work counts as idle. */
const SETTLED = 3000;

type Body = Dockerode.ContainerCreateOptions;

class Sides {
  readonly #host: TestHost;
  readonly #site: NodeSite;
  readonly #service: ServiceProcess;
  readonly #image: string;
  #changes = 0;

  constructor(host: TestHost, site: NodeSite, service: ServiceProcess, image: string) {
    this.#host = host;
    this.#site = site;
    this.#service = service;
    this.#image = image;
  }

  /**
   * Puts these nodes into the feed.
   * @returns milliseconds until the last one of their new containers has started
   */
  async ours(names: readonly string[], update: NodeSpec['update'] = {}): Promise<number> {
    const before = new Set(await this.#ids());
    const environment = { CHANGE: String(++this.#changes) };
    this.#site.write(names.map((name) => ({ name, image: this.#image, environment, update })));
    for (const name of names) {
      const isNew = async () => {
        const { state, container = '' } = await this.#site.view(name);
        return state === 'running' && !before.has(container);
      };
      while (!(await isNew())) await pause(50);
    }
    return (await this.#lastStart(names)) - this.#heard();
  }

  /** Creates and starts the same containers. @returns milliseconds until the last one has started */
  async theirs(body: Body, names: readonly string[]): Promise<number> {
    const limit = pLimit(AT_A_TIME);
    const own = names.map((name) => `raw-${name}`);
    const begun = Date.now();
    const make = async (name: string) => {
      const container = await limit(() => this.#host.docker.createContainer({ ...body, name }));
      await limit(() => container.start());
    };
    await Promise.all(own.map(make));
    const taken = (await this.#lastStart(own)) - begun;
    await Promise.all(own.map((name) => this.#host.docker.getContainer(name).remove({ force: true })));
    return taken;
  }

  async clear(): Promise<void> {
    this.#site.write([]);
    while ((await this.#ids()).length > 0) await pause(50);
  }

  /** The body that the service gave to Docker for a node, with labels that the service does not treat as its own. */
  async bodyOf(name: string): Promise<Body> {
    const { Config, HostConfig } = await this.#site.inspect(name);
    const { Image, Hostname, Env, ExposedPorts, Labels } = Config;
    const { NetworkMode, LogConfig, Mounts, PortBindings } = HostConfig;
    const others = Object.fromEntries(
      Object.entries(Labels).map(([label, value]) => [`raw.${label}`, value]),
    );
    const RestartPolicy = { Name: 'no' };
    return {
      ...{ Image, Hostname, Env, ExposedPorts, Labels: others },
      HostConfig: { NetworkMode, LogConfig, Mounts, PortBindings, RestartPolicy },
    } as Body;
  }

  async #ids(): Promise<string[]> {
    return (await this.#host.docker.listContainers({ all: true })).map(({ Id }) => Id);
  }

  async #lastStart(names: readonly string[]): Promise<number> {
    const found = await Promise.all(names.map((name) => this.#site.inspect(name)));
    return Math.max(...found.map(({ State }) => Date.parse(State.StartedAt)));
  }

  /** The time at which the service read the last change of the file. */
  #heard(): number {
    const line = this.#service.lines.findLast(({ msg }) => msg === 'the feed wants these nodes');
    return Date.parse(String(line?.time));
  }
}

async function measureStarts(host: TestHost, image: string, say: (progress: string) => void): Promise<Row[]> {
  const site = new NodeSite(host);
  site.write([]);
  const service = await site.start({ LOG_LEVEL: 'info' });
  const sides = new Sides(host, site, service, image);
  await sides.ours(['web'], { healthyAfter: 0 });
  const body = await sides.bodyOf('web');
  const alone: [number, number][] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    say(`a change: pair ${pair} of ${PAIRS}`);
    const ours = () => sides.ours(['web'], { healthyAfter: 0 });
    alone.push(await inRandomOrder(ours, () => sides.theirs(body, ['web'])));
  }
  await sides.clear();
  const names = Array.from({ length: NODES }, (_, i) => `node-${i}`);
  const all: [number, number][] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`${NODES} nodes: round ${round} of ${ROUNDS}`);
    const ours = async () => {
      const taken = await sides.ours(names);
      await sides.clear();
      return taken;
    };
    all.push(await inRandomOrder(ours, () => sides.theirs(body, names)));
  }
  await service.stop();
  await site.clear();
  return [
    ofPairs(`${NODES} nodes started over ${NODES} × create + start`, all, { median: 1.1 }),
    ofPairs('time from a change to the start of its container, over create + start', alone, { median: 1.15 }),
  ];
}

/** Simulates a Docker that has a running container for each node, and counts the requests to it. */
async function measureLooks(): Promise<Row[]> {
  const owner = { hostId: 'host', app: 'demo' };
  const specs = Array.from({ length: MANY }, (_, i): NodeSpec => ({ name: `node-${i}`, image: 'app:1' }));
  const wanted = wantedOf(specs);
  const digest = digestOf('app:1', 'healthy');
  const listed = specs.map(({ name }) => ({
    Id: name,
    Names: [`/${name}`],
    Labels: labelsOf(owner, {
      node: name,
      hash: wanted.get(name)?.hash ?? '',
      digest,
      ports: [],
      labelId: name,
    }),
    ImageID: 'image',
    State: 'running',
    Status: 'Up 1 hour',
    Ports: [],
  }));
  let calls = 0;
  const socket = join(mkdtempSync('/run/test/docker-'), 'socket');
  const image = { Id: 'image', Config: { Labels: {} } };
  const server = createServer(({ url = '' }, response) => {
    calls += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(url.includes('/containers/json') ? listed : image));
  }).listen(socket);
  const looking = new Looking(await Docker.open(socket), owner);
  let looks = 0;
  const reconciler = new Reconciler({
    executor: {
      look: async () => {
        const found = await looking.look();
        looks += 1;
        return found;
      },
      currentDigests: async () => new Map([['app:1', digest]]),
      carryOut: () => Promise.reject(new Error('nothing is to be done')),
    },
    log: createLogger({ level: 'silent', stream: { write: () => {} } }),
  });
  const end = new AbortController();
  const lookAgain = async () => {
    const [before, callsBefore, begun] = [looks, calls, process.cpuUsage()];
    reconciler.wake();
    await reconciler.until(() => looks > before, end.signal);
    const { user, system } = process.cpuUsage(begun);
    return { calls: calls - callsBefore, cpu: (user + system) / 1000 };
  };
  reconciler.want(new Wanted(wanted));
  const running = reconciler.run(end.signal);
  await reconciler.until(() => reconciler.isAtRest, end.signal);
  const costs = [];
  for (let look = 0; look < LOOKS; look++) costs.push(await lookAgain());
  end.abort(new Error('measured'));
  await running;
  server.close();
  server.closeAllConnections();
  const over = (values: readonly number[], limit: number) => values.map((value) => value / limit);
  const rowOf = (name: string, values: readonly number[]) =>
    row(name, median(values), quantile(values, 0.95), { median: 1 });
  const asked = over(
    costs.map((one) => one.calls),
    CALLS,
  );
  return [
    rowOf(`calls to Docker for ${MANY} nodes with nothing to do, over ${CALLS}`, asked),
    rowOf(
      `CPU time for ${MANY} nodes with nothing to do, over ${CPU} ms`,
      over(
        costs.map((one) => one.cpu),
        CPU,
      ),
    ),
  ];
}

async function measureMemory(host: TestHost, image: string, say: (progress: string) => void): Promise<Row[]> {
  const site = new NodeSite(host);
  site.write([{ name: 'web', image, update: { healthyAfter: 0 } }]);
  const env = { APP_ENV: 'localdev', ROOT: site.root, AWS_EC2_METADATA_DISABLED: 'true' };
  /** The resident memory of the idle service in KiB. */
  const resident = async (more: Record<string, string>) => {
    const service = start('build/bundle/ecs-host-service.mjs', ['run'], { ...env, ...more });
    const answers = async () => (await site.operator.get('/v1/host').catch(() => undefined))?.status === 200;
    while (!(await answers())) await pause(100);
    if (more.NODES_FEED) await site.until('web', 'running');
    await pause(SETTLED);
    const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
    await stop(service);
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  };
  const added: number[] = [];
  for (let round = 1; round <= STARTS; round++) {
    say(`memory: round ${round} of ${STARTS}`);
    const [ours, theirs] = await inRandomOrder(
      () => resident({ NODES_FEED: 'file', NODES_FILE: site.file }),
      () => resident({}),
    );
    added.push((ours - theirs) / MEMORY);
  }
  await site.clear();
  const name = 'memory that nodes add to an idle service, over 10 MiB';
  return [row(name, median(added), quantile(added, 0.95), { median: 1 })];
}

export const measure: Measure = async (say) => {
  await using host = new TestHost();
  await host.startDocker();
  await using registry = await Registry.open();
  const image = registry.addScript('bench', RUNS);
  return {
    method: `The time from the moment when the service has read a change of its file to the start of the last container, compared with create and start of the same containers at the Docker Engine's socket, ${AT_A_TIME} at a time, in random order: ${ROUNDS} rounds of ${NODES} new nodes, and ${PAIRS} changes of one node. Then the cost of a whole reconciliation, with a server in the same process that simulates Docker. Then the memory of the built bundle with and without a file of nodes, ${STARTS} starts of each.`,
    rows: [
      ...(await measureStarts(host, image, say)),
      ...(await measureLooks()),
      ...(await measureMemory(host, image, say)),
    ],
  };
};

/**
 * Measures how fast start values are answered while containers start and stop, compared with a bare route that writes
 * the same files.
 */

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { call } from '../test/support/https.ts';
import { CLIENT_SECRET, SECRET } from '../test/support/secrets.ts';
import { TestHost } from '../test/support/test-host.ts';
import { writePair } from './bare.ts';
import { agent, direct, makerAt, put, remove, sameBody, withAnyPorts } from './containers.ts';
import { inRandomOrder, type Measure, median, ofPairs, quantile, type Row, row, timed } from './measure.ts';
import { start, stop } from './program.ts';

const ROUNDS = 5;
const REQUESTS = 1600;
/** Milliseconds between requests: 200 per second. */
const BETWEEN = 5;
/** The number of concurrent containers. */
const CONTAINERS = 4;
/** Pairs of start values for a known and for an unknown port, and those before them that warm the service up. */
const PAIRS = 400;
const WARM_PAIRS = 100;
const SERVICE_PORT = 4678;
const BARE_PORT = 4680;
const START_VALUES = '/set_container_start_values';

interface Side {
  readonly port: number;
  readonly make: () => Promise<string>;
  /** The key by which start values identify a container. */
  readonly key: (dockerId: string) => number | Promise<number>;
}

/** Starts and ends containers one by one until told to stop, and knows the keys of the running ones. */
class Churn {
  readonly keys: number[] = [];
  readonly #host: TestHost;
  readonly #side: Side;
  readonly #ids: string[] = [];
  #goesOn = true;

  constructor(host: TestHost, side: Side) {
    this.#host = host;
    this.#side = side;
  }

  /** Resolves when the first containers are running, with a promise of the end. */
  async begin(): Promise<{ readonly ended: Promise<void> }> {
    while (this.#ids.length < CONTAINERS) await this.#add();
    return { ended: this.#run() };
  }

  stop(): void {
    this.#goesOn = false;
  }

  async #run(): Promise<void> {
    while (this.#goesOn) {
      await this.#add();
      await this.#end(1);
    }
    await this.#end(this.#ids.length);
  }

  async #add(): Promise<void> {
    const id = await this.#side.make();
    this.#ids.push(id);
    this.keys.push(await this.#side.key(id));
  }

  /** Ends the oldest ones, for which no more requests are sent. */
  async #end(count: number): Promise<void> {
    this.keys.splice(0, count);
    await remove(this.#host, this.#ids.splice(0, count));
  }
}

function bodyFor(host_port: number): string {
  const values = { host_port, container_ARN: 'arn:task/1', dpi: 96, user_id: 'user@example.com' };
  return JSON.stringify({ ...values, client_app_auth_secret: CLIENT_SECRET, auth_secret: SECRET });
}

/** In milliseconds: the p99 of all requests, and the median of those that wrote files. */
interface Taken {
  readonly p99: number;
  readonly writing: number;
}

/** Sends each request at its time, whether earlier ones are answered or not. */
async function load(host: TestHost, side: Side): Promise<Taken> {
  const churn = new Churn(host, side);
  const { ended } = await churn.begin();
  const seen = new Set<number>();
  const all: Promise<number>[] = [];
  const writing: Promise<number>[] = [];
  const beginning = performance.now();
  for (let i = 0; i < REQUESTS; i++) {
    const due = beginning + i * BETWEEN;
    if (due > performance.now()) await pause(due - performance.now());
    const key = churn.keys[i % churn.keys.length] as number;
    const answered = put(side.port, START_VALUES, bodyFor(key)).then((answer) => {
      // A request for a container that has just ended is correctly refused.
      if (answer !== '{"result":""}' && churn.keys.includes(key)) throw new Error(`answered with ${answer}`);
      return performance.now() - due;
    });
    all.push(answered);
    if (!seen.has(key)) writing.push(answered);
    seen.add(key);
  }
  const taken = { p99: quantile(await Promise.all(all), 0.99), writing: median(await Promise.all(writing)) };
  churn.stop();
  await ended;
  return taken;
}

/** @returns the milliseconds of start values for a port that no container has, and of those that come again */
async function unknownPorts(host: TestHost, side: Side): Promise<[number, number][]> {
  const id = await side.make();
  const ask = (port: number) => () => timed(() => put(side.port, START_VALUES, bodyFor(port)));
  const [unknown, known] = [ask(1), ask(await side.key(id))];
  const pairs: [number, number][] = [];
  while (pairs.length < WARM_PAIRS + PAIRS) pairs.push(await inRandomOrder(unknown, known));
  await remove(host, [id]);
  return pairs.slice(WARM_PAIRS);
}

async function startService(root: string): Promise<ChildProcess> {
  const env = { APP_ENV: 'localdev', ROOT: root, AWS_EC2_METADATA_DISABLED: 'true' };
  const service = start('src/ecs-host-service.ts', ['run'], env);
  await answers(SERVICE_PORT, '/healthz');
  return service;
}

async function startBare(): Promise<ChildProcess> {
  const directory = mkdtempSync('/run/test/bare-');
  await writePair(directory);
  const bare = start('bench/bare-server.ts', [directory, String(BARE_PORT)], {});
  await answers(BARE_PORT, '/');
  return bare;
}

/** Waits until a server answers that it is ready. */
async function answers(port: number, path: string): Promise<void> {
  const ask = () =>
    call({ port, method: 'GET', path }).then(
      ({ status }) => status !== 503,
      () => false,
    );
  while (!(await ask())) await pause(20);
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const service = await startService(root);
  const make = makerAt(root);
  const bare = await startBare();
  const first = await make();
  const body = withAnyPorts(await sameBody(host.docker, first));
  await remove(host, [first]);

  let ordinal = 0;
  const ours: Side = { port: SERVICE_PORT, make, key: (id) => host.hostPort(id) };
  const theirs: Side = { port: BARE_PORT, make: () => direct(host.docker, body), key: () => ++ordinal };
  const pairs: [Taken, Taken][] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    pairs.push(
      await inRandomOrder(
        () => load(host, ours),
        () => load(host, theirs),
      ),
    );
  }
  const unknown = await unknownPorts(host, ours);
  await Promise.all([bare, service].map(stop));
  agent.destroy();
  const ratios = (of: keyof Taken) => pairs.map(([one, other]) => one[of] / other[of]);
  const rowOf = (name: string, of: keyof Taken, bound: Row['bound']) =>
    row(name, median(ratios(of)), quantile(ratios(of), 0.95), bound);
  return {
    method: `${REQUESTS} start values, 200 per second, while containers start and end one after the other. Both sides write the first start values of a container to two files, and only answer repeated ones. ${ROUNDS} rounds of each side, in random order. Then ${PAIRS} pairs on the service alone, one after the other: start values for a port that no container has, and repeated ones.`,
    rows: [
      rowOf('p99 of start values over a bare fastify route', 'p99', { median: 2 }),
      rowOf('median of start values that are written, over the same route', 'writing', {
        median: 1.15,
        aim: true,
      }),
      ofPairs('start values for an unknown port over repeated ones', unknown, { median: 1.1 }),
    ],
  };
};

/** How fast start values are answered while containers start and stop, against a bare route that writes the same files. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCertificate } from '../httpserver/certificate.ts';
import { call } from '../test/support/https.ts';
import { CLIENT_SECRET, SECRET } from '../test/support/secrets.ts';
import { TestHost } from '../test/support/test-host.ts';
import { agent, direct, put, remove, sameBody, spinUp, withAnyPorts } from './containers.ts';
import { inRandomOrder, type Measure, median, quantile, row } from './measure.ts';

const ROOT = join(import.meta.dirname, '..');
const ROUNDS = 5;
const REQUESTS = 1600;
/** Milliseconds between requests: 200 in a second. */
const BETWEEN = 5;
/** Containers that are there at a time. */
const CONTAINERS = 4;
const SERVICE_PORT = 4678;
const BARE_PORT = 4680;

/** Starts and ends containers one after the other, until it is told to stop; knows the host ports of those that live. */
class Churn {
  readonly ports: number[] = [];
  readonly #host: TestHost;
  readonly #make: () => Promise<string>;
  readonly #ids: string[] = [];
  #goesOn = true;

  constructor(host: TestHost, make: () => Promise<string>) {
    this.#host = host;
    this.#make = make;
  }

  /** Resolves when the first containers are there, with the promise of the end. */
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
    const id = await this.#make();
    this.#ids.push(id);
    this.ports.push(await this.#host.hostPort(id));
  }

  /** Ends the oldest, which nobody is asked for any more. */
  async #end(count: number): Promise<void> {
    this.ports.splice(0, count);
    await remove(this.#host, this.#ids.splice(0, count));
  }
}

function bodyFor(host_port: number): string {
  const values = { host_port, container_ARN: 'arn:task/1', dpi: 96, user_id: 'user@example.com' };
  return JSON.stringify({ ...values, client_app_auth_secret: CLIENT_SECRET, auth_secret: SECRET });
}

/** The p99 of the milliseconds that requests took, sent when they were due, answered or not. */
async function load(port: number, churn: Churn): Promise<number> {
  const { ended } = await churn.begin();
  const beginning = performance.now();
  const sent: Promise<number>[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const due = beginning + i * BETWEEN;
    if (due > performance.now()) await pause(due - performance.now());
    const body = bodyFor(churn.ports[i % churn.ports.length] as number);
    const answered = put(port, '/set_container_start_values', body).then((answer) => {
      if (answer !== '{"result":""}') throw new Error(`answered with ${answer}`);
      return performance.now() - due;
    });
    sent.push(answered);
  }
  const taken = await Promise.all(sent);
  churn.stop();
  await ended;
  return quantile(taken, 0.99);
}

/** Starts a program with its output in a file: reading it here would be a part of what is measured. */
function start(program: string, words: readonly string[], env: Record<string, string>): ChildProcess {
  const output = openSync('/run/test/output.log', 'a');
  return spawn(process.execPath, ['--disable-sigusr1', join(ROOT, program), ...words], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', output, 'inherit'],
  });
}

async function startService(host: TestHost): Promise<ChildProcess> {
  const env = { APP_ENV: 'localdev', ROOT: host.newRoot(), AWS_EC2_METADATA_DISABLED: 'true' };
  const service = start('src/ecs-host-service.ts', ['run'], env);
  await answers(SERVICE_PORT, '/healthz');
  return service;
}

async function startBare(): Promise<ChildProcess> {
  const directory = mkdtempSync('/run/test/bare-');
  const pair = await makeCertificate(['127.0.0.1'], new Date(Date.now() + 86_400_000));
  writeFileSync(join(directory, 'cert.pem'), pair.cert);
  writeFileSync(join(directory, 'key.pem'), pair.key);
  const bare = start('bench/bare-server.ts', [directory, String(BARE_PORT)], {});
  await answers(BARE_PORT, '/');
  return bare;
}

/** Waits until a server answers with anything but that it is not ready. */
async function answers(port: number, path: string): Promise<void> {
  const ask = () =>
    call({ port, method: 'GET', path }).then(
      ({ status }) => status !== 503,
      () => false,
    );
  while (!(await ask())) await pause(20);
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const service = await startService(host);
  const bare = await startBare();
  const first = await spinUp();
  const body = withAnyPorts(await sameBody(host.docker, first));
  await remove(host, [first]);

  const pairs: [number, number][] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    pairs.push(
      await inRandomOrder(
        () => load(SERVICE_PORT, new Churn(host, spinUp)),
        () => load(BARE_PORT, new Churn(host, () => direct(host.docker, body))),
      ),
    );
  }
  await Promise.all([bare, service].map(stop));
  agent.destroy();
  const ratios = pairs.map(([ours, theirs]) => ours / theirs);
  return {
    method: `${REQUESTS} start values, 200 a second, while containers start and end one after the other; a container's first ones are written to its files, on both sides. ${ROUNDS} rounds of each side, in random order; the ratio is that of the p99.`,
    rows: [
      row('p99 of start values over a bare fastify route', median(ratios), Math.max(...ratios), {
        median: 2,
      }),
    ],
  };
};

/**
 * Measures how fast a full host lists its containers for an operator, compared with a bare route that answers with the
 * same bytes.
 */

import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { TestHost } from '../test/support/test-host.ts';
import { makerAt, remove } from './containers.ts';
import { inRandomOrder, type Measure, median, quantile, row } from './measure.ts';
import { start, stop } from './program.ts';

/** One for each console. */
const CONTAINERS = 54;
const ROUNDS = 15;
const REQUESTS = 400;

class Side {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async list(): Promise<string> {
    const asked = request({
      socketPath: this.#socketPath,
      path: '/v1/containers?limit=1000',
      agent: this.#agent,
    });
    const [response] = await once(asked.end(), 'response');
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(body);
    return body;
  }

  /** Sends one request after the other. @returns the milliseconds of each */
  async load(): Promise<number[]> {
    const taken: number[] = [];
    for (let i = 0; i < REQUESTS; i++) {
      const beginning = performance.now();
      await this.list();
      taken.push(performance.now() - beginning);
    }
    return taken;
  }

  async answers(): Promise<void> {
    while (!(await this.list().catch(() => ''))) await pause(20);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const env = { APP_ENV: 'localdev', ROOT: root, AWS_EC2_METADATA_DISABLED: 'true' };
  const service = start('src/ecs-host-service.ts', ['run'], env);
  const ours = new Side(join(root, 'run/ecs-host-service/api.sock'));
  await ours.answers();
  const make = makerAt(root);
  const ids: string[] = [];
  for (let made = 1; made <= CONTAINERS; made++) {
    say(`container ${made} of ${CONTAINERS}`);
    ids.push(await make());
  }
  const directory = mkdtempSync('/run/test/bare-');
  writeFileSync(join(directory, 'list'), await ours.list());
  const socket = join(directory, 'socket');
  const bare = start('bench/bare-list.ts', [socket, join(directory, 'list')], {});
  const theirs = new Side(socket);
  await theirs.answers();
  const pairs: [number[], number[]][] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    const pair = await inRandomOrder(
      () => ours.load(),
      () => theirs.load(),
    );
    // The first round warms both sides up.
    if (round > 0) pairs.push(pair);
  }
  for (const side of [ours, theirs]) side.close();
  await remove(host, ids);
  await Promise.all([bare, service].map(stop));
  const ratios = (q: number) => pairs.map(([one, other]) => quantile(one, q) / quantile(other, q));
  const rowOf = (name: string, q: number, bound: object) =>
    row(name, median(ratios(q)), quantile(ratios(q), 0.95), bound);
  return {
    method: `GET /v1/containers with ${CONTAINERS} containers on the unix socket, ${REQUESTS} times one after the other, compared with a bare fastify route that answers with the same bytes. ${ROUNDS} rounds of each side, in random order.`,
    rows: [
      rowOf('p99 of listing all containers over a bare fastify route', 0.99, { median: 2 }),
      rowOf('median of listing all containers over a bare fastify route', 0.5, { median: 1.5, aim: true }),
    ],
  };
};

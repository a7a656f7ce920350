/** Measures how long a container's callers wait while its neighbour attacks the host, compared with a quiet host. */

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { pathsBelow } from '../host/paths.ts';
import { Attacker } from '../test/support/attacker.ts';
import { CLIENT_SECRET, SECRET } from '../test/support/secrets.ts';
import { TestHost } from '../test/support/test-host.ts';
import { agent, makerAt, put, remove } from './containers.ts';
import { type Measure, median, type Row, row } from './measure.ts';
import { start, stop } from './program.ts';

const ROUNDS = 5;
/** The duration of the calls on each side, in milliseconds. */
const LOAD = 3_000;
const BETWEEN = 5;
/** Small limits, so that each attack reaches its limit on any machine. Each attack is also bounded itself. */
const LIMITS = { CONTAINER_PIDS: '512', CONTAINER_MEMORY: '256MiB', CONTAINER_LOG_SIZE: '8MiB' };

const ATTACKS: Readonly<Record<string, readonly string[]>> = {
  'a fork bomb': ['forks', '4000'],
  'a memory hog': ['memory', '1024'],
  'a disk filler': ['file', '/file', '1024'],
  'an inode filler': ['files', '/', '200000'],
  'a log flood': ['log', '512'],
  'a flood of events': ['ooms', '50', '1024'],
};

class Callers {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #startValues: string;

  /** @param port of the neighbour */
  constructor(socketPath: string, port: number) {
    this.#socketPath = socketPath;
    const values = { host_port: port, container_ARN: 'arn:task/1', dpi: 96, user_id: 'user@example.com' };
    this.#startValues = JSON.stringify({
      ...values,
      client_app_auth_secret: CLIENT_SECRET,
      auth_secret: SECRET,
    });
  }

  async list(): Promise<void> {
    const options = { socketPath: this.#socketPath, path: '/v1/containers', agent: this.#agent };
    const [response] = await once(request(options).end(), 'response');
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(body);
  }

  async setUp(): Promise<void> {
    const answer = await put(4678, '/set_container_start_values', this.#startValues);
    if (answer !== '{"result":""}') throw new Error(`answered with ${answer}`);
  }

  /** The median time of one call of each kind, in milliseconds; the sides take turns. */
  async load(): Promise<number> {
    const taken: number[] = [];
    const end = performance.now() + LOAD;
    while (performance.now() < end) {
      const beginning = performance.now();
      await this.list();
      await this.setUp();
      taken.push(performance.now() - beginning);
      await pause(BETWEEN);
    }
    return median(taken);
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function answers(socketPath: string): Promise<void> {
  const callers = new Callers(socketPath, 0);
  while (
    !(await callers.list().then(
      () => true,
      () => false,
    ))
  )
    await pause(20);
  callers.close();
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const { apiSocket: api, dockerProxy } = pathsBelow(root);
  const env = { APP_ENV: 'localdev', ROOT: root, AWS_EC2_METADATA_DISABLED: 'true', ...LIMITS };
  const service = start('src/ecs-host-service.ts', ['run'], env);
  await answers(api);
  const neighbour = await makerAt(root)();
  const callers = new Callers(api, await host.hostPort(neighbour));
  const attacker = new Attacker(new Dockerode({ socketPath: dockerProxy }));
  await callers.load();
  const rows: Row[] = [];
  for (const [name, words] of Object.entries(ATTACKS)) {
    const ratios: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      say(`${name}, round ${round} of ${ROUNDS}`);
      const quiet = await callers.load();
      const attack = await attacker.begin(...(words as [string, ...string[]]));
      const attacked = await callers.load();
      await attack.end();
      ratios.push(attacked / quiet);
    }
    rows.push(
      row(`calls during ${name} over calls on a quiet host`, median(ratios), Math.max(...ratios), {
        median: 2,
      }),
    );
  }
  callers.close();
  agent.destroy();
  await remove(host, [neighbour]);
  await stop(service);
  return {
    method: `GET /v1/containers on the unix socket and start values over HTTPS, one after the other for ${LOAD / 1000} s, on a quiet host and while a container with small default limits attacks the host. ${ROUNDS} rounds of each side, in turns.`,
    rows,
  };
};

/**
 * Measures how long a new user waits for a container of a pool, compared with a new container, and how much a pool adds
 * to the restore of the user's files.
 */

import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { pathsBelow } from '../host/paths.ts';
import { IMAGE } from '../scripts/image.ts';
import { CLIENT_SECRET, S3_KEY_ID, S3_SECRET, TOKEN } from '../test/support/secrets.ts';
import { TestHost } from '../test/support/test-host.ts';
import { remove } from './containers.ts';
import { inRandomOrder, type Measure, median, quantile, row } from './measure.ts';
import { start, stop } from './program.ts';

const SIZE = 8;
const PAIRS = 40;
/** The number of times that all containers of a pool are taken at once. */
const BURSTS = 8;
const RESTORES = 15;
/** Bytes of a user's files, which cannot be compressed. */
const FILES = 10_000_000;
/** Milliseconds from the request until the container is ready. */
const [LONGEST_MEDIAN, LONGEST_P99] = [25, 100];

interface Answer {
  readonly id: string;
  readonly docker: string;
  readonly state: string;
  readonly ready: number;
  readonly warm?: { readonly pool?: string };
  readonly detail?: string;
}

class Caller {
  readonly ids: string[] = [];
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(root: string) {
    this.#socketPath = pathsBelow(root).apiSocket;
  }

  async ask(method: string, path: string, body?: object): Promise<Answer> {
    const asked = request({ socketPath: this.#socketPath, method, path: `/v1${path}`, agent: this.#agent });
    const [response] = await once(asked.end(body && JSON.stringify(body)), 'response');
    const answer = JSON.parse(await text(response));
    if (response.statusCode >= 400) throw new Error(answer.detail);
    return answer;
  }

  /**
   * @param isWarm whether it must come from the pool
   * @returns the container, which is assigned
   */
  async assigned(userId: string, isWarm: boolean): Promise<Answer> {
    // With one different part, the request gets a new container.
    const labels = isWarm ? {} : { cold: 'yes' };
    const startValues = { userId, clientAppAuthSecret: CLIENT_SECRET };
    const made = await this.ask('POST', '/containers', { image: IMAGE, app: 'demo', labels, startValues });
    this.ids.push(made.docker);
    if ((made.warm?.pool !== undefined) !== isWarm) throw new Error(JSON.stringify(made.warm));
    return made;
  }

  async ready({ id }: Answer, userId: string): Promise<void> {
    const token = { userId, clientAppAuthSecret: CLIENT_SECRET, configEncryptionToken: TOKEN };
    const { state } = await this.ask('PUT', `/containers/${id}/config-token`, token);
    if (state !== 'ready') throw new Error(`it is ${state}`);
  }

  async filled(): Promise<void> {
    while ((await this.ask('GET', '/pools/demo')).ready < SIZE) await pause(20);
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** @returns milliseconds from the request, and from the token, until the container is ready */
async function spansOf(
  caller: Caller,
  isWarm: boolean,
  userId = '',
): Promise<[all: number, restore: number]> {
  const beginning = performance.now();
  const made = await caller.assigned(userId, isWarm);
  const assigned = performance.now();
  await caller.ready(made, userId);
  const end = performance.now();
  return [end - beginning, end - assigned];
}

async function waitOf(caller: Caller, isWarm: boolean): Promise<number> {
  const [all] = await spansOf(caller, isWarm);
  return all;
}

/** Stores the files of a user, as the end of a container does. */
async function store(caller: Caller, root: string, userId: string): Promise<void> {
  const made = await caller.assigned(userId, false);
  await caller.ready(made, userId);
  const files = join(root, 'fractal', made.id, 'userConfigs/unpacked_configs');
  for (let i = 0; i < 10; i++) writeFileSync(join(files, `file-${i}`), randomBytes(FILES / 10));
  await caller.ask('POST', `/containers/${made.id}/stop`);
  while (readdirSync(join(root, 'var/lib/ecs-host-service/spool')).length > 0) await pause(20);
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const s3 = fork(join(import.meta.dirname, 's3-server.ts'));
  const [{ url }] = await once(s3, 'message');
  const service = start('src/ecs-host-service.ts', ['run'], {
    APP_ENV: 'localdev',
    ROOT: root,
    AWS_EC2_METADATA_DISABLED: 'true',
    USER_CONFIG_BUCKET: 'bench',
    AWS_ENDPOINT_URL_S3: url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: S3_KEY_ID,
    AWS_SECRET_ACCESS_KEY: S3_SECRET,
  });
  const caller = new Caller(root);
  while (!(await caller.ask('GET', '/capacity').catch(() => undefined))) await pause(20);
  await store(caller, root, 'user');
  await caller.ask('PUT', '/pools/demo', { image: IMAGE, app: 'demo', size: SIZE });

  /** Measures on a full pool, and cleans up. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    await caller.filled();
    const result = await work();
    await remove(host, caller.ids.splice(0));
    return result;
  };
  const pairs: [number, number][] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    say(`pair ${pair} of ${PAIRS}`);
    const [warm, cold] = [
      () => inTurn(() => waitOf(caller, true)),
      () => inTurn(() => waitOf(caller, false)),
    ];
    pairs.push(await inRandomOrder(warm, cold));
  }
  const burst: number[] = [];
  for (let round = 1; round <= BURSTS; round++) {
    say(`burst ${round} of ${BURSTS}`);
    await inTurn(async () => {
      for (let i = 0; i < SIZE; i++) burst.push(await waitOf(caller, true));
    });
  }
  const restores: [number, number][] = [];
  for (let round = 0; round <= RESTORES; round++) {
    say(`restore ${round} of ${RESTORES}`);
    const pair = await inTurn(() => spansOf(caller, true, 'user'));
    // The first round loads what restores need.
    if (round > 0) restores.push(pair);
  }
  caller.close();
  await stop(service);
  s3.disconnect();
  const warm = [...pairs.map(([one]) => one), ...burst];
  const ratiosOf = (measured: readonly (readonly [number, number])[]) =>
    measured.map(([one, other]) => one / other);
  const rowOf = (name: string, ratios: readonly number[], bound: object) =>
    row(name, median(ratios), quantile(ratios, 0.95), bound);
  const over = (limit: number) => warm.map((milliseconds) => milliseconds / limit);
  return {
    method: `The time from POST /v1/containers with start values until the call with the token reports that the container is ready, on the unix socket, for a user without files: for a container of a full pool of ${SIZE}, and for a new one, ${PAIRS} pairs in random order. Then ${BURSTS} times all containers of a pool, one after the other, while the pool is refilled. Then for a user with ${FILES / 1e6} MB of incompressible files, compared with the call with the token alone, which restores them, for the same container; ${RESTORES} rounds.`,
    rows: [
      rowOf('a warm container over a new one', ratiosOf(pairs), { median: 0.1 }),
      rowOf('a warm container over 25 ms', over(LONGEST_MEDIAN), { median: 1 }),
      row(
        'p99 of a warm container over 100 ms',
        quantile(warm, 0.99) / LONGEST_P99,
        Math.max(...warm) / LONGEST_P99,
        {
          median: 1,
        },
      ),
      rowOf(
        'a warm container during a refill of its pool, over 25 ms',
        burst.map((one) => one / LONGEST_MEDIAN),
        {},
      ),
      rowOf('with 10 MB of files, over their restore alone', ratiosOf(restores), { median: 1.25 }),
    ],
  };
};

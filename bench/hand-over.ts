/**
 * Measures how long a host is away when one service hands it over to the next, compared with a start that adopts as many
 * containers after a crash.
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { pathsBelow } from '../host/paths.ts';
import { IMAGE } from '../scripts/image.ts';
import { token } from '../test/support/callers.ts';
import { Operator } from '../test/support/operator.ts';
import { CLIENT_SECRET } from '../test/support/secrets.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { until } from '../test/support/site.ts';
import type { TestHost } from '../test/support/test-host.ts';
import { remove } from './containers.ts';
import { type Measure, ofPairs } from './measure.ts';

/** One for each console. */
const CONTAINERS = 54;
const ROUNDS = 7;
/** Milliseconds between an answer and the next call. */
const BETWEEN_CALLS = 5;
const NOBODY = '';

/** In milliseconds: without an answer, and until the service has completed its start. */
interface Away {
  readonly gap: number;
  readonly whole: number;
}

class Stage {
  readonly host: TestHost;
  readonly root: string;
  readonly docker: string[] = [];
  service: ServiceProcess;
  #port = 0;

  constructor(host: TestHost) {
    this.host = host;
    this.root = host.newRoot();
    this.service = this.#start();
  }

  #start(): ServiceProcess {
    return this.host.start({ env: { ROOT: this.root, LOG_LEVEL: 'info' }, launcher: [] });
  }

  async fill(say: (progress: string) => void): Promise<void> {
    const operator = new Operator(this.root);
    const startValues = { userId: NOBODY, clientAppAuthSecret: CLIENT_SECRET };
    const make = async () => {
      const { body } = await operator.ask('POST', '/v1/containers', {
        image: IMAGE,
        app: 'demo',
        startValues,
      });
      this.docker.push(body.docker);
      this.#port = body.port;
      say(`container ${this.docker.length} of ${CONTAINERS}`);
    };
    const limit = pLimit(4);
    await Promise.all(Array.from({ length: CONTAINERS }, () => limit(make)));
    await token(this.service, this.#port, { user_id: NOBODY });
  }

  /** @returns whether a call on a new connection is answered as it should be */
  async #answers(): Promise<boolean> {
    const { status } = await token(this.service, this.#port, { user_id: NOBODY }).catch(() => ({
      status: 0,
    }));
    return status === 200;
  }

  /** Calls until `over` has resolved and there was another answer. @returns when each answer came */
  async #callUntil(over: Promise<unknown>): Promise<number[]> {
    const answers: number[] = [];
    let isOver = false;
    void over.then(() => {
      isOver = true;
    });
    for (let isLast = false; !isLast; await pause(BETWEEN_CALLS)) {
      isLast = isOver;
      if (await this.#answers()) answers.push(performance.now());
      else isLast = false;
    }
    return answers;
  }

  async #completed(from = 0): Promise<number> {
    await this.service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
    return performance.now();
  }

  async handOver(): Promise<Away> {
    const from = this.service.lines.length;
    let beginning = 0;
    const begin = async () => {
      // The first answers come before it.
      await pause(20 * BETWEEN_CALLS);
      beginning = performance.now();
      this.service.child.kill('SIGUSR1');
      return await this.#completed(from);
    };
    const complete = begin();
    const answers = await this.#callUntil(complete);
    const gaps = answers.map((at, i) => at - (answers[i - 1] ?? at));
    return { gap: Math.max(...gaps), whole: (await complete) - beginning };
  }

  /** Kills the service and starts it again when the clean-up has left the containers to a `wait` process. */
  async dieAndStart(): Promise<Away> {
    const { run, waitLog } = pathsBelow(this.root);
    const [pid = ''] = readFileSync(join(run, 'lock'), 'utf8').split(' ');
    const ended = once(this.service.child, 'exit');
    execFileSync('kill', ['-KILL', pid]);
    await ended;
    const hosts = () => existsSync(waitLog) && readFileSync(waitLog, 'utf8').includes('"step":"containers"');
    await until('a wait process hosts the containers', hosts);
    const beginning = performance.now();
    this.service = this.#start();
    const complete = this.#completed();
    const [first = 0] = await this.#callUntil(complete);
    return { gap: first - beginning, whole: (await complete) - beginning };
  }
}

export const measure: Measure = async (say) => {
  process.env.TEST_SERVICE = join(import.meta.dirname, '../build/bundle/ecs-host-service.mjs');
  const { TestHost } = await import('../test/support/test-host.ts');
  await using host = await TestHost.open();
  const stage = new Stage(host);
  await stage.service.ready();
  await stage.fill(say);
  const pairs: [Away, Away][] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    const pair: [Away, Away] = [await stage.handOver(), await stage.dieAndStart()];
    // The first round compiles the code.
    if (round > 0) pairs.push(pair);
  }
  await remove(host, stage.docker);
  await stage.service.stop();
  const of = (name: 'gap' | 'whole') =>
    pairs.map(([ours, theirs]): [number, number] => [ours[name], theirs[name]]);
  return {
    method: `${CONTAINERS} assigned containers, the bundle under the launcher. A service hands its host over, while a caller calls 4678/tcp again and again, each time on a new connection. On the other side it is killed, and started again once the clean-up has ended; the gap is then from the start to the first answer of status 200. ${ROUNDS} rounds, in turns.`,
    rows: [
      ofPairs('longest gap of answers in a hand-over, over the gap of a start after a crash', of('gap'), {
        median: 1,
      }),
      ofPairs('a whole hand-over, over a whole start after a crash', of('whole'), { median: 1 }),
    ],
  };
};

/**
 * Nodes reach their wanted state although Docker is slow, refuses, loses answers, or is unreachable for a long time.
 * The clock is fake.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import type { Step } from '../../managed-nodes/plan/world.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { Chance } from '../support/chance.ts';
import { ReconcilerSite, turn } from '../support/reconciler-site.ts';

const gone = () => new ServiceError('docker.unavailable', { socket: '/x', why: 'no answer' });
const refused = () =>
  new ServiceError('docker.failed', { what: 'do it', why: 'busy' }, { cause: { statusCode: 500 } });

const specs = (round: number): NodeSpec[] => [
  {
    name: 'web',
    image: 'app:1',
    environment: { ROUND: `${round}` },
    ports: [{ containerPort: 80, hostPort: 80 }],
  },
  { name: 'api', image: 'app:1', environment: { ROUND: `${round}` } },
  { name: 'cron', image: 'app:1', environment: { ROUND: `${round}` }, update: { order: 'stop-first' } },
];

/** Fails in the way and as often as a seed determines. */
class Faults {
  readonly #chance: Chance;
  isOver = false;

  constructor(seed: number) {
    this.#chance = new Chance(seed);
  }

  readonly before = async (step: Step): Promise<void> => {
    const fault = this.isOver ? 9 : this.#chance.below(10);
    if (fault === 0) throw gone();
    // A container that Docker refuses to start is rejected in the end.
    if (fault === 1 && step.do !== 'start') throw refused();
    for (let turns = this.#chance.below(20); fault === 2 && turns > 0; turns--) await turn();
  };

  /** The step was carried out, and its answer is lost. */
  readonly after = (): void => {
    if (!this.isOver && this.#chance.below(10) === 0) throw gone();
  };

  readonly look = (): void => {
    if (!this.isOver && this.#chance.below(5) === 0) throw gone();
  };
}

test('nodes settle in their wanted state, however often Docker is slow, refuses, or loses an answer', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const faults = new Faults(seed);
    await using site = new ReconcilerSite(specs(0));
    Object.assign(site, { before: faults.before, after: faults.after, beforeLook: faults.look });
    for (let round = 1; round < 4; round++) {
      const { length } = site.docker.steps;
      while (site.docker.steps.length < length + 4) await turn();
      site.want(specs(round));
    }
    faults.isOver = true;
    for (const node of ['web', 'api', 'cron']) await site.until(node, 'running');
    await site.reconciler.until(() => site.reconciler.isAtRest, AbortSignal.timeout(5_000));
    assert.equal(site.docker.containers.size, 3, `seed ${seed}`);
    for (const { node, hash, rank, state } of site.docker.containers.values()) {
      const wanted = [site.docker.wanted.get(node)?.hash, 'current', 'running'];
      assert.deepEqual([hash, rank, state], wanted, `seed ${seed}: ${node}`);
    }
  }
});

test('while Docker is away for an hour, the service checks it less and less often, and nodes are unchanged afterwards', async () => {
  await using site = new ReconcilerSite(specs(0));
  await site.until('web', 'running');
  await site.reconciler.until(() => site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  const steps = site.docker.steps.length;
  const times: number[] = [];
  site.beforeLook = () => {
    times.push(site.docker.now);
    throw gone();
  };
  const begin = site.docker.now;
  site.reconciler.wake();
  while (site.docker.now < begin + 3_600_000) await turn();
  site.beforeLook = () => {};
  const looks = site.looks;
  while (site.looks < looks + 2) await turn();
  assert.ok(times.length < 30, `${times.length} looks in an hour`);
  assert.equal(site.docker.steps.length, steps, 'nothing was done');
});

/** What brings nodes to where they are wanted, with a Docker of the imagination that fails as it is told to. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { createLogger } from '../../logging/logger.ts';
import type { Rejected } from '../../managed-nodes/plan/world.ts';
import { RejectedFile } from '../../managed-nodes/rejected-file.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { stopNodes } from '../../managed-nodes/stop-nodes.ts';
import { digestOf } from '../support/nodes-model.ts';
import { ReconcilerSite, silentLog, turn } from '../support/reconciler-site.ts';

const WEB: NodeSpec = { name: 'web', image: 'app:1' };
test('nodes are brought up, and then only looked at every five minutes', async () => {
  await using site = new ReconcilerSite([WEB, { ...WEB, name: 'api' }]);
  await site.until('web', 'running');
  await site.until('api', 'running');
  await site.reconciler.until(() => site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  const steps = site.docker.steps.length;
  const [looks, begin] = [site.looks, site.docker.now];
  while (site.looks < looks + 4) await turn();
  assert.ok(site.docker.now - begin > 600_000, `four looks within ${site.docker.now - begin} ms`);
  assert.equal(site.docker.steps.length, steps);
});

test('a step that fails is repeated later and later, and holds up no other node', async () => {
  const times: number[] = [];
  await using site = new ReconcilerSite([WEB, { ...WEB, name: 'bad', image: 'gone:1' }]);
  site.before = (step) => {
    if (step.node !== 'bad') return;
    times.push(site.docker.now);
    throw new ServiceError('image.not_found', { image: 'gone:1', why: 'unknown' });
  };
  await site.until('web', 'running');
  await site.reconciler.until(() => times.length === 6, AbortSignal.timeout(5_000));
  const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  for (const [i, pause] of pauses.entries()) assert.ok(pause >= 1000 * 2 ** i, pauses.join());
  assert.equal(site.stateOf('bad'), 'backoff');
  assert.match(String(site.reconciler.known.get('bad')?.decision.cause), /gone:1/);
  site.before = () => {};
  site.docker.registry.set('gone:1', 'runs');
  await site.until('bad', 'running');
});

test('what was rejected is kept for the next service, with its exit code and last lines', async () => {
  await using site = new ReconcilerSite([{ ...WEB, image: 'app:2' }], 'exits');
  site.docker.put(WEB, 'healthy');
  await site.until('web', 'reverted');
  const [{ why, exitCode, lastLines } = {} as Rejected] = site.kept.at(-1) ?? [];
  assert.deepEqual([why, exitCode, lastLines], ['it exited with code 3', 3, ['boom']]);
  const rejected = new Map([['web', site.kept.at(-1)?.[0] as Rejected]]);
  await using next = new ReconcilerSite([{ ...WEB, image: 'app:2' }], 'exits', { rejected });
  next.docker.put(WEB, 'healthy');
  await next.until('web', 'reverted');
  assert.deepEqual(
    next.docker.steps.filter(({ do: what }) => what !== 'pull'),
    [],
    'it is not tried again',
  );
});

test('while Docker is gone nothing is lost, and it is looked at again', async () => {
  await using site = new ReconcilerSite([WEB]);
  await site.until('web', 'running');
  site.isDockerGone = true;
  site.want([{ ...WEB, environment: { A: 'b' } }]);
  const { looks } = site;
  while (site.looks < looks + 3) await turn();
  site.isDockerGone = false;
  const { hash = '' } = site.docker.wanted.get('web') ?? {};
  const isReplaced = () =>
    site.docker.world.actual.containers.some((one) => one.hash === hash && one.rank === 'current');
  await site.reconciler.until(isReplaced, AbortSignal.timeout(5_000));
});

test('a tag that moves is noticed at the next full look', async () => {
  await using site = new ReconcilerSite([WEB], 'runs');
  await site.until('web', 'running');
  site.docker.registry.set('app:1', 'healthy');
  const isNew = () =>
    site.docker.world.actual.containers.every(({ digest }) => digest === digestOf('app:1', 'healthy'));
  await site.reconciler.until(() => isNew() && site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  assert.equal(site.stateOf('web'), 'running');
});

test('a restart that is asked for is done once, and lets a rejected container be tried again', async () => {
  await using site = new ReconcilerSite([WEB]);
  await site.until('web', 'running');
  site.reconciler.restart('web');
  const restarts = () => site.docker.steps.filter(({ do: what }) => what === 'restart').length;
  await site.reconciler.until(() => restarts() > 0 && site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  assert.equal(restarts(), 1);
});

test('another spec is tried at once, whatever failed with the one before', async () => {
  await using site = new ReconcilerSite([{ ...WEB, image: 'gone:1' }]);
  const failing = Promise.withResolvers<void>();
  let times = 0;
  site.before = (step) => {
    if (step.do !== 'pull' || step.image !== 'gone:1') return;
    if (++times === 6) failing.resolve();
    throw new ServiceError('image.not_found', { image: 'gone:1', why: 'unknown' });
  };
  await failing.promise;
  await site.until('web', 'backoff');
  site.docker.registry.set('app:1', 'healthy');
  site.want([WEB]);
  assert.equal(site.reconciler.world.memory.get('web')?.failed, undefined);
  assert.equal(site.reconciler.plan()[0]?.do, 'pull');
  await site.until('web', 'running');
});

test('only a person who restarts a node has a rejected container tried again', async () => {
  await using site = new ReconcilerSite([{ ...WEB, image: 'app:2' }], 'exits');
  site.docker.put(WEB, 'healthy');
  await site.until('web', 'reverted');
  site.reconciler.restart('web');
  assert.ok(site.reconciler.world.memory.get('web')?.rejected);
  site.reconciler.tryAgain('web');
  assert.equal(site.reconciler.world.memory.get('web')?.rejected, undefined);
});

test('a step that is under way when the service ends is given up', async () => {
  const site = new ReconcilerSite([WEB]);
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  site.before = () => {
    resolve();
    return new Promise(() => {});
  };
  await begun;
  await site[Symbol.asyncDispose]();
  assert.deepEqual(site.docker.steps, []);
});

test('a look at Docker that fails is told once, and so is the first that succeeds again', async () => {
  const told: (string | undefined)[] = [];
  await using site = new ReconcilerSite([WEB], 'healthy', { tellLook: (why) => void told.push(why) });
  await site.until('web', 'running');
  site.isDockerGone = true;
  site.reconciler.wake();
  const { looks } = site;
  while (site.looks < looks + 3) await turn();
  site.isDockerGone = false;
  while (told.length < 2) await turn();
  assert.match(String(told[0]), /gone/);
  assert.deepEqual(told.slice(1), [undefined]);
});

test('a failure is forgotten once the node has reached its wanted state in another way', async () => {
  await using site = new ReconcilerSite([WEB]);
  await site.until('web', 'running');
  const [web] = site.docker.containers.values();
  let failures = 0;
  site.before = () => {
    // Docker answers late, and the container stops all the same.
    failures += 1;
    if (web) site.docker.containers.set(web.id, { ...web, rank: 'current', state: 'exited' });
    throw new ServiceError('docker.unavailable', { socket: '/x', why: 'timeout' });
  };
  site.want([{ ...WEB, stopped: true }]);
  await site.until('web', 'stopped');
  assert.equal(failures, 1);
  assert.equal(site.reconciler.world.memory.get('web')?.failed, undefined);
});

test('a rejection that is written last is the one that stays, however long an earlier write takes', async () => {
  const written: string[] = [];
  const slow = Promise.withResolvers<void>();
  const file = new RejectedFile('/rejected.json', async (_, content) => {
    if (content.includes('first')) await slow.promise;
    written.push(content);
  });
  const rejected = (why: string) => new Map([['web', { key: 'k', why, lastLines: [], at: 0 }]]);
  const both = [file.keep(rejected('first')), file.keep(rejected('second'))];
  await turn();
  slow.resolve();
  await Promise.all(both);
  assert.match(String(written.at(-1)), /second/);
});

/** Stops containers of a model. A stop resolves once all that run have been asked to stop. */
class StoppingDocker {
  readonly asked: string[] = [];
  readonly #all = Promise.withResolvers<void>();
  readonly #site: ReconcilerSite;
  readonly #count: number;

  constructor(site: ReconcilerSite, count: number) {
    this.#site = site;
    this.#count = count;
  }

  async stop(id: string, grace: number): Promise<void> {
    const one = this.#site.docker.containers.get(id as never);
    assert.equal(grace, 30);
    this.asked.push(String(one?.node));
    if (this.asked.length >= this.#count) this.#all.resolve();
    await this.#all.promise;
    if (one?.node === 'stuck') throw new ServiceError('docker.failed', { what: 'stop', why: 'it is stuck' });
    if (one) this.#site.docker.containers.set(one.id, { ...one, state: 'exited' });
  }
}

test('nodes are stopped side by side, one that does not stop holds back no other, and no step begins any more', async () => {
  await using site = new ReconcilerSite([WEB, { ...WEB, name: 'api' }, { ...WEB, name: 'stuck' }]);
  for (const node of ['web', 'api', 'stuck']) await site.until(node, 'running');
  await site.reconciler.until(() => site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  const docker = new StoppingDocker(site, 3);
  const steps = site.docker.steps.length;
  const errors: unknown[] = [];
  const log = createLogger({ level: 'error', stream: { write: (line: string) => void errors.push(line) } });
  const { reconciler } = site;
  await stopNodes({ reconciler, look: () => site.look(), docker: docker as never, log });
  assert.deepEqual(docker.asked.toSorted(), ['api', 'stuck', 'web']);
  assert.equal(errors.length, 1);
  site.reconciler.wake();
  const { looks } = site;
  while (site.looks < looks + 2) await turn();
  assert.equal(site.docker.steps.length, steps, 'they are not started again');
});

test('a container that a step under way starts during the stop is stopped too', async () => {
  await using site = new ReconcilerSite([WEB]);
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
  site.before = async (step) => {
    if (step.do !== 'start') return;
    begin();
    await allowed;
  };
  await begun;
  const docker = new StoppingDocker(site, 1);
  const stopping = stopNodes({
    reconciler: site.reconciler,
    look: () => site.look(),
    docker: docker as never,
    log: silentLog,
  });
  allow();
  await stopping;
  assert.deepEqual(docker.asked, ['web']);
});

test('an update is carried out when its window opens', async () => {
  const window = { opensAt: (now: number) => (now < 100_000_000 ? 100_000_000 : undefined) };
  await using site = new ReconcilerSite([WEB], 'healthy', { window });
  await site.until('web', 'running');
  const { hash } = site.docker.wanted.get('web') ?? {};
  site.want([{ ...WEB, environment: { A: 'b' } }]);
  await site.until('web', 'checking');
  assert.ok(site.docker.now >= 100_000_000);
  await site.until('web', 'running');
  assert.ok([...site.docker.containers.values()].every((one) => one.hash !== hash));
});

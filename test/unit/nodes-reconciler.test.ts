/** The reconciler brings nodes to their wanted state, with a simulated Docker that fails when told to. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { createLogger } from '../../logging/logger.ts';
import type { Rejected } from '../../managed-nodes/plan/world.ts';
import { RejectedFile } from '../../managed-nodes/rejected-file.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { stopNodes } from '../../managed-nodes/stop-nodes.ts';
import { digestOf } from '../support/conduct.ts';
import { ReconcilerSite, silentLog, turn } from '../support/reconciler-site.ts';

const WEB: NodeSpec = { name: 'web', image: 'app:1' };
test('nodes are started, and then checked only every five minutes', async () => {
  await using site = new ReconcilerSite([WEB, { ...WEB, name: 'api' }]);
  await site.until('web', 'running');
  await site.until('api', 'running');
  await site.reconciler.until(() => site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  const steps = site.docker.steps.length;
  const [looks, begin] = [site.looks, site.docker.now];
  while (site.looks < looks + 4) await turn();
  assert.ok(site.docker.now - begin > 800_000, `four looks within ${site.docker.now - begin} ms`);
  assert.equal(site.docker.steps.length, steps);
});

test('a failed step is retried with increasing delays, and delays no other node', async () => {
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

test('a rejection is kept for the next service, with the exit code and the last lines', async () => {
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

test('a change that arrives while Docker is away takes effect when Docker is back', async () => {
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

test('a moved tag is noticed at the next full check', async () => {
  await using site = new ReconcilerSite([WEB], 'runs');
  await site.until('web', 'running');
  site.docker.registry.set('app:1', 'healthy');
  const isNew = () =>
    site.docker.world.actual.containers.every(({ digest }) => digest === digestOf('app:1', 'healthy'));
  await site.reconciler.until(() => isNew() && site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  assert.equal(site.stateOf('web'), 'running');
});

test('a requested restart is carried out once', async () => {
  await using site = new ReconcilerSite([WEB]);
  await site.until('web', 'running');
  site.reconciler.restart('web');
  const restarts = () => site.docker.steps.filter(({ do: what }) => what === 'restart').length;
  await site.reconciler.until(() => restarts() > 0 && site.reconciler.isAtRest, AbortSignal.timeout(5_000));
  assert.equal(restarts(), 1);
});

test('a changed spec is tried at once, whatever failed with the previous one', async () => {
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

test('a rejected container is retried if a person requests the restart, and not if a feed does', async () => {
  await using site = new ReconcilerSite([{ ...WEB, image: 'app:2' }], 'exits');
  site.docker.put(WEB, 'healthy');
  await site.until('web', 'reverted');
  site.reconciler.restart('web');
  assert.ok(site.reconciler.world.memory.get('web')?.rejected);
  site.reconciler.tryAgain('web');
  assert.equal(site.reconciler.world.memory.get('web')?.rejected, undefined);
});

test('the end of the service aborts the steps in progress', async () => {
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

test('failing checks of Docker are reported once, and so is the first that succeeds again', async () => {
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

test('a failure is forgotten once the node has reached its wanted state', async () => {
  await using site = new ReconcilerSite([WEB]);
  await site.until('web', 'running');
  const [web] = site.docker.containers.values();
  let failures = 0;
  site.before = () => {
    // Docker answers late, but stops the container.
    failures += 1;
    if (web) site.docker.containers.set(web.id, { ...web, rank: 'current', state: 'exited' });
    throw new ServiceError('docker.unavailable', { socket: '/x', why: 'timeout' });
  };
  site.want([{ ...WEB, stopped: true }]);
  await site.until('web', 'stopped');
  assert.equal(failures, 1);
  assert.equal(site.reconciler.world.memory.get('web')?.failed, undefined);
});

test('the latest rejection stays in the file, however long an earlier write takes', async () => {
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

/** Stops containers of a model. A stop resolves once all running ones have been asked to stop. */
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

test('all nodes are stopped concurrently, a node that does not stop delays no other, and no new step begins', async () => {
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

test('a container that is started during the stop is stopped too', async () => {
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

test('a deferred update is carried out when the window opens', async () => {
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

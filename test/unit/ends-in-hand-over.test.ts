/** Containers that end while their service hands the host over: the receipt comes from whoever completes the end. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { takeOver } from '../../container/after-death/take-over.ts';
import type { HandedContainer } from '../../container/handed-over.ts';
import { spinUp } from '../../container/spin-up.ts';
import type { Cause } from '../../container/state.ts';
import { Watch } from '../../container/watching/watch.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { holdBack, hostOf, REQUEST } from '../support/container-host.ts';
import { pretendedResource } from '../support/resource.ts';

const KILLED: Cause = { code: 'exited', text: 'Docker was killed' };

/** A service with a container that exits after the service has written down what the next one must know. */
async function begin(t: TestContext) {
  const old = hostOf(t);
  old.tracker.host.ledger.open();
  const container = await spinUp(old.tracker, old.kept, REQUEST);
  const short = container.lend('something short-lived');
  await short.acquire(pretendedResource('short-lived'));
  // It is released first, because it was taken last.
  const slow = { begun: Promise.withResolvers<void>(), go: Promise.withResolvers<void>() };
  const release = () => {
    slow.begun.resolve();
    return slow.go.promise;
  };
  await container.lend('something slow').acquire(pretendedResource('slow', [], { release }));
  const handed = container.handed as HandedContainer;
  await short.end();
  const dockerId = container.dockerId as DockerId;
  const isReceipted = () => existsSync(join(old.root, `${container.id}.json`));
  /** The next service takes the host over. */
  const takeOverNow = async () => {
    await old.kept.leave(dockerId);
    const next = hostOf(t, old);
    const pages = next.tracker.host.ledger.open();
    await takeOver(next.tracker, next.kept, pages, { containers: [handed], kept: [] });
    return next;
  };
  return { old, container, slow, handed, dockerId, isReceipted, takeOver: takeOverNow };
}

test('the receipt of a container that ends during a hand-over comes from the service that completes the end, with every release', async (t) => {
  const { old, container, slow, handed, dockerId, isReceipted, takeOver: takeOverNow } = await begin(t);
  old.docker.states.set(dockerId, 'exited');
  const ended = container.end(KILLED);
  await slow.begun.promise;
  const left = container.leave('an upgrade');
  slow.go.resolve();
  await Promise.all([left, ended]);
  assert.ok(!isReceipted(), 'this service did not release everything');

  const next = await takeOverNow();
  const [adopted] = next.tracker.list();
  await adopted?.end(KILLED);
  await next.kept.remove(dockerId);
  const { resources } = await next.tracker.host.receipts.find(container.id);
  const namesIn = (some: readonly { readonly kind: string; readonly what: string }[]) =>
    new Set(some.map(({ kind, what }) => `${kind} ${what}`));
  assert.deepEqual(namesIn(resources), namesIn(handed.receipt.resources));
  assert.deepEqual(
    resources.filter(({ released }) => !released),
    [],
  );
  const found = resources.find(({ what }) => what === 'short-lived');
  assert.equal(found?.seen, 'the previous service removed it from the ledger');
});

test('a container that is left before Docker has proven its end gets no receipt', async (t) => {
  const { old, container, dockerId, isReceipted, takeOver: takeOverNow } = await begin(t);
  old.docker.states.set(dockerId, 'exited');
  const proof = holdBack(old.docker, 'inspect');
  const ended = container.end(KILLED);
  await proof.reached;
  await container.leave('an upgrade');
  proof.go();
  await ended;
  assert.ok(!isReceipted());
  const next = await takeOverNow();
  assert.deepEqual(
    next.tracker.list().map(({ id }) => id),
    [container.id],
  );
});

test('a service that has left its containers to another process does not take them for strays', async (t) => {
  const { old, container, dockerId } = await begin(t);
  const { docker, kept, tracker, lifetime } = old;
  tracker.letGo();
  await container.leave('an upgrade');
  await kept.leave(dockerId);
  const time = Math.floor(Date.now() / 1000);
  docker.told.push({ action: 'start', dockerId, containerId: container.id, time, exitCode: undefined });
  // As when Docker was restarted: the containers are listed again.
  const asked = Promise.withResolvers<void>();
  let inspections = 0;
  docker.before = (call) => {
    if (call === 'inspect' && ++inspections === 2) asked.resolve();
  };
  await Watch.open(lifetime, tracker, kept);
  await asked.promise;
  await lifetime.end();
  assert.equal(docker.states.get(dockerId), 'running');
});

test('if the previous service has completed the end, the next one keeps the Docker container, and adds its removal to the receipt', async (t) => {
  const { old, container, slow, dockerId, isReceipted, takeOver: takeOverNow } = await begin(t);
  old.docker.states.set(dockerId, 'exited');
  slow.go.resolve();
  await container.end(KILLED);
  await container.leave('an upgrade');
  assert.ok(isReceipted());
  const next = await takeOverNow();
  assert.deepEqual(next.tracker.list(), []);
  assert.deepEqual(
    next.kept.ended.map((one) => one.dockerId),
    [dockerId],
  );
  const { receipts } = next.tracker.host;
  const held = async () => (await receipts.find(container.id)).resources.filter(({ released }) => !released);
  assert.deepEqual(
    (await held()).map(({ kind }) => kind),
    ['docker container'],
  );
  await next.kept.remove(dockerId);
  assert.deepEqual(await held(), []);
});

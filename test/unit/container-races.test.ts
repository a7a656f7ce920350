/** Events between two steps of a container's life, at exactly that moment. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as turn } from 'node:timers/promises';
import { WarmPools } from '../../container/pool/warm-pools.ts';
import { spinUp } from '../../container/spin-up.ts';
import type { Cause } from '../../container/state.ts';
import { Watch } from '../../container/watching/watch.ts';
import type { Exchange } from '../../ecs-agent-bridge/docker-proxy/connection.ts';
import { HostedCalls } from '../../ecs-agent-bridge/docker-proxy/hosted-calls.ts';
import { parseRequest } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { DeadlineError } from '../../lifetime/deadline.ts';
import { holdBack, hostOf, REQUEST } from '../support/container-host.ts';

const because = (text: string): Cause => ({ code: 'exited', text });
const never = () => assert.fail('Docker must not create it');

test('a container whose end arrives while Docker creates it is never started', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  const create = holdBack(docker, 'create');
  const spunUp = spinUp(tracker, kept, REQUEST);
  await create.reached;
  const ended = tracker.endAll(because('on purpose'));
  create.go();
  await assert.rejects(spunUp);
  await ended;
  assert.ok(!docker.calls.includes('start'), docker.calls.join(' '));
  assert.equal(docker.states.size, 0);
});

test('the stop of a container that Docker is creating is answered once it is gone, and its creator gets an error', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  const create = holdBack(docker, 'create');
  const spunUp = spinUp(tracker, kept, REQUEST);
  await create.reached;
  const [container] = tracker.list();
  const stopped = container?.stop(because('an operator'));
  create.go();
  await assert.rejects(spunUp, { code: 'create.ended_at_once' });
  await stopped;
  assert.equal(docker.states.size, 0);
  assert.equal((await tracker.host.receipts.find(container?.id ?? '')).docker, container?.dockerId);
});

test('a container whose end arrives while Docker starts it is stopped before anything is released', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  const start = holdBack(docker, 'start');
  const spunUp = spinUp(tracker, kept, REQUEST);
  await start.reached;
  const ended = tracker.endAll(because('on purpose'));
  start.go();
  await assert.rejects(spunUp, { code: 'create.ended_at_once' });
  await ended;
  assert.ok(docker.calls.indexOf('stop') > docker.calls.indexOf('start'), docker.calls.join(' '));
});

test('users who come at the same time get different warm containers, and one who comes too late gets the reason', async (t) => {
  const { lifetime, kept, tracker } = hostOf(t);
  const pools = new WarmPools(lifetime, {
    tracker,
    kept,
    findImage: async (image) => image,
    count: () => {},
  });
  pools.set('demo', {
    size: 2,
    maxAge: 60,
    pull: 'missing',
    asked: undefined,
    isPermanent: false,
    request: REQUEST,
  });
  const isFull = () => pools.named('demo').ready === 2;
  for (let i = 0; i < 1000 && !isFull(); i++) await turn(5);
  const values = { dpi: null, containerArn: '', clientAppAuthSecret: 'a secret' };
  const claim = (userId: string) =>
    pools.claim(REQUEST, 'missing', async ({ setUp }) => await setUp?.assign({ ...values, userId }));
  const claimed = await Promise.all(['one', 'one', 'two'].map(claim));
  const found = claimed.flatMap((one) => (one && 'container' in one ? one.container.id : []));
  assert.equal(new Set(found).size, 2);
  assert.deepEqual(claimed[2], { why: 'no container of the pool demo was ready' });
  assert.deepEqual(
    tracker.list().map(({ id, view }) => [found.includes(id), view.claimed, view.pool]),
    [
      [true, true, undefined],
      [true, true, undefined],
    ],
  );
});

test('a container that starts after Docker was listed is not considered dead', async (t) => {
  const { docker, lifetime, kept, tracker } = hostOf(t);
  const list = holdBack(docker, 'list');
  const watching = Watch.open(lifetime, tracker, kept);
  await list.reached;
  await spinUp(tracker, kept, REQUEST);
  list.go();
  await watching;
  assert.ok(tracker.setUpAt(32_262));
  assert.ok(!docker.calls.includes('stop'));
});

test('a container that Docker reported as ended and still lists as running is ended', async (t) => {
  const { docker, lifetime, kept, tracker } = hostOf(t);
  const { dockerId = never() } = await spinUp(tracker, kept, REQUEST);
  const time = Math.floor(Date.now() / 1000);
  docker.told.push({ action: 'die', dockerId, containerId: undefined, time, exitCode: '0' });
  const [container] = tracker.list();
  await Watch.open(lifetime, tracker, kept);
  await container?.gone;
  assert.deepEqual(tracker.list(), []);
});

test('a container whose client disconnects before it is answered is removed', async (t) => {
  const { docker, tracker } = hostOf(t);
  const calls = new HostedCalls({ tracker, pass: (work) => work() });
  const request = parseRequest(Buffer.from('POST /v1.41/containers/create HTTP/1.1\r\n\r\n'));
  const data = Buffer.from('{"Image":"a","Labels":{"ecs-host-service.interactive":"true"}}');
  const made = Buffer.from(`{"Id":"${'a'.repeat(64)}"}`);
  const exchange: Exchange = {
    request,
    signal: new AbortController().signal,
    at: () => assert.fail('this must not be called'),
    read: async () => ({ bytes: data, data }),
    forward: async () => assert.fail('the create must not be passed on unchanged'),
    ask: async () => ({ status: 201, bytes: made, data: made }),
    reply: async () => false,
    refuse: async (_, message) => assert.fail(message),
  };
  assert.equal(await calls.handlerOf(request)?.(exchange), false);
  assert.equal(docker.calls.at(-1), 'remove');
  assert.deepEqual(tracker.list(), []);
});

test('an event stream whose listing fails is closed before the next one is opened', async (t) => {
  const { docker, lifetime, kept, tracker } = hostOf(t);
  let failures = 3;
  docker.before = (call) => {
    if (call === 'list' && failures-- > 0) throw new Error('list fails');
  };
  const watch = await Watch.open(lifetime, tracker, kept);
  assert.deepEqual(
    docker.streams.map(({ aborted }) => aborted),
    [true, true, true, false],
  );
  assert.equal(watch.silence, undefined);
});

test('a Docker container that could not be removed stays recorded until a later attempt removes it', async (t) => {
  const { docker, lifetime, kept, tracker } = hostOf(t);
  const { dockerId = never() } = await spinUp(tracker, kept, REQUEST);
  docker.before = (call) => {
    if (call === 'remove') throw new Error('device busy');
  };
  await kept.remove(dockerId);
  assert.ok(lifetime.holdings.list().some(({ kind }) => kind === 'docker container'));
  docker.before = () => {};
  await lifetime.holdings.retry();
  assert.ok(!lifetime.holdings.list().some(({ kind }) => kind === 'docker container'));
  assert.equal(docker.states.size, 0);
});

test('a container that is started again during its end is stopped before its console is released', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  const { dockerId = never() } = await spinUp(tracker, kept, REQUEST);
  docker.states.set(dockerId, 'exited');
  let inspections = 0;
  docker.before = (call) => {
    // After the first check has found that it does not run.
    if (call === 'inspect' && ++inspections === 2) docker.states.set(dockerId, 'running');
  };
  await tracker.endAll(because('it died'));
  assert.equal(docker.states.get(dockerId), 'exited');
  assert.ok(docker.calls.includes('stop'));
});

test('a drain refuses containers at once, and is complete when the last existing container is gone', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  await spinUp(tracker, kept, REQUEST);
  const create = holdBack(docker, 'create');
  const spunUp = spinUp(tracker, kept, REQUEST);
  await create.reached;
  const [inUse, beingMade] = tracker.list();
  let over = false;
  const drained = tracker.drain().then(() => {
    over = true;
  });
  await assert.rejects(spinUp(tracker, kept, REQUEST), { code: 'service.draining' });
  create.go();
  await spunUp;
  assert.ok(tracker.setUpAt(inUse?.identifyingPort ?? 0), 'it takes part in set-up calls as before');
  await inUse?.end(because('it ended'));
  assert.equal(over, false);
  await beingMade?.end(because('it ended'));
  await drained;
});

test('a stop during a drain refuses containers like any stop, and a later drain does not change that', async (t) => {
  const { kept, tracker } = hostOf(t);
  await spinUp(tracker, kept, REQUEST);
  const drained = tracker.drain();
  await tracker.endAll(because('on purpose'));
  await drained;
  await tracker.drain();
  await assert.rejects(spinUp(tracker, kept, REQUEST), { code: 'service.stopping' });
});

test('a start that hangs until its deadline leaves nothing behind, and the next container gets the same resources', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  docker.before = (asked) => {
    if (asked === 'start') throw new DeadlineError('start the container', 60_000);
  };
  await assert.rejects(spinUp(tracker, kept, REQUEST), /start the container did not finish within 60000 ms/);
  assert.equal(docker.states.size, 0, 'Docker made one, and it was removed');
  assert.deepEqual(tracker.list(), []);
  docker.before = () => {};
  await spinUp(tracker, kept, REQUEST);
  assert.equal(tracker.list()[0]?.identifyingPort, 32_262);
});

/** What can come between two steps of a container's life, at exactly that moment. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pLimit from 'p-limit';
import { DiskQuotas } from '../../container/disk-quotas.ts';
import { Events } from '../../container/events.ts';
import { KeptContainers } from '../../container/kept-containers.ts';
import type { Placed } from '../../container/network/apart.ts';
import { HostPorts } from '../../container/network/host-ports.ts';
import { Receipts } from '../../container/receipts.ts';
import { spinUp } from '../../container/spin-up.ts';
import type { Cause } from '../../container/state.ts';
import { Tracker } from '../../container/tracker.ts';
import { Watch } from '../../container/watching/watch.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { Exchange } from '../../ecs-agent-bridge/docker-proxy/connection.ts';
import { HostedCalls } from '../../ecs-agent-bridge/docker-proxy/hosted-calls.ts';
import { parseRequest } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { pathsBelow } from '../../host/paths.ts';
import { DeadlineError } from '../../lifetime/deadline.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { Ledger } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { Terminals } from '../../ttys/terminals.ts';
import { Ttys } from '../../ttys/ttys.ts';
import { FakeDocker } from '../support/fake-docker.ts';

const REQUEST = { appName: 'a', appImage: 'a', mounts: [], protocolTimeout: 0 };
const because = (text: string): Cause => ({ code: 'exited', text });
const never = () => assert.fail('Docker made it');
const silent = { write: () => {} };

/** A host with a Docker that can be held back. */
function hostOf(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'races-'));
  mkdirSync(join(root, 'fractal/temp'), { recursive: true });
  const docker = new FakeDocker();
  const lifetime = new Lifetime('test');
  const log = createLogger({ level: 'error', stream: silent });
  const surroundings = {
    hostId: 'host',
    paths: pathsBelow(root),
    docker: docker.asDocker,
    ledger: new Ledger(join(root, 'ledger')),
    ports: new HostPorts([32_262, 32_263, 32_273, 32_274, 32_275], async () => true),
    ttys: new Ttys([10, 11], async () => true),
    allowed: new Map(),
    eventNumbers: undefined,
    keeping: undefined,
    limitPreparations: pLimit(4),
    seccompProfile: undefined,
    limits: {
      pids: undefined,
      memory: undefined,
      canLimitSwap: true,
      log: undefined,
      logDriver: 'json-file',
    },
    receipts: new Receipts(root, log),
    events: new Events(),
    descriptors: new Descriptors(),
    cgroupDriver: 'cgroupfs',
    quotas: new DiskQuotas({ directories: [], amount: undefined, docker: docker.asDocker, log }),
    apart: {
      start: async (one: Placed, run: (id: DockerId) => Promise<void>) => await run(one.dockerId),
      adopt: async () => {},
    },
    terminals: new Terminals({ all: 0, each: 0, idle: 0, hostUser: undefined }, log),
    log,
  };
  const kept = new KeptContainers(docker.asDocker, 'host', lifetime);
  const tracker = new Tracker(surroundings, lifetime);
  t.after(async () => {
    docker.before = () => {};
    await lifetime.end();
    await lifetime.holdings.retry();
    assert.deepEqual(lifetime.holdings.list(), [], 'something is still held');
    rmSync(root, { recursive: true });
  });
  return { docker, lifetime, kept, tracker };
}

/** Holds back the first answer to `call`: `reached` resolves when it was asked for, `go` lets it be given. */
function holdBack(docker: FakeDocker, call: string) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  docker.before = async (asked) => {
    if (asked !== call) return;
    docker.before = () => {};
    reached.resolve();
    await go.promise;
  };
  return { reached: reached.promise, go: go.resolve };
}

test('a container whose end came while Docker made it is never started', async (t) => {
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

test('a container that is stopped while Docker creates it is gone when the stop is answered, and its creator gets an error', async (t) => {
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

test('a container whose end comes while Docker starts it is stopped before anything is released', async (t) => {
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

test('a container that began to serve after Docker was listed is not taken for dead', async (t) => {
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

test('a container that Docker told of as ended and still lists as running is ended', async (t) => {
  const { docker, lifetime, kept, tracker } = hostOf(t);
  const { dockerId = never() } = await spinUp(tracker, kept, REQUEST);
  const time = Math.floor(Date.now() / 1000);
  docker.told.push({ action: 'die', dockerId, containerId: undefined, time, exitCode: '0' });
  const [container] = tracker.list();
  await Watch.open(lifetime, tracker, kept);
  await container?.gone;
  assert.deepEqual(tracker.list(), []);
});

test('a container whose client has gone before it could be told is taken down', async (t) => {
  const { docker, tracker } = hostOf(t);
  const calls = new HostedCalls({ tracker, pass: (work) => work() });
  const request = parseRequest(Buffer.from('POST /v1.41/containers/create HTTP/1.1\r\n\r\n'));
  const data = Buffer.from('{"Image":"a","Labels":{"ecs-host-service.interactive":"true"}}');
  const made = Buffer.from(`{"Id":"${'a'.repeat(64)}"}`);
  const exchange: Exchange = {
    request,
    signal: new AbortController().signal,
    at: () => assert.fail('it is not there yet'),
    read: async () => ({ bytes: data, data }),
    forward: async () => assert.fail('it is hosted'),
    ask: async () => ({ status: 201, bytes: made, data: made }),
    reply: async () => false,
    refuse: async (_, message) => assert.fail(message),
  };
  assert.equal(await calls.handlerOf(request)?.(exchange), false);
  assert.equal(docker.calls.at(-1), 'remove');
  assert.deepEqual(tracker.list(), []);
});

test('an event stream whose list fails is closed before the next one is opened', async (t) => {
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

test('a Docker container whose removal fails is held until a later attempt removes it', async (t) => {
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

test('a container that is started again while it ends is stopped, and its console not released before', async (t) => {
  const { docker, kept, tracker } = hostOf(t);
  const { dockerId = never() } = await spinUp(tracker, kept, REQUEST);
  docker.states.set(dockerId, 'exited');
  let inspections = 0;
  docker.before = (call) => {
    // After the first look at it has found that it does not run.
    if (call === 'inspect' && ++inspections === 2) docker.states.set(dockerId, 'running');
  };
  await tracker.endAll(because('it died'));
  assert.equal(docker.states.get(dockerId), 'exited');
  assert.ok(docker.calls.includes('stop'));
});

test('a drain refuses containers at once, and is over when the last one that it found is gone', async (t) => {
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

test('a stop amid a drain refuses containers as any stop does, and a drain that comes later changes that no more', async (t) => {
  const { kept, tracker } = hostOf(t);
  await spinUp(tracker, kept, REQUEST);
  const drained = tracker.drain();
  await tracker.endAll(because('on purpose'));
  await drained;
  await tracker.drain();
  await assert.rejects(spinUp(tracker, kept, REQUEST), { code: 'service.stopping' });
});

test('a start that hangs until its time is over leaves nothing, and the next container gets the same resources', async (t) => {
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

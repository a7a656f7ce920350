/** EchoStream's services fail while a host runs its nodes. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { unlessStatus } from '../../docker-engine/failures.ts';
import type { Break } from '../../packages/echostream-node/test/support/fault-proxy.ts';
import { EchoStreamApp } from '../support/echostream-app.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const { host, registry } = await hostForNodes();
const app = await EchoStreamApp.open();
after(() => app[Symbol.asyncDispose]());
afterEach(() => {
  app.proxy.decide = () => 'pass';
});

type Part = 'Cognito' | 'AppSync' | 'SQS';

/** Its health check accepts a new container sooner than the time would that it must run otherwise. */
const IMAGE = registry.addScript('echo', RUNS, 'true');
const SIGN_IN = ['InitiateAuth', 'RespondToAuthChallenge'];
/** This change concerns no node. It only ends a long poll that began before a fault. */
const OTHER = { type: 'Function' };
const TYPE = { type: 'ManagedNodeType', name: 'http' };

function partOf(action: string): Part {
  if (action === '') return 'AppSync';
  return SIGN_IN.includes(action) ? 'Cognito' : 'SQS';
}

/** Each round is another spec. */
function web(round: number): object {
  return {
    __typename: 'ManagedNode',
    managedNodeType: { imageUri: IMAGE, name: 'http' },
    mounts: [{ target: `/round-${round}` }],
    name: 'web',
    ports: [],
    stopped: false,
  };
}

async function changeOfType(round: number): Promise<void> {
  await app.change({ ...TYPE, imageUri: `app:${round}` }, { ...TYPE, imageUri: `app:${round - 1}` });
}

async function untilRound(site: NodeSite, round: number): Promise<void> {
  const isThere = async () => {
    await site.until('web', 'running', /^as wanted$/);
    // A replacement that began meanwhile may be between the removal of the old container and the new one's name.
    const found = await site.inspect('web').catch(unlessStatus(404));
    return found?.Mounts.some(({ Destination }) => Destination === `/round-${round}`) ?? false;
  };
  while (!(await isThere()));
  while ((await app.waiting()) > 0) await site.view('web');
}

async function clear(site: NodeSite): Promise<void> {
  rmSync(`${site.root}/var/log`, { recursive: true, force: true });
  await site.clear();
}

test('while Cognito, AppSync or SQS is unreachable, throttles, or refuses tokens, nodes run on, and a change takes effect afterwards', async () => {
  const site = new NodeSite(host);
  await app.want([web(0)]);
  const service = await site.start(app.env);
  await untilRound(site, 0);
  const faults: readonly (readonly [Part, Break])[] = [
    ['Cognito', 'refuse'],
    ['Cognito', 'throttle'],
    ['AppSync', 'refuse'],
    ['AppSync', 'throttle'],
    ['AppSync', 'reset'],
    ['SQS', 'refuse'],
    ['SQS', 'throttle'],
    ['SQS', 'expire'],
  ];
  for (const [i, [part, kind]] of faults.entries()) {
    const { Id } = await site.inspect('web');
    let broken = 0;
    app.proxy.decide = (action) => {
      if (partOf(action) !== part) return part === 'Cognito' && action === '' ? 'expire' : 'pass';
      broken += 1;
      return kind;
    };
    await app.want([web(i + 1)]);
    await (part === 'SQS' ? app.change(OTHER, null) : changeOfType(i + 1));
    while (broken < 3) await site.view('web');
    const { Id: now, State } = await site.inspect('web');
    assert.deepEqual([now, State.Running], [Id, true], `${part}: ${kind}`);
    if (part === 'SQS') await changeOfType(i + 1);
    app.proxy.decide = () => 'pass';
    await untilRound(site, i + 1);
  }
  app.proxy.decide = () => 'slow';
  await app.want([web(100)]);
  await changeOfType(100);
  await untilRound(site, 100);
  assert.ok(!service.lines.some((line) => JSON.stringify(line).includes(app.env.PASSWORD)));
  assert.equal(await service.stop(), 0);
  await clear(site);
});

test('a service that starts while EchoStream is unreachable says so, and leaves its nodes running until EchoStream answers', async () => {
  const site = new NodeSite(host);
  await app.want([web(0)]);
  let service = await site.start(app.env);
  await untilRound(site, 0);
  assert.equal(await service.stop(), 0);
  const { Id } = await site.inspect('web');
  app.proxy.decide = () => 'refuse';
  await app.want([web(1)]);
  service = await site.start(app.env);
  while (!(await site.operator.get('/v1/nodes')).body.feedError) await site.inspect('web');
  const { Id: now, State } = await site.inspect('web');
  assert.deepEqual([now, State.Running], [Id, true]);
  app.proxy.decide = () => 'pass';
  await untilRound(site, 1);
  assert.equal(await service.stop(), 0);
  await clear(site);
});

test('changes that are repeated, late or out of order replace a container only once', async () => {
  const site = new NodeSite(host);
  await app.want([web(0)]);
  const service = await site.start(app.env);
  await untilRound(site, 0);
  const from = service.lines.length;
  await app.want([web(3)]);
  for (const round of [3, 1, 3, 2, 3]) await changeOfType(round);
  await untilRound(site, 3);
  const created = service.lines
    .slice(from)
    .filter(({ msg, step }) => msg === 'a step of a node' && (step as { do: string }).do === 'create');
  assert.equal(created.length, 1);
  assert.equal(await service.stop(), 0);
  await clear(site);
});

test('a host whose app was removed is powered off only with ON_APP_REMOVED=poweroff, and only when its nodes are stopped', async () => {
  // Even the real systemctl would reach no systemd here.
  assert.equal(existsSync('/run/systemd'), false);
  const bin = '/run/test/stand-in';
  const calls = `${bin}/calls`;
  mkdirSync(bin, { recursive: true });
  writeFileSync(`${bin}/systemctl`, `#!/bin/sh\necho "$*" >> ${calls}\n`, { mode: 0o755 });
  for (const ON_APP_REMOVED of ['stop', 'poweroff']) {
    const site = new NodeSite(host);
    await app.want([web(0)]);
    const service = await site.start({ ...app.env, ON_APP_REMOVED, PATH: `${bin}:${process.env.PATH}` });
    await untilRound(site, 0);
    await app.want(null);
    await app.change(null, { type: 'ManagedApp', name: 'demo' });
    await site.until('web', 'stopped');
    while ((await app.waiting()) > 0) await site.view('web');
    assert.equal((await site.inspect('web')).State.Running, false);
    assert.equal(existsSync(calls), ON_APP_REMOVED === 'poweroff');
    const indexOf = (isIt: (line: (typeof service.lines)[number]) => boolean) =>
      service.lines.findIndex(isIt);
    const off = indexOf(
      ({ msg }) => msg === 'the app was removed from EchoStream, so this host is powered off',
    );
    if (ON_APP_REMOVED === 'stop') assert.equal(off, -1);
    else assert.ok(off > indexOf(({ msg, state }) => msg === 'node' && state === 'stopped'));
    assert.equal(await service.stop(), 0);
    await clear(site);
  }
  assert.equal(readFileSync(calls, 'utf8'), 'poweroff\n');
});

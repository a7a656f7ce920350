/** The feed of EchoStream: the requests that each change causes, and when a change is acknowledged. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '../../logging/logger.ts';
import { awsLogs } from '../../managed-nodes/feeds/aws-logs.ts';
import { EchoStreamFeed } from '../../managed-nodes/feeds/echostream-feed.ts';
import type { WantedApp } from '../../managed-nodes/feeds/feed.ts';
import { type ManagedApp, type ManagedNodeAnswer, specOf } from '../../managed-nodes/feeds/managed-app.ts';
import { reactionTo } from '../../managed-nodes/feeds/reaction.ts';
import { RememberedAppFile } from '../../managed-nodes/feeds/remembered-app.ts';
import { eventually, World } from '../../packages/echostream-node/test/support/world.ts';

const NODE: ManagedNodeAnswer = {
  name: 'web',
  managedNodeType: { name: 'http', imageUri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1' },
  mounts: [{ source: null, target: '/data' }],
  ports: [{ containerPort: 80, hostAddress: null, hostPort: 8080, protocol: 'tcp' }],
  receiveMessageType: { name: 'text' },
  sendMessageType: null,
};
const PLACE = { app: 'app', nodes: [NODE, { ...NODE, name: 'api', receiveMessageType: { name: 'json' } }] };
const LOOK = { concerns: true, restart: [] };
const NONE = { concerns: false, restart: [] };
const RESTART = (...restart: string[]) => ({ concerns: true, restart });
const ALL = RESTART('web', 'api');

const tenant = { type: 'Tenant', name: 't' };
const app = { type: 'ManagedApp', name: 'app' };
const node = { type: 'ManagedNode', name: 'web', app: 'app' };
const type = { type: 'ManagedNodeType', name: 'http', imageUri: 'a:1' };
const message = { type: 'MessageType', name: 'text', auditor: 'a' };
const edge = { type: 'Edge', source: 'other', target: 'web' };

/** By the kind of change: the resource after it, the resource before it, and the expected reaction. */
const ROWS: readonly (readonly [string, object | undefined, object | undefined, object])[] = [
  ['the tenant was edited', tenant, tenant, ALL],
  ['a tenant is new', tenant, undefined, NONE],
  ['the app was edited', app, app, ALL],
  ['the app is new', app, undefined, NONE],
  ['another app was edited', { ...app, name: 'x' }, { ...app, name: 'x' }, NONE],
  ['the app was marked as removed', { ...app, removed: true }, app, { ...LOOK, isAppRemoved: true }],
  ['the app is gone', undefined, app, { ...LOOK, isAppRemoved: true }],
  ['a node is new', node, undefined, LOOK],
  ['a node was edited', node, node, RESTART('web')],
  ['a node of another app was edited', { ...node, app: 'x' }, { ...node, app: 'x' }, NONE],
  ['a node that is not known was edited', { ...node, name: 'x' }, { ...node, name: 'x' }, LOOK],
  ['a node was marked as removed', { ...node, removed: true }, node, LOOK],
  ['a node is gone', undefined, node, LOOK],
  ['a type got another image', { ...type, imageUri: 'a:2' }, type, LOOK],
  ['a type was edited otherwise', { ...type, description: 'x' }, type, NONE],
  ['a type is new', type, undefined, NONE],
  ['a message type got another auditor', { ...message, auditor: 'b' }, message, RESTART('web')],
  ['a message type that nobody uses got one', { ...message, name: 'x', auditor: 'b' }, message, LOOK],
  ['a message type was edited otherwise', { ...message, description: 'x' }, message, NONE],
  ['an edge is new', edge, undefined, RESTART('web')],
  ['an edge is gone', undefined, { ...edge, source: 'api' }, ALL],
  ['an edge was edited', edge, edge, NONE],
  ['something else happened', { type: 'Function' }, undefined, NONE],
];

for (const [what, now, old, expected] of ROWS) {
  test(`the host does what is needed when ${what}`, () => {
    const change = {
      datetime: '',
      lastModified: { at: '', by: '' },
      system: false,
      tenant: 't',
      new: now,
      old,
    };
    assert.deepEqual(reactionTo(change as never, PLACE), expected);
  });
}

const IDENTITY = {
  appsyncEndpoint: 'https://api',
  clientId: 'client',
  password: 'p',
  tenant: 't',
  userPoolId: 'us-east-1_x',
  username: 'user',
};

test('a node of EchoStream has the environment, labels, mounts and ports that its programs expect', () => {
  assert.deepEqual(specOf({ ...NODE, stopped: true, loggingLevel: 'DEBUG' }, IDENTITY), {
    name: 'web',
    type: 'http',
    image: NODE.managedNodeType.imageUri,
    environment: {
      APPSYNC_ENDPOINT: 'https://api',
      CLIENT_ID: 'client',
      NODE: 'web',
      PASSWORD: 'p',
      TENANT: 't',
      USER_NAME: 'user',
      USER_POOL_ID: 'us-east-1_x',
    },
    labels: { managed_node_type: 'http', receive_message_type: 'text' },
    mounts: [{ target: '/data' }],
    ports: [{ containerPort: 80, hostPort: 8080, protocol: 'tcp' }],
    loggingLevel: 'DEBUG',
    stopped: true,
  });
});

test("a node's output goes to its own log stream in CloudWatch, without blocking the node", () => {
  const { Type, Config } = awsLogs('/echostream/app', 'web', 'eu-west-1', new Date('2026-03-04T05:06:07Z'));
  assert.equal(Type, 'awslogs');
  assert.equal(Config['awslogs-group'], '/echostream/app/node/web');
  assert.match(Config['awslogs-stream'] ?? '', /^2026\/03\/04\/[0-9a-f]{32}$/);
  assert.deepEqual(
    [Config.mode, Config['awslogs-create-group'], Config['max-buffer-size']],
    ['non-blocking', 'true', '4m'],
  );
});

const TENANT = { region: 'eu-west-1' };
const APP = { nodes: [NODE, {}], tenant: TENANT };

class Place implements AsyncDisposable {
  readonly world: World;
  remembered: ManagedApp | undefined;
  now = 0;
  readonly wanted: (WantedApp & { readonly restart: readonly string[] })[] = [];
  readonly failures: string[] = [];
  removed = 0;
  /** The promise that the feed waits for. */
  effect: Promise<void> = Promise.resolve();
  readonly #end = new AbortController();
  readonly #following: Promise<void>;
  readonly feed: EchoStreamFeed;

  static async open(remembered?: ManagedApp, now: object | null = APP, interval = 3_600_000): Promise<Place> {
    const world = await World.start();
    world.queue('changes');
    const { receiveEdges: _, sendEdges: __, ...receiver } = world.node;
    const receiveEdge = { queue: world.queueUrl('changes'), source: { name: 'App Change Router' } };
    world.node = { ...receiver, __typename: 'AppChangeReceiverNode', receiveEdge };
    world.app = now;
    return new Place(world, remembered, interval);
  }

  private constructor(world: World, remembered: ManagedApp | undefined, interval: number) {
    this.world = world;
    this.remembered = remembered;
    const { name: _, logger: __, ...identity } = world.options;
    this.feed = new EchoStreamFeed({
      ...(identity as typeof IDENTITY),
      app: 'app',
      logGroup: '/group',
      onAppRemoved: async () => {
        this.removed += 1;
      },
      interval,
      remembered: {
        read: async () => this.remembered,
        keep: async (known) => {
          this.remembered = known;
        },
        forget: async () => {
          this.remembered = undefined;
        },
      },
      now: () => this.now,
      log: createLogger({ level: 'silent', stream: { write: () => {} } }),
    });
    this.#following = this.feed.follow(
      async (wanted, restart = []) => {
        this.wanted.push({ ...wanted, restart });
        await this.effect;
      },
      (error) => void this.failures.push((error as Error).message),
      this.#end.signal,
    );
  }

  change(now: object | null, old: object | null): void {
    const change = { datetime: '2026-01-01T00:00:00Z', system: false, tenant: 't', new: now, old };
    this.world.queue('changes').put('g', JSON.stringify(change));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#following;
    await this.world[Symbol.asyncDispose]();
  }
}

test('a change is acknowledged and audited once it has taken effect', async () => {
  await using place = await Place.open();
  const { world, wanted } = place;
  await eventually(() => wanted.length === 1);
  assert.deepEqual(
    wanted[0]?.nodes.map(({ name }) => name),
    ['web'],
    'the change receiver is no container',
  );
  assert.equal((await place.feed.logOf('web'))?.Config['awslogs-region'], 'eu-west-1');
  const { promise, resolve } = Promise.withResolvers<void>();
  place.effect = promise;
  world.app = { nodes: [NODE, { ...NODE, name: 'api' }], tenant: { region: 'eu-west-1' } };
  place.change({ ...node, name: 'api' }, null);
  await eventually(() => wanted.length === 2);
  assert.equal(wanted[1]?.nodes.length, 2);
  assert.equal(world.queue('changes').messages.length, 1, 'it is not acknowledged yet');
  resolve();
  await eventually(() => world.queue('changes').messages.length === 0);
  await eventually(() => world.audits.length === 1);
  assert.deepEqual(world.audits[0]?.auditRecords[0]?.attributes, { app: 'app' });
  place.change(node, node);
  await eventually(() => wanted.length === 3);
  assert.deepEqual(wanted[2]?.restart, ['web']);
  place.change({ type: 'Function' }, null);
  await eventually(() => world.queue('changes').messages.length === 0);
  assert.equal(wanted.length, 3, 'what concerns no node changes nothing');
});

test('a change that fails to take effect is received again', async () => {
  await using place = await Place.open();
  await eventually(() => place.wanted.length === 1);
  place.effect = Promise.reject(new Error('the service stops'));
  place.effect.catch(() => {});
  place.change(node, null);
  await eventually(() => place.wanted.length === 2);
  place.effect = Promise.resolve();
  await eventually(() => place.wanted.length === 3);
  await eventually(() => place.world.queue('changes').messages.length === 0);
});

test('when the app is removed, its nodes are stopped, and by default the host is not powered off', async () => {
  await using place = await Place.open();
  await eventually(() => place.wanted.length === 1);
  place.world.app = null;
  place.change(null, app);
  await eventually(() => place.removed === 1);
  assert.deepEqual(
    place.wanted.at(-1)?.nodes.map(({ name, stopped }) => [name, stopped]),
    [['web', true]],
  );
});

test('if EchoStream still knows the app, a message about its removal stops nothing', async () => {
  await using place = await Place.open();
  await eventually(() => place.wanted.length === 1);
  place.change(null, app);
  await eventually(() => place.wanted.length === 2);
  await eventually(() => place.world.queue('changes').messages.length === 0);
  assert.equal(place.wanted.at(-1)?.nodes[0]?.stopped, undefined);
  assert.equal(place.removed, 0);
});

test('while EchoStream does not answer, nothing changes, and requests are retried', async () => {
  await using place = await Place.open();
  place.world.failures.api.push(400, 400, 400, 400);
  await eventually(() => place.wanted.length === 1);
  for (const failure of place.failures) assert.doesNotMatch(failure, /the password of the tests/);
});

test('an invalid node of EchoStream does not hold back other nodes', async () => {
  const { ports: _, ...bare } = NODE;
  const twice = { ...bare, name: 'twice' };
  const nodes = [
    NODE,
    { ...bare, name: 'untyped', managedNodeType: null },
    { ...bare, name: 'port', ports: [{ containerPort: 80, hostPort: 0 }] },
    { ...bare, name: 'mounts', mounts: [{ target: '/a' }, { target: '/a' }] },
    { ...bare, name: 'no name' },
    twice,
    twice,
    { ...bare, name: 'api' },
  ];
  await using place = await Place.open(undefined, { nodes, tenant: TENANT });
  await eventually(() => place.wanted.length === 1);
  const { nodes: wanted = [], unusable = [] } = place.wanted[0] ?? {};
  assert.deepEqual(
    wanted.map(({ name }) => name),
    ['web', 'api'],
  );
  assert.deepEqual(
    unusable.map(({ name, why }) => `${name}: ${why}`),
    [
      'untyped: in the answer, /managedNodeType must be object',
      'port: /ports/0/hostPort must be >= 1',
      'mounts: mounts must have one source for /a',
      'no name: /name must match pattern "^[A-Za-z0-9][A-Za-z0-9-]{1,62}$"',
      'twice: there are two nodes with this name',
      'twice: there are two nodes with this name',
    ],
  );
});

test('an answer of EchoStream that is not a managed app changes nothing', async () => {
  await using place = await Place.open(undefined, {});
  await eventually(() => place.failures.length > 0);
  assert.match(String(place.failures[0]), /cannot be used: it must have required properties nodes, tenant/);
  assert.equal(place.wanted.length, 0);
});

test('if the app is removed while the service is down, the next service notices', async () => {
  await using place = await Place.open({ nodes: [NODE], tenant: TENANT, unusable: [] }, null);
  await eventually(() => place.failures.length > 0);
  assert.equal(place.wanted.length, 0, 'it may be a mistake of the moment');
  place.now += 600_000;
  await eventually(() => place.removed === 1);
  assert.deepEqual(
    place.wanted.at(-1)?.nodes.map(({ name, stopped }) => [name, stopped]),
    [['web', true]],
  );
  assert.equal(place.remembered, undefined, 'the next start does nothing of the kind again');
});

test('the last answer of EchoStream for an app survives a restart, and is not used for another app', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'remembered-'));
  t.after(() => rm(directory, { recursive: true }));
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const at = (app: string) => new RememberedAppFile(join(directory, 'app.json'), { app, tenant: 't' }, log);
  const known = { nodes: [NODE], tenant: TENANT, unusable: [] };
  assert.equal(await at('one').read(), undefined);
  await at('one').keep(known);
  assert.deepEqual(await at('one').read(), known);
  assert.equal(await at('other').read(), undefined);
  await at('one').forget();
  assert.equal(await at('one').read(), undefined);
});

test('repeated or reordered changes lead to the current state in EchoStream', async () => {
  const web = (imageUri: string) => ({ ...NODE, managedNodeType: { name: 'http', imageUri } });
  await using place = await Place.open(undefined, { nodes: [web('app:1')], tenant: TENANT });
  const last = () => place.wanted.at(-1)?.nodes.map(({ name, image }) => [name, image]);
  await eventually(() => place.wanted.length === 1);
  place.world.app = { nodes: [web('app:3'), { ...web('app:3'), name: 'api' }], tenant: TENANT };
  // The node was added, removed and added again. The change of the type arrived twice and out of order.
  const of = (imageUri: string) => ({ ...type, imageUri });
  place.change(of('app:3'), of('app:2'));
  place.change({ ...node, name: 'api' }, null);
  place.change(of('app:2'), of('app:1'));
  place.change(null, { ...node, name: 'api' });
  place.change(of('app:3'), of('app:2'));
  await eventually(() => place.world.queue('changes').messages.length === 0);
  assert.deepEqual(last(), [
    ['web', 'app:3'],
    ['api', 'app:3'],
  ]);
});

test('a lost change is noticed at the next regular request', async () => {
  await using place = await Place.open(undefined, APP, 100);
  await eventually(() => place.wanted.length === 1);
  place.world.app = { nodes: [], tenant: TENANT };
  await eventually(() => place.wanted.at(-1)?.nodes.length === 0);
});

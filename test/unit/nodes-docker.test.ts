/** The requests to Docker for nodes, and how the answers are read. */

import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { createLogger } from '../../logging/logger.ts';
import { createBody, LOCAL_LOG } from '../../managed-nodes/docker/create-body.ts';
import { labelsOf } from '../../managed-nodes/docker/labels.ts';
import { Looking } from '../../managed-nodes/docker/look.ts';
import { NodeDocker } from '../../managed-nodes/docker/node-docker.ts';
import { NodeImages } from '../../managed-nodes/docker/node-images.ts';
import { oldImages } from '../../managed-nodes/docker/old-images.ts';
import { UsedImages } from '../../managed-nodes/docker/used-images.ts';
import { awsLogs } from '../../managed-nodes/feeds/aws-logs.ts';
import { applyEffect } from '../../managed-nodes/plan/effects.ts';
import { ModelDocker, wantedOf } from '../support/nodes-model.ts';

const OWNER = { hostId: 'h', app: 'demo' };
const PORTS = [{ port: 8080, protocol: 'tcp', address: '' }];
const LABELLED = { node: 'web', hash: 'abc', digest: 'sha256:1', ports: PORTS, labelId: 'one' };
const LABELS = labelsOf(OWNER, LABELLED);

const MADE = {
  hash: 'abc',
  digest: 'sha256:1',
  image: 'registry/web@sha256:1',
  labelId: 'one',
  network: 'demo',
  log: LOCAL_LOG,
};

test("a node's create body has the fields of its spec, and no more rights than Docker's defaults", () => {
  const body = createBody(OWNER, {
    ...MADE,
    spec: {
      name: 'web',
      image: 'registry/web:1',
      environment: { A: 'b=c' },
      loggingLevel: 'DEBUG',
      labels: { team: 'x' },
      ports: [
        { containerPort: 80, hostPort: 8080 },
        { containerPort: 80, hostPort: 8081, hostAddress: '127.0.0.1' },
        { containerPort: 53, protocol: 'udp' },
      ],
      mounts: [{ source: '/srv', target: '/srv' }, { source: 'data', target: '/data' }, { target: '/tmp/x' }],
      limits: { memory: '64MiB', cpus: 1.5, pids: 10 },
    },
  });
  assert.deepEqual(body, {
    Image: 'registry/web@sha256:1',
    Hostname: 'web',
    Env: ['A=b=c', 'LOGGING_LEVEL=DEBUG'],
    Labels: {
      team: 'x',
      ...LABELS,
      'ecs-host-service.node.ports': body.Labels?.['ecs-host-service.node.ports'],
    },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    HostConfig: {
      NetworkMode: 'demo',
      RestartPolicy: { Name: 'no' },
      LogConfig: LOCAL_LOG,
      Mounts: [
        { Type: 'bind', Source: '/srv', Target: '/srv' },
        { Type: 'volume', Source: 'data', Target: '/data' },
        { Type: 'volume', Target: '/tmp/x' },
      ],
      PortBindings: {
        '80/tcp': [
          { HostIp: '', HostPort: '8080' },
          { HostIp: '127.0.0.1', HostPort: '8081' },
        ],
        '53/udp': [{ HostIp: '', HostPort: '' }],
      },
      Memory: 64 * 2 ** 20,
      MemorySwap: 64 * 2 ** 20,
      NanoCpus: 1.5e9,
      PidsLimit: 10,
    },
  });
});

/** @param labelsOfImage returns the labels of an image */
function looking(listed: readonly object[], labelsOfImage: Readonly<Record<string, object>> = {}) {
  const calls: string[] = [];
  const docker = {
    call: async (name: string) => {
      calls.push(name);
      return listed;
    },
    labelsOfImage: async (image: string) => {
      calls.push('inspect_image');
      return labelsOfImage[image] ?? {};
    },
  };
  return { calls, looking: new Looking(docker as never, OWNER) };
}

function noLogDriver(): ServiceError {
  const json = { message: 'failed to initialize logging driver: no credentials' };
  const cause = Object.assign(new Error('(HTTP code 500)'), { statusCode: 500, json });
  return new ServiceError('docker.failed', { what: 'start', why: json.message }, { cause });
}

/** An Engine that starts containers only if they log to this host. */
class WithoutCloudWatch {
  readonly made: string[] = [];
  readonly removed: string[] = [];

  readonly #api = {
    listNetworks: async () => [{ Name: 'demo', Driver: 'bridge' }],
    createContainer: async ({ _body }: { _body: { HostConfig: { LogConfig: { Type: string } } } }) => {
      this.made.push(_body.HostConfig.LogConfig.Type);
      return { id: `c${this.made.length}` };
    },
    getContainer: (id: string) => ({
      inspect: async () => ({
        Config: { Image: 'registry.example.com/web:1', Labels: LABELS },
        HostConfig: { LogConfig: { Type: this.made.at(-1) } },
        Mounts: [],
      }),
      remove: async () => void this.removed.push(id),
      rename: async () => {},
    }),
  };

  call(_: string, __: number, work: (signal: AbortSignal, api: object) => Promise<unknown>) {
    return work(new AbortController().signal, this.#api);
  }

  async start(): Promise<void> {
    if (this.made.at(-1) === 'awslogs') throw noLogDriver();
  }
}

function nodeDockerOn(docker: object): NodeDocker {
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const images = new NodeImages({
    docker: docker as never,
    pulls: {} as never,
    defaultRegistry: undefined,
    credentials: async () => undefined,
    log,
  });
  const logOf = async () => awsLogs('/group', 'web', 'us-east-1');
  return new NodeDocker({
    docker: docker as never,
    owner: OWNER,
    images,
    used: { names: [], add: async () => {} } as never,
    keepImages: undefined,
    logOf,
    log,
  });
}

test("if a node's log driver does not start, its container is recreated with its log on this host, and its next container uses the driver again", async () => {
  const docker = new WithoutCloudWatch();
  const one = nodeDockerOn(docker);
  const { signal } = new AbortController();
  const model = new ModelDocker(wantedOf([{ name: 'web', image: 'registry.example.com/web:1' }]), new Map());
  const { hash = '' } = model.wanted.get('web') ?? {};
  const create = { do: 'create', node: 'web', hash, digest: 'sha256:1' } as const;
  const make = async () => {
    const { id } = await one.carryOut(create, model.world, signal);
    const { world } = model;
    applyEffect(world, create, id ? { id } : {});
    const step = (what: 'start' | 'promote') => ({ do: what, node: 'web', container: id as never });
    return {
      start: () => one.carryOut(step('start'), world, signal),
      promote: () => one.carryOut(step('promote'), world, signal),
    };
  };
  const first = await make();
  await assert.rejects(first.start, { code: 'node.no_log_driver' });
  assert.deepEqual(docker.removed, ['c1']);
  const second = await make();
  await second.start();
  await second.promote();
  await make();
  assert.deepEqual(docker.made, ['awslogs', 'local', 'awslogs']);
});

test('an accepted container whose log driver does not start stays until it has a copy, which logs to this host', async () => {
  const docker = new WithoutCloudWatch();
  docker.made.push('awslogs');
  const spec = { name: 'web', image: 'registry.example.com/web:1' };
  const model = new ModelDocker(wantedOf([{ ...spec, image: 'registry.example.com/web:2' }]), new Map());
  const { id: container } = model.put(spec, 'healthy', { state: 'exited' });
  const one = nodeDockerOn(docker);
  const start = () =>
    one.carryOut({ do: 'start', node: 'web', container }, model.world, new AbortController().signal);
  await assert.rejects(start, { code: 'node.no_log_driver' });
  assert.deepEqual([docker.made, docker.removed], [['awslogs', 'local'], []]);
  docker.start = () => Promise.reject(noLogDriver());
  await assert.rejects(start, { code: 'docker.failed' });
  assert.deepEqual(docker.made, ['awslogs', 'local'], 'a container that logs to this host is not copied');
});

const REPOSITORY = '127.0.0.1:5000/app';
const imageOf = (Id: string, name = REPOSITORY, tags = [`${name}:${Id}`]) => ({
  Id,
  RepoTags: tags,
  RepoDigests: [`${name}@sha256:${Id}`],
});

test('in each repository, the newest images are kept, and all images that a container uses', () => {
  const images = [imageOf('a'), imageOf('b'), imageOf('old'), imageOf('untagged', REPOSITORY, [])];
  const used = ['a', 'old', 'gone', 'b', 'untagged'].map((id) => `${REPOSITORY}@sha256:${id}`);
  const ids = (keep: number) =>
    oldImages(images, { repository: REPOSITORY, keep, used }, new Set(['old'])).map(({ Id }) => Id);
  assert.deepEqual(ids(2), ['b', 'untagged']);
  assert.deepEqual(ids(1), ['b', 'untagged'], 'one is in use');
  assert.deepEqual(ids(10), []);
});

test('an image that no node has used is not removed', () => {
  const images = [imageOf('theirs'), imageOf('ours'), imageOf('other', '127.0.0.1:5000/app2')];
  const used = [`${REPOSITORY}@sha256:ours`, '127.0.0.1:5000/app2@sha256:other'];
  const old = oldImages(images, { repository: REPOSITORY, keep: 0, used }, new Set());
  assert.deepEqual(
    old.map(({ Id }) => Id),
    ['ours'],
  );
});

test('the list of images that nodes have used survives a restart', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'used-'));
  const path = join(directory.path, 'images.json');
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const one = await UsedImages.open(path, log);
  await Promise.all(['a', 'b', 'a'].map((name) => one.add(name)));
  assert.deepEqual((await UsedImages.open(path, log)).names, ['a', 'b']);
});

test('an image of Docker Hub is found by the short name that Docker lists', async () => {
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const found = { RepoDigests: ['other@sha256:0', 'nginx@sha256:1'] };
  const images = new NodeImages({
    docker: { call: async () => found } as never,
    pulls: {} as never,
    defaultRegistry: 'docker.io',
    credentials: async () => undefined,
    log,
  });
  for (const name of [
    'nginx:1',
    'docker.io/nginx:1',
    'docker.io/library/nginx:1',
    'index.docker.io/library/nginx',
  ]) {
    assert.equal(await images.onHost(name), 'sha256:1', name);
    assert.equal(images.repositoryOf(name), 'nginx', name);
  }
  assert.equal(images.repositoryOf('docker.io/library/a/b'), 'library/a/b');
  assert.equal(
    images.repositoryOf('registry.example.com/library/nginx'),
    'registry.example.com/library/nginx',
  );
});

test('a container from before its app was renamed still belongs to its node, and matches no spec', async () => {
  const renamed = { ...OWNER, app: 'renamed' };
  const docker = { call: async () => [listed('web')], labelsOfImage: async () => ({}) };
  const { containers, strangers } = await new Looking(docker as never, renamed).look();
  assert.deepEqual(
    containers.map(({ node, rank, hash }) => [node, rank, hash]),
    [['web', 'current', 'abc of demo']],
  );
  assert.deepEqual(strangers, []);
});

const listed = (name: string, changes: object = {}) => ({
  Id: name,
  Names: [`/${name}`],
  Labels: LABELS,
  ImageID: 'image',
  State: 'running',
  Status: 'Up 3 minutes (healthy)',
  Ports: [],
  ...changes,
});

test('once their images are known, 200 nodes are checked with one call', async () => {
  const many = Array.from({ length: 200 }, (_, i) => {
    const node = `node-${i}`;
    return listed(node, { Labels: labelsOf(OWNER, { ...LABELLED, node }) });
  });
  const { calls, looking: one } = looking(many);
  assert.equal((await one.look()).containers.length, 200);
  assert.deepEqual(calls, ['list_any', 'inspect_image']);
  await one.look();
  assert.deepEqual(calls, ['list_any', 'inspect_image', 'list_any']);
});

test('a container belongs to a node only if its labels and its name agree, and the labels do not come from its image', async () => {
  const { looking: one } = looking(
    [
      listed('web'),
      listed('renamed'),
      listed('web-of-another-app', { Labels: labelsOf({ ...OWNER, app: 'other' }, LABELLED) }),
      listed('web-of-another-host', { Labels: labelsOf({ ...OWNER, hostId: 'x' }, LABELLED) }),
      listed('bare', {
        Labels: {},
        Names: ['/bare', '/web/alias'],
        Ports: [{ IP: '::', PublicPort: 80, Type: 'tcp' }],
      }),
      listed('web.next', { ImageID: 'commit', Labels: labelsOf(OWNER, { ...LABELLED, labelId: 'two' }) }),
    ],
    { commit: labelsOf(OWNER, { ...LABELLED, labelId: 'two' }) },
  );
  const { containers, strangers } = await one.look();
  assert.deepEqual(
    containers.map(({ id, rank, state, health, ports }) => [id, rank, state, health, ports]),
    [['web', 'current', 'running', 'healthy', PORTS]],
  );
  assert.deepEqual(
    strangers.map(({ name }) => name),
    ['renamed', 'web-of-another-app', 'web-of-another-host', 'bare', 'web.next'],
  );
  assert.deepEqual(strangers.find(({ name }) => name === 'bare')?.ports, [
    { port: 80, protocol: 'tcp', address: '::' },
  ]);
});

test('an invalid image name does not prevent the lookup of other images', async () => {
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const docker = { call: async () => ({ Descriptor: { digest: 'sha256:1' } }) };
  const credentials = async () => undefined;
  const images = new NodeImages({
    docker: docker as never,
    pulls: {} as never,
    defaultRegistry: undefined,
    credentials,
    log,
  });
  assert.equal(await images.current('NO NAME'), undefined);
  assert.equal(await images.current('registry.example.com/web:1'), 'sha256:1');
});

test('a container can be rejected even if its log cannot be read', async () => {
  const docker = {
    call: () => Promise.reject(new ServiceError('docker.failed', { what: 'logs', why: 'a broken file' })),
    inspect: async () => ({ running: false, exitCode: 3 }),
  };
  const options = { docker, owner: OWNER, images: {}, keepImages: undefined };
  const step = { do: 'reject', node: 'web', container: 'c' as never, why: 'it exited' } as const;
  const { signal } = new AbortController();
  const outcome = await new NodeDocker(options as never).carryOut(step, {} as never, signal);
  assert.deepEqual(outcome, { exitCode: 3, lastLines: [] });
});

test('a pull without progress for five minutes ends with an error, and one with progress continues', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tell = () => {};
  const pulls = {
    async follow(_request: unknown, signal: AbortSignal) {
      return (async function* () {
        while (!signal.aborted) {
          const { promise, resolve } = Promise.withResolvers<void>();
          tell = resolve;
          signal.addEventListener('abort', () => resolve());
          await promise;
          if (!signal.aborted) yield { event: 'progress', data: {} };
        }
      })();
    },
  };
  const images = new NodeImages({
    docker: {} as never,
    pulls: pulls as never,
    defaultRegistry: undefined,
    credentials: async () => undefined,
    log: createLogger({ level: 'silent', stream: { write: () => {} } }),
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const pulled = images.pull('registry.example.com/web:1', new AbortController().signal);
  let isOver = false;
  const over = assert.rejects(pulled, /made no progress/).then(() => {
    isOver = true;
  });
  for (let minutes = 0; minutes < 20; minutes += 4) {
    await turn();
    t.mock.timers.tick(4 * 60_000);
    tell();
    await turn();
  }
  assert.equal(isOver, false);
  t.mock.timers.tick(5 * 60_000);
  await over;
});

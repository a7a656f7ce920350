import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { ServiceError } from '../../errors/service-error.ts';

const ID = 'f'.repeat(64) as DockerId;

/** An Engine whose server is `listener`. */
async function engine(t: TestContext, listener: RequestListener): Promise<Docker> {
  const directory = mkdtempSync(join(tmpdir(), 'engine-'));
  const server = createServer(listener);
  await once(server.listen(join(directory, 'docker.sock')), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return await Docker.open(join(directory, 'docker.sock'));
}

test('a start that hangs is abandoned after a minute, and the error names the step', async (t) => {
  const asked = Promise.withResolvers<void>();
  const docker = await engine(t, ({ method, url = '' }) => {
    if (method === 'POST' && url.endsWith('/start')) asked.resolve();
  });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const started = assert.rejects(docker.start(ID), (error) => {
    assert.ok(error instanceof ServiceError && error.code === 'docker.unavailable');
    assert.match(
      error.message,
      /start the container did not finish within 60000 ms.*start Docker, or check its log/,
    );
    return true;
  });
  await asked.promise;
  t.mock.timers.tick(60_000);
  await started;
});

test('Docker is asked for GPUs at most once in a minute, however many callers there are', async (t) => {
  let asked = 0;
  const docker = await engine(t, (_, response) => {
    asked += 1;
    const DiscoveredDevices = [
      { Source: 'cdi', ID: 'nvidia.com/gpu=GPU-0a1b-2c' },
      { Source: 'cdi', ID: 'nvidia.com/gpu=0' },
      { Source: 'cdi', ID: 'other.com/gpu=GPU-0a1b-2d' },
    ];
    const info = { Runtimes: { runc: {}, nvidia: {} }, DiscoveredDevices };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(info));
  });
  for (let i = 0; i < 5; i++)
    assert.deepEqual(await docker.gpuSupport(), { runtime: true, cdi: ['GPU-0a1b-2c'] });
  assert.equal(asked, 1);
});

test('an answer that the Engine breaks off causes a clear error', async (t) => {
  const docker = await engine(t, ({ socket }) => socket.destroy());
  await assert.rejects(docker.version(), { code: 'docker.unavailable' });
  await assert.rejects(docker.inspect(ID), { code: 'docker.unavailable' });
});

test('device lists are those of all running containers with devices', async (t) => {
  let asked = '';
  const devices: Readonly<Record<string, unknown>> = {
    one: [
      { PathOnHost: '/fractal/1/event5', PathInContainer: '/dev/input/event5', CgroupPermissions: 'rwm' },
    ],
    two: null,
    three: [],
  };
  const docker = await engine(t, ({ url = '' }, response) => {
    response.setHeader('content-type', 'application/json');
    const id = /containers\/(\w+)\/json/.exec(url)?.[1];
    if (!id) {
      asked = decodeURIComponent(url);
      response.end(JSON.stringify(['one', 'two', 'three', 'gone'].map((Id) => ({ Id }))));
    } else if (id in devices) {
      response.end(JSON.stringify({ HostConfig: { Devices: devices[id] } }));
    } else {
      response.writeHead(404).end('{"message":"No such container"}');
    }
  });
  assert.deepEqual(await docker.deviceLists(), [
    { dockerId: 'one', paths: ['/fractal/1/event5', '/dev/input/event5'] },
  ]);
  assert.match(asked, /all=true/);
  assert.match(asked, /"status":\["created","restarting","running","removing","paused"\]/);
});

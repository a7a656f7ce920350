import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposableSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { suite, test } from 'node:test';
import { serveDocker } from '../../ecs-agent-bridge/docker-proxy/docker-proxy.ts';
import type { HostedCalls } from '../../ecs-agent-bridge/docker-proxy/hosted-calls.ts';
import { exists } from '../../host/directories.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { dial, OK, Peer, PING, turns } from '../support/docker-proxy-peers.ts';

/** The proxy's socket, and a Docker that accepts connections and sends nothing by itself. */
async function open(
  calls: Partial<HostedCalls> = { handlerOf: () => undefined },
  descriptors = new Descriptors(),
) {
  const directory = mkdtempDisposableSync(join(tmpdir(), 'docker-proxy-'));
  const [path, engine] = [join(directory.path, 'proxy'), join(directory.path, 'engine')];
  const lines: string[] = [];
  const stream = new Writable({
    write(line, _encoding, done) {
      lines.push(String(line));
      done();
    },
  });
  const docker = createServer({ allowHalfOpen: true }).listen(engine);
  await once(docker, 'listening');
  // What a killed service leaves behind.
  writeFileSync(path, '');
  const lifetime = new Lifetime('test');
  const log = createLogger({ level: 'trace', stream });
  await serveDocker(lifetime, {
    path,
    engine,
    calls: calls as HostedCalls,
    lost: async () => {},
    descriptors,
    log,
  });
  return {
    path,
    docker,
    lifetime,
    lines,
    async [Symbol.asyncDispose]() {
      await lifetime.end();
      docker.close();
      directory.remove();
    },
  };
}

suite('the socket of the proxy', { timeout: 20_000 }, () => {
  test('replaces the socket of a dead service, and only its owner can use it', async () => {
    await using proxy = await open();
    const { mode } = statSync(proxy.path);
    assert.equal((mode & 0o170000).toString(8), '140000');
    assert.equal((mode & 0o777).toString(8), '600');
    assert.deepEqual(
      proxy.lifetime.holdings.list().map(({ kind, what }) => [kind, what]),
      [['docker proxy', proxy.path]],
    );
  });

  test('is closed with every client at the end, even if Docker does not answer', async () => {
    await using proxy = await open();
    const client = await dial(proxy.path);
    client.say(PING);
    const [socket] = await once(proxy.docker, 'connection');
    const engine = new Peer(socket);
    await engine.hear(PING);
    const idle = await dial(proxy.path);
    const half = await dial(proxy.path);
    half.say('GET /');
    assert.deepEqual(await proxy.lifetime.end(), []);
    for (const peer of [client, idle, half]) {
      assert.equal(await peer.ended(), '');
      peer.socket.destroy();
    }
    assert.equal(await exists(proxy.path), false);
    await engine.ended();
    await engine.refused();
    assert.deepEqual(proxy.lines, []);
  });

  test('finishes requests in progress when it is left to the next service, and ends idle connections', async () => {
    await using proxy = await open();
    proxy.docker.on('connection', (socket) => {
      const engine = new Peer(socket);
      void engine.hear(PING).then(() => engine.say(OK));
      socket.on('end', () => socket.end());
    });
    const [served, fresh, silent] = [await dial(proxy.path), await dial(proxy.path), await dial(proxy.path)];
    served.say(PING);
    await served.hear(OK);
    const left = proxy.lifetime.leave(new Error('handed over'));
    assert.equal(await served.ended(), OK);
    fresh.say(PING);
    assert.equal(await fresh.ended(), OK);
    assert.equal(await silent.ended(), '', 'it has some time, and is cut then');
    await left;
    for (const peer of [served, fresh, silent]) peer.socket.destroy();
  });

  test('passes clients that have sent nothing on to the next service, and disconnects those that are too many', async (t) => {
    /** Keeps the connection, and answers as an echo. */
    const keep = (descriptor: number) => {
      const next = spawn('cat', { stdio: [descriptor, descriptor, 'inherit'] });
      t.after(() => next.kill());
    };
    const names = new Set<string>();
    const store = {
      put: (passed: ReadonlyMap<string, number>) => {
        for (const [name, descriptor] of passed) {
          names.add(name);
          keep(descriptor);
        }
      },
      remove: () => {},
    };
    await using proxy = await open(undefined, new Descriptors([], store));
    const clients: Peer[] = [];
    for (let i = 0; i < 17; i++) clients.push(await dial(proxy.path));
    const half = await dial(proxy.path);
    half.say('GET /');
    await turns();
    await proxy.lifetime.leave(new Error('handed over'));
    assert.equal(names.size, 16);
    const last = clients.pop();
    for (const client of clients) {
      client.say(PING);
      await client.hear(PING);
    }
    for (const cut of [last, half]) assert.equal(await cut?.ended(), '');
    for (const peer of [...clients, last, half]) peer?.socket.destroy();
  });

  test('continues after a call that failed unexpectedly, and logs the failure', async () => {
    await using proxy = await open({
      handlerOf: ({ target }) =>
        target === '/bad' ? () => Promise.reject(new Error('a thing of its own')) : undefined,
    });
    const client = await dial(proxy.path);
    client.say('GET /bad HTTP/1.1\r\n\r\n');
    assert.equal(await client.ended(), '');
    assert.equal(proxy.lines.length, 1);
    assert.match(proxy.lines[0] ?? '', /"level":"error".*a call to Docker failed: a thing of its own/);
    const other = await dial(proxy.path);
    other.say(PING);
    const [socket] = await once(proxy.docker, 'connection');
    const engine = new Peer(socket);
    await engine.hear(PING);
    engine.say('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await other.hear('200 OK');
    client.socket.destroy();
    other.socket.destroy();
    await engine.ended();
    engine.socket.destroy();
  });
});

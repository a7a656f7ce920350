/** A local port that is forwarded into a container, with a simulated service whose agent is in plain mode. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import type { Target } from '../../src/session/choose-target.ts';
import { type ForwardOptions, forwardPort } from '../../src/session/forward.ts';
import { portProgram, type SessionAgent } from '../support/session-agent.ts';
import { SessionService } from '../support/session-service.ts';

const target: Target = {
  cluster: 'arn:aws:ecs:us-east-1:1:cluster/main',
  taskArn: 'arn:aws:ecs:us-east-1:1:task/main/1111aaaa',
  taskId: '1111aaaa',
  definition: 'app:7',
  startedAt: undefined,
  container: 'app',
  runtimeId: '1111aaaa-42',
  isExecEnabled: true,
  agent: { status: 'RUNNING', reason: undefined },
};

async function listen(accept: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer(accept).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as { port: number }).port };
}

interface World extends AsyncDisposable {
  readonly there: SessionService;
  readonly localPort: number;
  readonly failures: unknown[];
  /** The first failure. */
  readonly failure: Promise<unknown>;
  readonly stop: AbortController;
  readonly forwarding: Promise<void>;
}

async function forward(accept: (socket: Socket) => void, more: Partial<ForwardOptions> = {}): Promise<World> {
  const there = await SessionService.start();
  const { server, port } = await listen(accept);
  there.agent = (call) => ({
    sessionType: 'Port',
    properties: { ...(call.Parameters as object), type: 'LocalPortForwarding' },
    start: portProgram(Number((call.Parameters as { portNumber: string[] }).portNumber[0])),
  });
  const [stop, failures] = [new AbortController(), [] as unknown[]];
  const { promise, resolve } = Promise.withResolvers<number>();
  const failure = Promise.withResolvers<unknown>();
  const forwarding = forwardPort({
    ssm: there.ssm,
    target,
    port,
    localPort: 0,
    listening: (address) => resolve(address.port),
    failed: (error) => {
      failures.push(error);
      failure.resolve(error);
    },
    signal: stop.signal,
    ...more,
  });
  const localPort = await promise;
  return {
    ...{ there, localPort, failures, stop, forwarding, failure: failure.promise },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await forwarding;
      server.close();
      await there[Symbol.asyncDispose]();
    },
  };
}

/** Resolves with the next data, or with the reason why there is none. */
async function heard({ failure }: World, socket: Socket): Promise<Buffer> {
  const failed = failure.then((error) => Promise.reject(error as Error));
  const [data] = await Promise.race([once(socket, 'data'), failed]);
  return data;
}

/** Sends the bytes, and reads until `length` bytes have arrived. */
async function talk(port: number, bytes: Buffer, length = bytes.length): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  let got = Buffer.alloc(0);
  for await (const chunk of socket) {
    got = Buffer.concat([got, chunk as Buffer]);
    if (got.length >= length) break;
  }
  return got;
}

test('bytes pass unchanged in both directions, in several connections at once, each with its own session', async () => {
  await using world = await forward((socket) => socket.pipe(socket));
  let count = 0;
  world.there.fate = () => (++count % 6 === 0 ? [] : count % 7 === 0 ? [0, 20] : [0]);
  const inputs = [1, 2, 3].map(() => randomBytes(150_000));
  const outputs = await Promise.all(inputs.map((input) => talk(world.localPort, input)));
  assert.ok(inputs.every((input, i) => input.equals(outputs[i] as Buffer)));
  const calls = world.there.calls.filter(({ action }) => action === 'StartSession');
  assert.equal(calls.length, 3);
  assert.equal(calls[0]?.body.Target, 'ecs:main_1111aaaa_1111aaaa-42');
  assert.equal(calls[0]?.body.DocumentName, 'AWS-StartPortForwardingSession');
  assert.deepEqual(world.failures, []);
});

test('a forwarded connection that KMS encrypts sends nothing as plain text, and continues over a new socket', async () => {
  const world: World = await forward((socket) => socket.pipe(socket), { kms: async () => world.there.kms });
  await using _ = world;
  const { there } = world;
  const choose = there.agent;
  there.agent = (call) => ({ ...choose(call), key: there.key });
  const seen: Buffer[] = [];
  there.observe = (bytes) => seen.push(bytes);
  const socket = connect(world.localPort, '127.0.0.1');
  const lines = ['the first words', 'the last words'];
  for (const line of lines) {
    socket.write(line);
    assert.equal(String(await heard(world, socket)), line);
    there.cut();
  }
  socket.destroy();
  const wire = Buffer.concat(seen).toString('latin1');
  assert.ok(lines.every((line) => !wire.includes(line)));
  assert.ok(there.opened.length > 1);
});

test('if the server speaks first, its bytes arrive on every connection', async () => {
  await using world = await forward((socket) => socket.write('220 ready\r\n'));
  for (let i = 0; i < 3; i++)
    assert.equal(String(await talk(world.localPort, Buffer.alloc(0), 11)), '220 ready\r\n');
});

test('when a connection ends, the container sees the end, and the session is terminated', async () => {
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  await using world = await forward((socket) => {
    let got = '';
    socket.on('data', (data) => {
      got += String(data);
    });
    socket.on('error', () => {}).on('close', () => resolve(got));
  });
  const socket = connect(world.localPort, '127.0.0.1');
  socket.end('the last words');
  assert.equal(await ended, 'the last words');
  assert.deepEqual(world.there.agents[0]?.inputs.at(-1), { type: 10, payload: Buffer.from([0, 0, 0, 2]) });
});

test('if a connection breaks before its session is open, the session ends', async () => {
  await using world = await forward((socket) => socket.pipe(socket));
  const isOpen = Promise.withResolvers<void>();
  const { there } = world;
  there.observe = () => isOpen.resolve();
  const choose = there.agent;
  there.agent = (call) => {
    socket.resetAndDestroy();
    // A server that speaks first, without a delay.
    const start = (agent: SessionAgent) => {
      agent.output(1, Buffer.from('220 ready'));
      return { input: () => {}, stop: () => {} };
    };
    return { ...choose(call), start };
  };
  const socket = connect(world.localPort, '127.0.0.1').on('error', () => {});
  await isOpen.promise;
  while (there.agents[0]?.inputs.at(-1)?.type !== 10) await new Promise(setImmediate);
  assert.deepEqual(world.failures, []);
});

test('a connection that the agent cannot make is reported, and the next one works', async () => {
  let isRefused = true;
  await using world = await forward((socket) => socket.pipe(socket));
  const choose = world.there.agent;
  world.there.agent = (call) => (isRefused ? { ...choose(call), start: portProgram(1) } : choose(call));
  assert.equal((await talk(world.localPort, Buffer.from('x'))).length, 0);
  assert.match(String(await world.failure), /Unable to connect to specified port/);
  isRefused = false;
  assert.equal(String(await talk(world.localPort, Buffer.from('hello'))), 'hello');
});

test('an abort ends open connections and terminates their sessions at the service', async () => {
  await using world = await forward((socket) => socket.pipe(socket));
  const socket = connect(world.localPort, '127.0.0.1');
  socket.on('error', () => {}).write('x');
  await once(socket, 'data');
  const closed = once(socket, 'close');
  world.stop.abort();
  await world.forwarding;
  await closed;
  assert.equal(world.there.calls.at(-1)?.action, 'TerminateSession');
});

test('the error for a local port in use names the port', async () => {
  const { server, port } = await listen(() => {});
  await using _ = server;
  await using there = await SessionService.start();
  const signal = new AbortController().signal;
  const taken = forwardPort({ ssm: there.ssm, target, port: 80, localPort: port, signal });
  await assert.rejects(taken, { problem: 'setup', message: /EADDRINUSE.*choose another port/ });
});

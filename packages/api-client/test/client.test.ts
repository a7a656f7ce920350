import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposableSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { connect, dataOf, messagesOf, openSocket, ProblemError, UnreachableError } from '../src/main.ts';

const TOKEN = 'a-token-of-the-tests-of-this-package';
const PROBLEM = { type: 'about:blank', title: 'container.unknown', status: 404, detail: 'none has this id' };

function directoryOf(t: TestContext): string {
  const made = mkdtempDisposableSync(join(tmpdir(), 'api-client-'));
  t.after(() => made.remove());
  return made.path;
}

async function listen<S extends Server>(t: TestContext, server: S, where: string | number): Promise<S> {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(
    server.listen(where as number, ...(typeof where === 'number' ? ['127.0.0.1'] : [])),
    'listening',
  );
  return server;
}

/** @returns a service on a unix socket that gives these answers */
async function serve(t: TestContext, answer: RequestListener): Promise<{ socket: string; server: Server }> {
  const socket = join(directoryOf(t), 'api.sock');
  return { socket, server: await listen(t, createServer(answer), socket) };
}

async function client(t: TestContext, target: Parameters<typeof connect>[0]) {
  const api = await connect(target);
  t.after(() => api.close());
  return api;
}

const json =
  (status: number, body: unknown): RequestListener =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

test('a call over the unix socket carries its parameters and no token', async (t) => {
  const asked: (string | undefined)[] = [];
  const { socket } = await serve(t, (request, response) => {
    asked.push(request.method, request.url, request.headers.authorization);
    json(200, { containers: [] })(request, response);
  });
  const api = await client(t, { socket });
  const found = dataOf(await api.GET('/v1/containers', { params: { query: { state: 'ready', limit: 2 } } }));
  assert.deepEqual(found, { containers: [] });
  assert.deepEqual(asked, ['GET', '/v1/containers?state=ready&limit=2', undefined]);
});

test('the client throws a problem with its status and text, and also throws on an answer that is not of this API', async (t) => {
  const answers = [json(404, PROBLEM), json(502, 'Bad Gateway'), json(500, { title: 1 })];
  const { socket } = await serve(t, (request, response) => answers.shift()?.(request, response));
  const api = await client(t, { socket });
  for (const [status, problem, message] of [
    [404, PROBLEM, /^container\.unknown: none has this id$/],
    [502, 'Bad Gateway', /status 502 and is not an answer of this API/],
    [500, { title: 1 }, /status 500 and is not an answer of this API/],
  ] as const) {
    const answer = await api.GET('/v1/containers/{id}', { params: { path: { id: 'a' } } });
    assert.throws(
      () => dataOf(answer),
      (error) => {
        assert.ok(error instanceof ProblemError);
        assert.deepEqual([error.status, error.problem], [status, problem]);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test('if no service answers, the error says where the client tried and why it failed', async (t) => {
  const socket = join(directoryOf(t), 'api.sock');
  const api = await client(t, { socket });
  await assert.rejects(api.GET('/v1/host'), (error) => {
    assert.ok(error instanceof UnreachableError && error.where === socket);
    assert.match(error.message, /^no service answers at .*api\.sock: .*ENOENT/);
    return true;
  });
  await assert.rejects(openSocket({ socket }, '/v1/host/terminal'), UnreachableError);
});

test('a call that its caller aborts rejects with the reason of the abort', async (t) => {
  const giveUp = new AbortController();
  const { socket } = await serve(t, () => giveUp.abort(new Error('enough')));
  const api = await client(t, { socket });
  await assert.rejects(api.GET('/v1/host', { signal: giveUp.signal }), /enough/);
});

test('the client sends the token only to the given certificate and follows no redirect', async (t) => {
  const directory = directoryOf(t);
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const subject = ['-subj', '/CN=localhost', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  const tokens: unknown[] = [];
  const server = createSecureServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (request, response) => {
      tokens.push(request.headers.authorization);
      if (request.url === '/v1/host') json(200, { id: 'a' })(request, response);
      else response.writeHead(307, { location: '/v1/host' }).end();
    },
  );
  const { port } = (await listen(t, server, 0)).address() as AddressInfo;
  const { fingerprint256: fingerprint } = new X509Certificate(readFileSync(cert));
  const at = { host: new URL(`https://127.0.0.1:${port}`), token: TOKEN };
  for (const [more, why] of [
    [{}, /self-signed/],
    [{ fingerprint: 'ab'.repeat(32) }, /its certificate has the fingerprint [0-9a-f]{64}/],
    [{ fingerprint: '' }, /its certificate has the fingerprint/],
  ] as const) {
    const api = await client(t, { ...at, ...more });
    await assert.rejects(api.GET('/v1/host'), why);
    await assert.rejects(openSocket({ ...at, ...more }, '/v1/host/terminal'), why);
  }
  assert.deepEqual(tokens, []);
  const api = await client(t, { ...at, fingerprint });
  assert.equal(dataOf(await api.GET('/v1/host')).id, 'a');
  await assert.rejects(api.GET('/v1/capacity'), UnreachableError);
  assert.deepEqual(tokens, [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`]);

  tokens.length = 0;
  const ids = [1, 2, 3].map(async () => dataOf(await api.GET('/v1/host')).id);
  assert.deepEqual(await Promise.all(ids), ['a', 'a', 'a'], 'each connection shows its certificate');
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (one, { headers }) => one.send(headers.authorization ?? ''));
  const terminal = await openSocket({ ...at, fingerprint }, '/v1/host/terminal');
  t.after(() => terminal.terminate());
  const message = once(terminal, 'message');
  terminal.resume();
  assert.equal(String((await message)[0]), `Bearer ${TOKEN}`);
});

test('events arrive as messages, and a stream ends when the client closes', async (t) => {
  const { socket } = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: container\nid: a-1\ndata: {"code":"begun"}\n\n: silence\n\n');
  });
  const api = await client(t, { socket });
  const messages = messagesOf(dataOf(await api.GET('/v1/events', { parseAs: 'stream' })));
  const reader = messages.getReader();
  const { value } = await reader.read();
  assert.deepEqual([value?.event, value?.id, value?.data], ['container', 'a-1', '{"code":"begun"}']);
  const next = reader.read();
  await Promise.all([assert.rejects(next), api.close()]);
});

test('a terminal opens paused, and a refused terminal throws the problem', async (t) => {
  const { socket, server } = await serve(t, json(404, PROBLEM));
  const sockets = new WebSocketServer({ noServer: true });
  const answers = [JSON.stringify(PROBLEM), '<html>'].map(
    (body) => `HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  server.on('upgrade', (request, connection, head) => {
    const refusal = answers.shift();
    if (refusal) connection.end(refusal);
    else sockets.handleUpgrade(request, connection, head, (one) => one.send(request.url ?? ''));
  });
  const path = '/v1/containers/a/terminal?columns=80';
  for (const [problem, message] of [
    [PROBLEM, /none has this id/],
    [undefined, /status 404/],
  ] as const) {
    await assert.rejects(openSocket({ socket }, path), (error) => {
      assert.ok(error instanceof ProblemError);
      assert.deepEqual(error.problem, problem);
      assert.match(error.message, message);
      return true;
    });
  }
  const terminal = await openSocket({ socket }, path);
  t.after(() => terminal.terminate());
  assert.ok(terminal.isPaused);
  const message = once(terminal, 'message');
  terminal.resume();
  assert.equal(String((await message)[0]), path);
});

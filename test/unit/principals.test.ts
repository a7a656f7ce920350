/** The identity of callers, their rights, and the log's record of them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fastify } from 'fastify';
import { WebSocket } from 'ws';
import { equip } from '../../httpserver/app.ts';
import { Gate } from '../../httpserver/gate.ts';
import type { Hosting } from '../../httpserver/hosting.ts';
import { addPredecessorRoutes, START_VALUES, TOKEN } from '../../httpserver/predecessor-routes.ts';
import { rootAlone, whoKnows } from '../../httpserver/v1/authority.ts';
import { Idempotency } from '../../httpserver/v1/idempotency.ts';
import { createLogger } from '../../logging/logger.ts';
import { openApi } from '../../scripts/openapi.ts';
import { Secret } from '../../settings/secret.ts';

const OPERATOR = 'operator-of-unit-tests-0123456789';
const VIEWER = 'viewer-of-unit-tests-0123456789';
const SECRET = 'webserver-of-unit-tests-0123456789';

interface Line {
  readonly msg: string;
  readonly path?: string;
  readonly principal?: string;
}

/** A server whose host has not started: a permitted call gets 503, or an answer that needs no host. */
async function open(t: TestContext) {
  const lines: Line[] = [];
  let viewer = VIEWER;
  const make = async (authority: typeof rootAlone) => {
    const directory = await mkdtempDisposable(join(tmpdir(), 'principals-'));
    const app = fastify();
    const gate = new Gate<Hosting>();
    const log = createLogger({
      level: 'info',
      stream: { write: (line) => void lines.push(JSON.parse(line)) },
    });
    const closing = new AbortController();
    const unasked = async () => ({}) as never;
    const unheard = () => ({}) as never;
    equip(app, {
      gate,
      version: { version: '1', commit: 'c' },
      operator: {
        authority,
        operations: {
          describeHost: unasked,
          describeAgent: unasked,
          history: unheard,
          diagnose: unasked,
          drain: () => 0,
          nodes: unheard,
        },
        create: { allowedMounts: [], requests: new Idempotency<never>() },
        closing: closing.signal,
      },
      metrics: { contentType: 'text/plain', text: async () => 'metrics' },
      puts: [],
      log,
    });
    addPredecessorRoutes(app, { gate, secret: new Secret(SECRET), spinUp: false });
    const path = join(directory.path, 'socket');
    await app.listen({ path });
    t.after(async () => {
      closing.abort();
      await app.close();
      await directory.remove();
    });
    return { app, path };
  };
  const giveViewers = (token: string) => {
    viewer = token;
  };
  const outside = await make(
    whoKnows(
      () => OPERATOR,
      () => viewer,
    ),
  );
  return { ...outside, root: (await make(rootAlone)).app, lines, giveViewers };
}

const withToken = (token: string) => ({ authorization: `Bearer ${token}` });

/** @returns the status of the refusal, or 101 */
async function handshake(path: string, url: string, token: string): Promise<number> {
  const socket = new WebSocket(`ws+unix:${path}:${url}`, { headers: withToken(token) });
  socket.on('error', () => {});
  const refused = once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number);
  return await Promise.race([refused, once(socket, 'open').then(() => 101)]).finally(() =>
    socket.terminate(),
  );
}

test('a viewer can send any request that only reads, and none that changes anything', async (t) => {
  const { app } = await open(t);
  const { paths } = (await openApi()) as {
    paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  const seen = { looked: 0, refused: 0 };
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      const url = path.replaceAll(/\{\w+\}/g, 'abcdef');
      const ask = async (token: string) => {
        const request = { method: method.toUpperCase() as 'GET', url, headers: withToken(token) };
        const { statusCode, json } = await app.inject(request);
        return { statusCode, title: statusCode === 403 ? json().title : undefined };
      };
      const isLook = method === 'get' && !/\/(containers\/\w+|nodes\/\w+|host)\/terminal$/.test(url);
      const { statusCode, title } = await ask(VIEWER);
      assert.equal(title, isLook ? undefined : 'request.looks_only', `${method} ${path}: ${statusCode}`);
      assert.notEqual((await ask(OPERATOR)).statusCode, 403);
      seen[isLook ? 'looked' : 'refused'] += 1;
    }
  }
  assert.ok(seen.looked >= 8 && seen.refused >= 8, JSON.stringify(seen));
  for (const method of ['GET', 'HEAD'] as const) {
    const { statusCode } = await app.inject({ method, url: '/v1/host', headers: withToken(VIEWER) });
    assert.equal(statusCode, 200);
  }
  const { body } = await app.inject({ url: '/metrics', headers: withToken(VIEWER) });
  assert.equal(body, 'metrics');
  const detail = (await app.inject({ method: 'PUT', url: '/v1/drain', headers: withToken(VIEWER) })).json()
    .detail;
  assert.match(detail, /send the value of OPERATOR_TOKEN instead/);
});

test('a viewer can watch a terminal, and can neither type in one nor open one', async (t) => {
  const { path } = await open(t);
  for (const [url, viewer, operator] of [
    ['/v1/terminals/0123456789abcdef/attach?as=watch', 503, 503],
    ['/v1/terminals/0123456789abcdef/attach', 403, 503],
    ['/v1/terminals/0123456789abcdef/attach?as=take', 403, 503],
    ['/v1/terminals/0123456789abcdef/attach?as=write', 403, 503],
    ['/v1/containers/abcdef/terminal', 403, 503],
    ['/v1/nodes/web/terminal', 403, 503],
    ['/v1/host/terminal', 403, 503],
  ] as const) {
    assert.deepEqual(
      [await handshake(path, url, VIEWER), await handshake(path, url, OPERATOR)],
      [viewer, operator],
      url,
    );
  }
});

test('a token that is both the operator’s and the viewers’ cannot change anything', async (t) => {
  const { app, giveViewers } = await open(t);
  const drain = async (token: string) =>
    (await app.inject({ method: 'PUT', url: '/v1/drain', headers: withToken(token) })).statusCode;
  assert.equal(await drain(OPERATOR), 200);
  giveViewers(OPERATOR);
  assert.deepEqual([await drain(OPERATOR), await drain(VIEWER)], [403, 401]);
});

test('the log names the kind of each caller, and never a token', async (t) => {
  const { app, root, lines } = await open(t);
  await app.inject({ url: '/v1/host', headers: withToken(OPERATOR) });
  await app.inject({ url: '/v1/host', headers: withToken(VIEWER) });
  await app.inject({ url: '/v1/host', headers: withToken('another') });
  await root.inject('/v1/host');
  const put = (url: string, fields: object) => app.inject({ method: 'PUT', url, payload: fields });
  await put(START_VALUES, { auth_secret: SECRET, host_port: 1 });
  await put(START_VALUES, { auth_secret: 'another' });
  await put(TOKEN, { host_port: 1 });
  await app.inject('/version');
  // An injected request has no connection, so its end is reported once more.
  const answered = lines.filter(({ msg }) => msg === 'answered');
  const said = new Set(answered.map(({ path, principal = 'nobody' }) => `${path}: ${principal}`));
  assert.deepEqual(
    [...said],
    [
      `/v1/host: operator`,
      `/v1/host: viewer`,
      `/v1/host: nobody`,
      `/v1/host: root`,
      `${START_VALUES}: webserver`,
      `${START_VALUES}: nobody`,
      `${TOKEN}: client app`,
      `/version: nobody`,
    ],
  );
  assert.ok(!JSON.stringify(lines).includes('-of-unit-tests-'));
});

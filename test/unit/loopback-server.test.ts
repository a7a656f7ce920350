/** The web console on loopback answers every request, whatever its client still sends. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { serveOnLoopback } from '../../src/web-console/loopback-server.ts';
import { sayThenRead } from '../support/late-reader.ts';
import { serveBoth } from '../support/starting-server.ts';

const MEGABYTE = 2 ** 20;

/** Opens the console as a browser does. @returns a function that sends a request and then reads the answer */
async function open(t: TestContext) {
  const { path } = await serveBoth(t);
  const { server, url } = await serveOnLoopback(path, 0);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { host, port, origin } = new URL(url);
  const opened = await fetch(url, { redirect: 'manual' });
  const [cookie = ''] = opened.headers.get('set-cookie')?.split(';') ?? [];
  const ask = async (first: string, headers: readonly string[], length = 0) => {
    const body = Buffer.alloc(length, 'x');
    const lines = [first, ...headers, 'Connection: close', `Content-Length: ${length}`];
    const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
    return await sayThenRead({ host: '127.0.0.1', port: Number(port) }, bytes, false);
  };
  return {
    ask,
    host: `Host: ${host}`,
    session: [`Cookie: ${cookie}`, `Origin: ${origin}`, 'X-Ecs-Host-Service-Console: 1'],
  };
}

test('a client of the console on loopback that sends all of a large body first still receives the answer', async (t) => {
  const { ask, host, session } = await open(t);
  const first = 'POST /v1/containers HTTP/1.1';
  for (const length of [70_000, 2 * MEGABYTE, 20 * MEGABYTE]) {
    assert.match(await ask(first, [host, ...session], length), /^HTTP\/1\.1 413 /);
    assert.match(await ask(first, [host], length), /^HTTP\/1\.1 403 /);
  }
});

test('the console on loopback answers a request without a Host header, and a CONNECT', async (t) => {
  const { ask, host } = await open(t);
  assert.match(await ask('GET /console/ HTTP/1.1', []), /^HTTP\/1\.1 421 [\s\S]*Host header is missing/);
  assert.match(await ask('CONNECT example.com:443 HTTP/1.1', [host]), /^HTTP\/1\.1 404 /);
});

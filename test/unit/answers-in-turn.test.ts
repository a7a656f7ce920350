/** Each request is answered in order, even if invalid bytes follow it. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { sayThenRead } from '../support/late-reader.ts';
import { serveBoth } from '../support/starting-server.ts';

async function open(t: TestContext) {
  const { port, path } = await serveBoth(t);
  const overTls = (bytes: string) => sayThenRead({ host: '127.0.0.1', port }, bytes, true);
  return { overTls, onSocket: (bytes: string) => sayThenRead({ path }, bytes, false), path };
}

const statuses = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

const VERSION = 'GET /version HTTP/1.1\r\nHost: x\r\n\r\n';
const CHUNKED = 'Host: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n';

test('a request is answered even if invalid bytes follow it, and they are answered after it', async (t) => {
  const { overTls } = await open(t);
  for (const [bytes, expected] of [
    [`${VERSION}nonsense\r\n\r\n`, [200, 400]],
    [`${VERSION}${VERSION}nonsense\r\n\r\n`, [200, 200, 400]],
    [`${VERSION}PUT /set_container_start_values HTTP/1.1\r\n${CHUNKED}`, [200, 400]],
    [`${VERSION}CONNECT there:443 HTTP/1.1\r\nHost: x\r\n\r\n`, [200, 404]],
    [`${VERSION.replace('Host', 'Connection: close\r\nHost')}nonsense\r\n\r\n`, [200]],
  ] as const) {
    assert.deepEqual(statuses(await overTls(bytes)), expected, bytes);
  }
});

test('a request that was answered before it was complete gets no second answer', async (t) => {
  const { path } = await open(t);
  const client = connect({ path });
  client.write(`POST /nowhere HTTP/1.1\r\n${CHUNKED.replace('nonsense\r\n', '')}`);
  let heard = '';
  for await (const piece of client) {
    heard += piece;
    if (heard.endsWith('\n')) client.write('nonsense\r\n');
  }
  assert.deepEqual(statuses(heard), [404]);
});

test('a request without a Host header, and a CONNECT, are answered with what to do', async (t) => {
  const { overTls } = await open(t);
  const last = 'Connection: close\r\n\r\n';
  const bare = await overTls(`PUT /set_container_start_values HTTP/1.1\r\nContent-Length: 2\r\n${last}{}`);
  assert.match(bare, /^HTTP\/1\.1 400 /);
  assert.match(bare, /\r\ncontent-type: text\/plain; charset=utf-8\r\n/);
  assert.match(bare, /\r\n\r\n400 Bad Request: missing required Host header\n$/);
  const problem = await overTls(`GET /healthz HTTP/1.1\r\n${last}`);
  assert.match(problem, /^HTTP\/1\.1 400 .*"request\.no_host".*needs a Host header/s);
  const tunnel = await overTls('CONNECT there:443 HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(tunnel, /^HTTP\/1\.1 404 .*\r\n\r\n404 page not found\n$/s);
  assert.match(await overTls('GET /version HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

test('a body that is not JSON leaves the connection usable, over HTTPS and on the API socket', async (t) => {
  const { overTls, onSocket } = await open(t);
  const broken = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{`;
  const last = VERSION.replace('Host', 'Connection: close\r\nHost');
  const put = broken('PUT', '/set_container_start_values');
  assert.deepEqual(statuses(await overTls(put + put + last)), [400, 400, 200]);
  assert.deepEqual(statuses(await onSocket(broken('POST', '/v1/containers') + last)), [400, 200]);
});

test('a plain-text answer forbids content sniffing', async (t) => {
  const { overTls } = await open(t);
  const last = 'Host: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n';
  const isForText = async (bytes: string) =>
    /\r\nX-Content-Type-Options: nosniff\r\n/i.test((await overTls(bytes)).split('\r\n\r\n')[0] ?? '');
  for (const request of [
    `GET /nowhere HTTP/1.1\r\n${last}{}`,
    `POST /set_container_start_values HTTP/1.1\r\n${last}{}`,
    `PUT /set_container_start_values HTTP/1.1\r\n${last}[]`,
    `PUT /set_container_start_values HTTP/1.1\r\n${last}{}`,
    'CONNECT there:443 HTTP/1.1\r\nHost: x\r\n\r\n',
    'nonsense\r\n\r\n',
  ]) {
    assert.ok(await isForText(request), request);
  }
  // The answers of the predecessor's handlers are JSON.
  assert.ok(!(await isForText(`PUT /set_config_encryption_token HTTP/1.1\r\n${last}{}`)));
});

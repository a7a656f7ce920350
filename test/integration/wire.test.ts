import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { host as hostContainer, OK, spinUp, startValues, token } from '../support/callers.ts';
import { call, type Reply } from '../support/https.ts';
import { SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const START_VALUES = '/set_container_start_values';
const TOKEN = '/set_config_encryption_token';
const PLAIN = 'text/plain; charset=utf-8';

let host: TestHost;
let service: ServiceProcess;
before(async () => {
  host = await TestHost.open();
  service = await host.start().ready();
});
after(async () => {
  await service.stop();
  await host.finish();
  await host[Symbol.asyncDispose]();
});

function plain(status: number, body: string): Reply {
  return { status, body, type: PLAIN };
}

function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  return call({ port: service.port, method, path, body, headers });
}

const MALFORMED = plain(400, 'Malformed body\n');
const UNAUTHORIZED = plain(401, 'Unauthorized\n');
const NOT_FOUND = plain(404, '404 page not found\n');

test('a wrong method is refused before the body is read', async () => {
  for (const path of [START_VALUES, TOKEN, '/spin_up_container']) {
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH', 'OPTIONS']) {
      const body = method === 'GET' ? undefined : '{';
      assert.deepEqual(
        await send(method, path, body),
        plain(400, `Bad request type. Expected PUT, got ${method}\n`),
      );
    }
  }
});

test('an unknown path is answered as not found, whatever is sent to it', async () => {
  for (const path of ['/', '/nothing', '/%zz', `${START_VALUES}/`, '/set_container_start_valueS']) {
    assert.deepEqual(await send('PUT', path, '{'), NOT_FOUND);
    assert.deepEqual(await send('GET', path), NOT_FOUND);
  }
});

test('a body that is not a JSON object is refused as malformed before the secret is checked', async () => {
  for (const body of [
    '',
    '{',
    'null',
    '[]',
    '7',
    '"text"',
    '{"a":1}x',
    '\u0000',
    '\ufeff{}',
    '['.repeat(30_000),
  ]) {
    assert.deepEqual(await send('PUT', START_VALUES, body), MALFORMED, body.slice(0, 20));
    assert.deepEqual(await send('PUT', TOKEN, body), MALFORMED, body.slice(0, 20));
  }
});

test('the secret is checked before the types of the fields', async () => {
  for (const auth_secret of [undefined, 'wrong', '', 7, true, [SECRET], { SECRET }, `${SECRET} `]) {
    assert.deepEqual(await send('PUT', START_VALUES, { auth_secret, host_port: 'x' }), UNAUTHORIZED);
    assert.deepEqual(await send('PUT', '/spin_up_container', { auth_secret, app_name: 7 }), UNAUTHORIZED);
  }
  assert.deepEqual(
    await send('PUT', START_VALUES, { AUTH_SECRET: SECRET }),
    UNAUTHORIZED,
    'the case of its name matters',
  );
});

test('S17: a null auth_secret is refused', async () => {
  assert.deepEqual(await send('PUT', START_VALUES, { auth_secret: null }), UNAUTHORIZED);
});

test('fields of a wrong type are refused as malformed, and null counts as missing', async () => {
  const wrong = [
    { host_port: '32262' },
    { host_port: 96.5 },
    { host_port: true },
    { dpi: '96' },
    { dpi: [96] },
    { user_id: 7 },
    { client_app_auth_secret: {} },
    { container_ARN: 7 },
  ];
  for (const fields of wrong)
    assert.deepEqual(await startValues(service, 1, fields), MALFORMED, JSON.stringify(fields));
  assert.deepEqual(await send('PUT', START_VALUES, `{"auth_secret":"${SECRET}","dpi":96.0}`), MALFORMED);
  assert.deepEqual(await token(service, 1, { config_encryption_token: 7 }), MALFORMED);
  assert.deepEqual(await spinUp(service, { protocol_timeout: '60' }), MALFORMED);
  const unknownPort = await startValues(service, 0, { host_port: null, dpi: null, user_id: null });
  assert.equal(unknownPort.status, 406);
});

test('names of fields are case-insensitive, and unknown fields are ignored', async () => {
  const port = await host.hostPort(await hostContainer(service));
  const fields = {
    host_port: undefined,
    HOST_PORT: port,
    container_ARN: undefined,
    Container_arn: 'x',
    more: [1.5],
  };
  assert.deepEqual(await startValues(service, port, fields), OK);
});

test('a body without a length and with any content type is accepted', async () => {
  for (const contentType of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-8',
    ';;',
  ]) {
    const { status } = await call({
      port: service.port,
      method: 'PUT',
      path: TOKEN,
      body: { host_port: 1, config_encryption_token: 'x' },
      chunked: true,
      headers: { 'content-type': contentType },
    });
    assert.equal(status, 406, contentType);
  }
});

test('S16: a body of more than 64 KiB is refused', async () => {
  const body = JSON.stringify({ auth_secret: SECRET, filler: 'x'.repeat(64 * 1024) });
  assert.equal((await send('PUT', START_VALUES, body)).status, 413);
});

test('a request that a handler refuses has status 406 and an error that says what to do', async () => {
  const { status, body, type } = await startValues(service, 65_000);
  assert.deepEqual([status, type], [406, PLAIN]);
  assert.deepEqual(Object.keys(JSON.parse(body)), ['result', 'error']);
  assert.match(body, /^\{"result":"","error":"no running container has the identifying host port 65000/);
});

test('C5: host_port 0, negative and too large are refused', async () => {
  for (const port of [0, -1, 65_536]) assert.equal((await startValues(service, port)).status, 406);
  assert.deepEqual(await startValues(service, 2 ** 53), MALFORMED);
  assert.equal((await token(service, 0)).status, 406);
});

test('health and version need no authentication, and reveal nothing more', async () => {
  const health = await send('GET', '/healthz');
  assert.deepEqual([health.status, health.body], [200, '{"status":"ok"}']);
  const version = await send('GET', '/version');
  assert.deepEqual(Object.keys(JSON.parse(version.body)), ['version', 'commit']);
  const wrong = await send('DELETE', '/healthz');
  assert.deepEqual([wrong.status, wrong.type], [405, 'application/problem+json; charset=utf-8']);
  assert.equal(JSON.parse(wrong.body).status, 405);
});

test('S15: TLS older than 1.2 is refused', async () => {
  const options = { host: '127.0.0.1', port: service.port, rejectUnauthorized: false };
  const old = connect({
    ...options,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  await assert.rejects(once(old, 'secureConnect'), /alert|protocol|version/i);
  const current = connect({ ...options, maxVersion: 'TLSv1.2' });
  await once(current, 'secureConnect');
  assert.equal(current.getProtocol(), 'TLSv1.2');
  current.destroy();
});

test('the certificate names loopback and is ECDSA P-256', async () => {
  const socket = connect({ host: '127.0.0.1', port: service.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subjectaltname, asn1Curve } = socket.getPeerCertificate() as {
    subjectaltname?: string;
    asn1Curve?: string;
  };
  socket.destroy();
  assert.match(subjectaltname ?? '', /DNS:localhost, IP Address:127\.0\.0\.1/);
  assert.equal(asn1Curve, 'prime256v1');
});

test('S10: mounts are taken from the mount command, and any other flag is refused', async () => {
  const { status, body } = await spinUp(service, { mount_command: '--privileged -v /:/host' });
  assert.equal(status, 406);
  assert.match(JSON.parse(body).error, /"--privileged" is neither --mount nor -v/);
});

test('a second spin-up is refused while port 32262 is in use', async () => {
  for (const { Id } of await host.docker.listContainers()) {
    await host.docker.getContainer(Id).kill();
    await service.gone(await host.containerIdOf(Id));
  }
  const other = createServer().listen(32_262, '127.0.0.1');
  await once(other, 'listening');
  const refused = await spinUp(service);
  other.close();
  await once(other, 'close');
  assert.deepEqual(
    [refused.status, /32262 is in use.*POST \/v1\/containers/.test(refused.body)],
    [406, true],
  );
  // One of many concurrent requests.
  const replies = await Promise.all(Array.from({ length: 4 }, () => spinUp(service)));
  assert.deepEqual(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 406, 406, 406],
  );
  const made = replies.find(({ status }) => status === 200)?.body ?? '';
  const { result } = JSON.parse(made);
  assert.equal(await host.hostPort(result), 32_262);
  assert.equal((await host.docker.listContainers()).length, 1);
  assert.notEqual(await host.hostPort(await hostContainer(service)), 32_262);
  await host.docker.getContainer(result).kill();
  await service.gone(await host.containerIdOf(result));
  assert.equal((await spinUp(service)).status, 200);
});

test('a missing image, and a request without an image, are refused with what to do', async () => {
  assert.match(
    (await spinUp(service, { app_image: 'fractal/none:1' })).body,
    /ecs-host-service pull fractal\/none:1/,
  );
  assert.match((await spinUp(service, { app_image: '' })).body, /app_image and app_name must not be empty/);
  assert.match(
    (await spinUp(service, { protocol_timeout: -2 })).body,
    /protocol_timeout must be a number of seconds/,
  );
});

test('S19: the log names the address from which a request came, never its Host header', async () => {
  const from = service.lines.length;
  await send('PUT', '/nothing', '{}', { host: 'attacker.example' });
  const line = await service.line(({ msg, path }) => msg === 'answered' && path === '/nothing', from);
  assert.equal(line.from, '127.0.0.1');
  assert.ok(!service.log().includes('attacker.example'));
});

test('S13: no part of a malformed body appears in the log', async () => {
  const from = service.lines.length;
  await send('PUT', START_VALUES, '{"auth_secret":not-even-quoted-secret');
  const line = await service.line(({ msg, path }) => msg === 'answered' && path === START_VALUES, from);
  assert.equal(line.why, 'the request body is not valid: it is not JSON');
});

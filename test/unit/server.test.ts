import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { type KeyPair, makeCertificate } from '../../httpserver/self-signed-certificate.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { call } from '../support/https.ts';
import { log, serve } from '../support/starting-server.ts';

async function servedCertificate(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const served = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
  socket.destroy();
  return served;
}

test('S10: outside localdev there is no /spin_up_container, for any method', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'server-'));
  await using lifetime = new Lifetime('server');
  const port = await serve(lifetime, { files: undefined, directory: directory.path, log }, false);
  for (const method of ['PUT', 'GET']) {
    const { status, body } = await call({
      port,
      method,
      path: '/spin_up_container',
      body: method === 'PUT' ? {} : undefined,
    });
    assert.deepEqual([status, body], [404, '404 page not found\n']);
  }
});

test('while the host starts, it is alive but accepts no calls', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'server-'));
  await using lifetime = new Lifetime('server');
  const port = await serve(lifetime, { files: undefined, directory: directory.path, log }, true);
  assert.equal((await call({ port, method: 'GET', path: '/healthz' })).status, 503);
  assert.equal((await call({ port, method: 'GET', path: '/version' })).status, 200);
  const reply = await call({
    port,
    method: 'PUT',
    path: '/set_config_encryption_token',
    body: { host_port: 1 },
  });
  assert.deepEqual(
    [reply.status, JSON.parse(reply.body).error],
    [503, 'the host is still starting; try again in a moment'],
  );
});

test("S14: an operator's certificate is served, and a new one without a restart", async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'server-'));
  await using lifetime = new Lifetime('server');
  const files = { cert: join(directory.path, 'a.pem'), key: join(directory.path, 'b.pem') };
  const pairs: KeyPair[] = [];
  for (let i = 0; i < 2; i++) pairs.push(await makeCertificate(['127.0.0.1'], new Date(Date.now() + 60_000)));
  const fingerprints = pairs.map(({ cert }) => new X509Certificate(cert).fingerprint256);
  const put = async (i: number) => {
    await writeFile(files.cert, pairs[i]?.cert ?? '');
    await writeFile(files.key, pairs[i]?.key ?? '');
  };
  await put(0);
  const port = await serve(lifetime, { files, directory: directory.path, log, checkEvery: 5 }, false);
  assert.equal(await servedCertificate(port), fingerprints[0]);
  await put(1);
  while ((await servedCertificate(port)) === fingerprints[0]);
  assert.equal(await servedCertificate(port), fingerprints[1]);
});

test('without a token the operator’s API is closed, however its path is written', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'server-'));
  await using lifetime = new Lifetime('server');
  const port = await serve(lifetime, { files: undefined, directory: directory.path, log }, false);
  const answerTo = async (path: string) => {
    const { status, body } = await call({ port, method: 'GET', path });
    return [status, body.startsWith('{') ? JSON.parse(body).title : body.trim()];
  };
  for (const path of [
    '/v1/containers',
    '/%76%31/containers',
    '/v1/%63ontainers',
    'https://x/v1/containers',
    'https://x/%76%31/containers',
    '/v1/containers?a=/../healthz',
    '/%6detrics',
  ]) {
    assert.deepEqual(await answerTo(path), [401, 'request.no_operator'], path);
  }
  for (const path of [
    '/v1/containers/',
    '/%76%31/containers/',
    '/v1//containers',
    '/v1/containers;a',
    '/v1/../v1/containers',
    '/v1%2fcontainers',
  ]) {
    assert.ok(
      ['401 request.no_operator', '404 request.not_found'].includes((await answerTo(path)).join(' ')),
      path,
    );
  }
  for (const path of [
    '//v1/containers',
    '/V1/containers',
    '/./v1/containers',
    '/healthz/../v1/containers',
    '/%',
  ]) {
    assert.deepEqual(await answerTo(path), [404, '404 page not found'], path);
  }
});

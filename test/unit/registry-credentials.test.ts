/** The credentials for registries, and how long they are kept. */

import assert from 'node:assert/strict';
import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { authFileIssuer } from '../../docker-engine/auth-file.ts';
import { ecrIssuer } from '../../docker-engine/ecr.ts';
import { type Issued, RegistryCredentials } from '../../docker-engine/registry-credentials.ts';

const HOUR = 3_600_000;
const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const tokenOf = (password: string) => Buffer.from(`AWS:${password}`).toString('base64');

test('a credential is requested once, kept for nine tenths of its life, and then renewed', async () => {
  let [now, asked] = [0, 0];
  const issue = async (): Promise<Issued> => {
    asked += 1;
    return { auth: { username: 'AWS', password: `p${asked}` }, ends: now + 12 * HOUR };
  };
  const credentials = new RegistryCredentials([issue], () => now);
  const ask = () => credentials.for({ name: `${ECR}/app` });
  assert.deepEqual(
    new Set((await Promise.all([ask(), ask()])).map((auth) => auth?.password)),
    new Set(['p1']),
  );
  now = 10.7 * HOUR;
  assert.equal((await ask())?.password, 'p1');
  now = 10.9 * HOUR;
  assert.equal((await ask())?.password, 'p2');
  assert.equal(asked, 2);
});

test('while a credential cannot be renewed, the old one is used until it expires', async () => {
  let [now, isAway] = [0, false];
  const issue = async (): Promise<Issued> => {
    if (isAway) throw new Error('away');
    return { auth: { username: 'AWS', password: 'p' }, ends: now + 10 };
  };
  const credentials = new RegistryCredentials([issue], () => now);
  const ask = () => credentials.for({ name: 'registry/app' });
  await ask();
  [now, isAway] = [9.5, true];
  assert.equal((await ask())?.password, 'p');
  now = 11;
  await assert.rejects(ask, /away/);
  isAway = false;
  assert.equal((await ask())?.password, 'p');
});

test('tokens for Amazon ECR come from the region of each registry, and the public one needs none', async () => {
  const asked: string[] = [];
  const token = (region: string) => {
    asked.push(region);
    return { authorizationToken: tokenOf(`for:${region}`), expiresAt: new Date(12 * HOUR) };
  };
  const issue = ecrIssuer({
    privateToken: async (region) => token(region),
    publicToken: async () => {
      throw new Error('not allowed');
    },
  });
  const expected = { auth: { username: 'AWS', password: 'for:eu-west-1' }, ends: 12 * HOUR };
  assert.deepEqual(await issue(ECR), expected);
  assert.deepEqual(
    await issue('123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn').then((one) => one?.auth.password),
    'for:cn-north-1',
  );
  assert.equal(await issue('public.ecr.aws'), undefined);
  assert.equal(await issue('registry.example.com'), undefined);
  assert.equal(await issue('evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com'), undefined);
  assert.deepEqual(asked, ['eu-west-1', 'cn-north-1']);
  const refused = ecrIssuer({
    privateToken: () =>
      Promise.reject(
        Object.assign(new Error('secret'), { name: 'AccessDenied', $metadata: { httpStatusCode: 400 } }),
      ),
    publicToken: async () => undefined,
  });
  await assert.rejects(
    () => refused(ECR),
    (error: Error) => {
      assert.match(error.message, /AccessDenied, status 400; check .* ecr:GetAuthorizationToken/);
      return !error.message.includes('secret');
    },
  );
});

test('a file of credentials is read each time, and must be readable by root only', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'auth-'));
  const path = join(directory.path, 'config.json');
  const issue = authFileIssuer(path);
  const write = (password: string) =>
    writeFile(
      path,
      JSON.stringify({
        auths: {
          'https://registry.example.com/v1/': { auth: Buffer.from(`me:${password}`).toString('base64') },
        },
      }),
    );
  await write('a:b');
  await chmod(path, 0o600);
  assert.deepEqual((await issue('registry.example.com'))?.auth, { username: 'me', password: 'a:b' });
  await write('next');
  assert.equal((await issue('registry.example.com'))?.auth.password, 'next');
  assert.equal(await issue('other.example.com'), undefined);
  await chmod(path, 0o644);
  await assert.rejects(() => issue('registry.example.com'), /others than root can read it/);
  await chmod(path, 0o600);
  await writeFile(path, '{ "auths": secret');
  await assert.rejects(
    () => issue('registry.example.com'),
    (error: Error) => /it is not JSON/.test(error.message) && !error.message.includes('secret'),
  );
});

test('the credentials of Docker Hub are found under the name that docker login uses', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'auth-'));
  const path = join(directory.path, 'config.json');
  const auth = Buffer.from('me:secret').toString('base64');
  await writeFile(path, JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth } } }), {
    mode: 0o600,
  });
  const issued = await authFileIssuer(path)('docker.io');
  assert.deepEqual(issued?.auth, { username: 'me', password: 'secret' });
});

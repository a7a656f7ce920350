import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { Names } from '../../outgoing/names.ts';

function namesOf(t: TestContext, hosts: string, servers?: readonly string[]): Names {
  const directory = mkdtempSync(join(tmpdir(), 'names-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'hosts');
  writeFileSync(file, hosts);
  return new Names(file, servers);
}

function all(names: Names, name: string): Promise<unknown> {
  return promisify(names.lookup)(name, { all: true });
}

test('a name in the hosts file is not looked up elsewhere', async (t) => {
  const names = namesOf(
    t,
    '# a comment\n127.0.0.1 localhost\n192.0.2.7\tweb.example web # 192.0.2.8 web\n::1 localhost\n',
  );
  assert.deepEqual(await all(names, 'Web.example'), [{ address: '192.0.2.7', family: 4 }]);
  assert.deepEqual(await all(names, 'localhost'), [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]);
});

test('a caller that needs one address gets the first', async (t) => {
  const names = namesOf(t, '127.0.0.1 localhost\n::1 localhost\n');
  const found = await new Promise((resolve) =>
    names.lookup('localhost', {}, (error, address, family) => resolve([error, address, family])),
  );
  assert.deepEqual(found, [null, '127.0.0.1', 4]);
});

test('an unknown name is an error', async (t) => {
  const names = namesOf(t, '', ['127.0.0.1:1']);
  await assert.rejects(all(names, 'nowhere.example'), /nowhere\.example/);
});

test('a query to a silent name server is aborted as soon as no caller waits for it', async (t) => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const names = namesOf(t, '', [`127.0.0.1:${silent.address().port}`]);
  const asked = once(silent, 'message');
  const given = assert.rejects(all(names, 'web.example'), { code: 'ECANCELLED' });
  await asked;
  names.close();
  await given;
});

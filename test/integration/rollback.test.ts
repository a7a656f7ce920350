/** What someone who can write to the bucket, and has no token, can do with the stored objects. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { encrypt } from '../../user-configs/age.ts';
import { deriveIdentity, recipientOf } from '../../user-configs/config-key.ts';
import { restoreVersion } from '../../user-configs/history.ts';
import { oldKeyOf, prefixOf } from '../../user-configs/object-keys.ts';
import { PartBuffers } from '../../user-configs/part-buffers.ts';
import { readRecord } from '../../user-configs/session.ts';
import { sealStamp } from '../../user-configs/stamp.ts';
import { ConfigStore } from '../../user-configs/store.ts';
import type { UserConfigsOptions } from '../../user-configs/user-configs.ts';
import { ConfigHost, type Container } from '../support/config-host.ts';
import { S3 } from '../support/s3.ts';
import { SECRET, TOKEN } from '../support/secrets.ts';

const never = new AbortController().signal;
const PREFIX = prefixOf('user', 'app');
const CURRENT = `${PREFIX}current.json`;
/** A save that may be about to become current is ignored. An hour later, no save is. */
const LATER = { now: () => Date.now() + 3_600_000 };
const ROLLED_BACK = 'config.rolled_back';

async function open(t: TestContext) {
  const s3 = await S3.open();
  const hosts: ConfigHost[] = [];
  t.after(async () => {
    for (const host of hosts) await host[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
  });
  const openHost = async (options: Partial<UserConfigsOptions> = LATER) => {
    const host = await ConfigHost.open(s3, options);
    hosts.push(host);
    return host;
  };
  const host = await openHost();
  const leave = async (text: string, whose = {}) => {
    const container = await host.begin(whose);
    container.write({ file: text });
    await container.session.save(never);
    await host.arrived();
    return { ...container, current: String(await s3.read(`${prefixOf('user', 'app')}current.json`)) };
  };
  const client = s3.client();
  const remove = (key: string) => client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: key }));
  const store = new ConfigStore({ client, bucket: s3.bucket, prefix: PREFIX, buffers: new PartBuffers() });
  const versions = async () => (await s3.keys()).filter((key) => key.startsWith(`${PREFIX}versions/`));
  return { s3, host, openHost, leave, remove, store, versions };
}

function found({ files, outcome, alarm }: Container): [string, string | undefined, string | undefined] {
  let text: string | undefined;
  try {
    text = readFileSync(join(files, 'file'), 'utf8');
  } catch {
    // There is no such file.
  }
  return [outcome, text, alarm?.code];
}

/** Objects in the predecessor's format of this user and app. */
async function storeOld(s3: S3, host: ConfigHost): Promise<void> {
  writeFileSync(join(host.root, 'file'), 'of the predecessor');
  const command = `tar -C ${host.root} -cf - file | lz4 -q -c | openssl enc -aes-256-cbc -pbkdf2 -pass env:TOKEN`;
  const old = execFileSync('bash', ['-c', command], { env: { PATH: process.env.PATH, TOKEN } });
  await s3.write(oldKeyOf('user', 'app') as string, old);
}

test('a host that knows a newer current.json detects an old one that is put back, once, and restores the files', async (t) => {
  const { s3, host, leave } = await open(t);
  const { current } = await leave('first');
  await leave('second');
  await leave('third');
  await s3.write(CURRENT, current);
  // There is no newer save left to find.
  const kept = (await s3.keys()).filter((key) => key.endsWith('.age'));
  assert.equal(kept.length, 3);
  for (const key of kept)
    if (!current.includes(key.slice(PREFIX.length)))
      await s3.client().send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: key }));
  assert.deepEqual(found(await host.begin()), ['restored', 'first', ROLLED_BACK]);
  const line = host.lines.find(({ level, msg }) => level === 'error' && /older state/.test(msg));
  assert.match(line?.msg ?? '', /names an older save than the last one that this host has known/);
  assert.deepEqual(found(await host.begin()), ['restored', 'first', undefined]);
});

test('a host without knowledge of the user detects an old current.json by the newer saves in the bucket', async (t) => {
  const { s3, openHost, leave } = await open(t);
  const { current } = await leave('first');
  await leave('second');
  await leave('third');
  await s3.write(CURRENT, current);
  const other = await openHost();
  const alarms: string[] = [];
  const third = await openHost({ ...LATER, onAlarm: (alarm) => alarms.push(alarm) });
  assert.deepEqual(found(await other.begin()), ['restored', 'first', ROLLED_BACK]);
  assert.deepEqual(found(await third.begin()), ['restored', 'first', ROLLED_BACK]);
  assert.deepEqual(alarms, ['rolled_back']);
  assert.ok(other.lines.some(({ msg }) => /is newer than the save that current.json names/.test(msg)));
});

test('a forged current.json is detected, whatever generation it names', async (t) => {
  const { s3, openHost, leave } = await open(t);
  const { current } = await leave('first');
  await leave('second');
  const { generation, ...old } = JSON.parse(current);
  assert.equal(generation, 1);
  for (const made of [{ ...old, generation: 99 }, old, { ...old, generation: 99, chosen: 'a'.repeat(44) }]) {
    await s3.write(CURRENT, JSON.stringify(made));
    assert.deepEqual(found(await (await openHost({})).begin()), ['restored', 'first', ROLLED_BACK]);
  }
});

test("without current.json, the latest save is restored, and never files in the predecessor's format", async (t) => {
  const { s3, host, leave, remove, openHost, versions } = await open(t);
  await storeOld(s3, host);
  assert.deepEqual(found(await host.begin()), ['restored', 'of the predecessor', undefined]);
  await leave('first');
  await leave('second');
  await remove(CURRENT);
  assert.deepEqual(found(await (await openHost()).begin()), ['restored', 'second', ROLLED_BACK]);
  const next = await host.begin();
  assert.deepEqual(found(next), ['restored', 'second', ROLLED_BACK]);
  next.write({ file: 'third' });
  await next.session.save(never);
  await host.arrived();
  assert.deepEqual(found(await host.begin()), ['restored', 'third', undefined], 'the alarm names it again');
  for (const key of [CURRENT, ...(await versions())]) await remove(key);
  assert.deepEqual(found(await host.begin()), ['new', undefined, ROLLED_BACK]);
});

test("with USER_CONFIG_OLD_FORMAT=refuse, files in the predecessor's format are never requested", async (t) => {
  const { s3, host, openHost } = await open(t);
  await storeOld(s3, host);
  const refusing = await openHost({ readsOldFormat: false });
  assert.deepEqual(found(await refusing.begin()), ['new', undefined, undefined]);
  assert.ok(!s3.requests.some(({ key }) => key === oldKeyOf('user', 'app')));
});

test('a save under the name of another save, or of another app, counts as damaged', async (t) => {
  const { s3, host, leave, versions } = await open(t);
  await leave('first');
  const [first = ''] = await versions();
  const { current } = await leave('second');
  const second = `${PREFIX}${JSON.parse(current).version}`;
  await s3.write(second, await s3.read(first));
  assert.deepEqual(found(await host.begin()), ['damaged', undefined, undefined]);
  assert.ok(
    host.lines.some(({ why }) => /is not the object that was stored under this name/.test(String(why))),
  );

  await leave('of another app', { appName: 'other' });
  const other = (await s3.keys()).find(
    (key) => key.startsWith(prefixOf('user', 'other')) && key.endsWith('.age'),
  );
  await s3.write(second, await s3.read(other as string));
  assert.deepEqual(found(await host.begin()), ['damaged', undefined, undefined]);
  assert.ok(host.lines.some(({ why }) => /it is of another user or app/.test(String(why))));
});

test('the public key without the token is not enough to make a save', async (t) => {
  const { s3, host, leave } = await open(t);
  const { current } = await leave('first');
  const { version, session, sequence, generation } = JSON.parse(current);
  const directory = join(host.root, 'tree');
  execFileSync('bash', ['-c', `mkdir ${directory}; echo forged > ${directory}/file`]);
  const archive = execFileSync('bash', ['-c', `tar -C ${host.root} -cf - tree | zstd -qc`]);
  const stamp = { of: PREFIX, name: version, session, sequence, generation };
  const forged = Buffer.concat([sealStamp(Buffer.alloc(32), stamp), archive]);
  const recipient = recipientOf(deriveIdentity(TOKEN));
  await s3.write(
    `${PREFIX}${version}`,
    Buffer.concat([...encrypt(recipient, [forged])].map((piece) => Buffer.from(piece))),
  );
  assert.deepEqual(found(await host.begin()), ['damaged', undefined, undefined]);
  assert.ok(host.lines.some(({ why }) => /its stamp is forged/.test(String(why))));
  // Without any stamp, as before stamps existed.
  await s3.write(
    `${PREFIX}${version}`,
    Buffer.concat([...encrypt(recipient, [archive])].map((piece) => Buffer.from(piece))),
  );
  assert.equal(found(await host.begin())[2], ROLLED_BACK);
});

test('a restore by an operator raises no alarm, and nobody else can sign one', async (t) => {
  const { s3, host, openHost, leave, store } = await open(t);
  const first = JSON.parse((await leave('first')).current).version;
  const { current } = await leave('second');
  const choose = async (secret: string) =>
    await restoreVersion({ store, prefix: PREFIX, secret }, first.replace(/^versions\/|\.age$/g, ''), never);
  await choose('another secret');
  assert.deepEqual(found(await (await openHost()).begin()), ['restored', 'first', ROLLED_BACK]);
  await s3.write(CURRENT, current);
  await choose(SECRET);
  const chosen = await s3.read(CURRENT);
  for (const one of [host, await openHost()])
    assert.deepEqual(found(await one.begin()), ['restored', 'first', undefined]);
  await leave('third');
  assert.deepEqual(found(await (await openHost()).begin()), ['restored', 'third', undefined]);
  await s3.write(CURRENT, chosen);
  assert.deepEqual(
    found(await host.begin()),
    ['restored', 'first', ROLLED_BACK],
    'an old choice was put back',
  );
});

test('nothing that hosts do by themselves is reported as a rollback', async (t) => {
  const { s3, host, openHost, leave } = await open(t);
  await leave('first');
  const [one, other] = [await host.begin(), await host.begin()];
  for (const text of ['a', 'b', 'c']) {
    one.write({ file: text });
    await host.tick();
    await one.session.checkpoint(never);
    await host.arrived();
    assert.deepEqual(found(await (await openHost()).begin()), ['restored', text, undefined]);
  }
  await one.session.save(never);
  other.write({ file: 'overtaken' });
  await other.session.save(never);
  await host.arrived();
  const next = await host.begin();
  assert.deepEqual(found(next), ['restored', 'c', undefined]);
  assert.deepEqual(found(await (await openHost()).begin()), ['restored', 'c', undefined]);
  await s3.turn('away');
  next.write({ file: 'd' });
  await next.session.save(never);
  assert.deepEqual(found(await host.begin()), ['restored', 'd', undefined], 'saves wait on this host');
  await s3.turn('none');
});

test('files that were stored before saves had stamps are restored, saved and restored again without an alarm', async (t) => {
  const { s3, host, openHost } = await open(t);
  const before = await host.begin();
  before.write({ file: 'old' });
  const { stamp: _, ...record } = (await readRecord(before.own)) ?? assert.fail();
  const session = await host.configs.resume(record, before.own, before.files);
  await session.checkpoint(never);
  await host.arrived();
  assert.equal(JSON.parse(String(await s3.read(CURRENT))).generation, undefined);
  const next = await (await openHost()).begin();
  assert.deepEqual(found(next), ['restored', 'old', undefined]);
  const here = await host.begin();
  here.write({ file: 'changed' });
  await host.tick();
  await here.session.checkpoint(never);
  await host.arrived();
  assert.match(
    JSON.parse(String(await s3.read(CURRENT))).changes,
    /\+/,
    'changes relative to a save without a stamp',
  );
  for (const one of [host, await openHost()])
    assert.deepEqual(found(await one.begin()), ['restored', 'changed', undefined]);
});

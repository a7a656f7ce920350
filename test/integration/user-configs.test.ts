/** A user's files from session to session, with a failing store and full disks. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { oldKeyOf, prefixOf } from '../../user-configs/object-keys.ts';
import { readRecord } from '../../user-configs/session.ts';
import { momentOf } from '../../user-configs/workplace.ts';
import { ConfigHost, type Container, openConfigHost } from '../support/config-host.ts';
import { S3 } from '../support/s3.ts';
import { TOKEN } from '../support/secrets.ts';

const never = new AbortController().signal;
const PREFIX = prefixOf('user', 'app');

async function current(s3: S3) {
  return JSON.parse(String(await s3.read(`${PREFIX}current.json`)));
}

async function archives(s3: S3): Promise<string[]> {
  return (await s3.keys()).filter((key) => key.endsWith('.age')).map((key) => key.slice(PREFIX.length));
}

function content({ files }: Container): Record<string, string> {
  return Object.fromEntries(
    readdirSync(files)
      .sort()
      .map((name) => [name, readFileSync(join(files, name), 'utf8')]),
  );
}

/** A first session that left files, and has ended. */
async function leave(host: ConfigHost, files: Readonly<Record<string, string>> = { a: 'first' }) {
  const container = await host.begin();
  container.write(files);
  await container.session.save(never);
  return container;
}

test("a user's first session finds no config, and each later one finds what the last one left", async (t) => {
  const { s3, host } = await openConfigHost(t);
  const first = await host.begin();
  assert.equal(first.outcome, 'new');
  mkdirSync(join(first.files, 'profile'));
  writeFileSync(join(first.files, 'profile/large'), randomBytes(20 * 2 ** 20));
  symlinkSync('profile', join(first.files, 'link'));
  await first.session.save(never);
  const second = await host.begin();
  assert.equal(second.outcome, 'restored');
  execFileSync('diff', ['-r', '--no-dereference', first.files, second.files]);
  assert.deepEqual(readdirSync(second.own).sort(), ['files', 'mark', 'user-config.json', 'view']);
  await host.arrived();
  assert.match((await archives(s3)).join(), /^versions\/[^,+]+\.age$/);
  assert.equal(s3.openUploads, 0);
});

test('users and apps are kept apart', async (t) => {
  const { host } = await openConfigHost(t);
  await leave(host);
  assert.equal((await host.begin({ appName: 'other' })).outcome, 'new');
  assert.equal((await host.begin({ userId: 'other' })).outcome, 'new');
  assert.equal((await host.begin()).outcome, 'restored');
});

test('whatever the container puts in the place of its config is replaced, links and directories too, and the rest stays', async (t) => {
  const { host } = await openConfigHost(t);
  await leave(host, { a: 'stored a', b: 'stored b', c: 'stored c' });
  const outside = mkdtempSync(join(tmpdir(), 'outside-'));
  t.after(() => rmSync(outside, { recursive: true }));
  await host.arrived();
  const container = await host.begin({}, (files) => {
    writeFileSync(join(files, 'a'), 'in the way');
    mkdirSync(join(files, 'b'));
    writeFileSync(join(files, 'b/x'), 'in the way');
    symlinkSync(join(outside, 'c'), join(files, 'c'));
    writeFileSync(join(files, 'd'), 'not in the way');
  });
  assert.deepEqual(content(container), { a: 'stored a', b: 'stored b', c: 'stored c', d: 'not in the way' });
  assert.deepEqual(readdirSync(outside), []);
});

test('a crash after a checkpoint loses only later changes, and checkpoints are small', async (t) => {
  const { s3, host } = await openConfigHost(t);
  const container = await host.begin();
  container.write({ large: randomBytes(10 * 2 ** 20), b: 'first' });
  await host.tick();
  await container.session.checkpoint(never);
  assert.equal(await container.session.checkpoint(never), undefined, 'nothing changed');
  container.write({ b: 'second' });
  assert.ok(((await container.session.checkpoint(never))?.file.bytes ?? Infinity) < 10_000);
  rmSync(join(container.files, 'b'));
  container.write({ c: 'third' });
  await container.session.checkpoint(never);
  container.write({ d: 'lost' });
  await host.arrived();
  // The base and the last checkpoint remain, and earlier checkpoints are removed.
  while ((await archives(s3)).length > 2) await pause(5);
  const { version, changes } = await current(s3);
  assert.deepEqual(new Set(await archives(s3)), new Set([changes, version]));
  const next = await host.begin();
  assert.equal(next.outcome, 'restored');
  assert.deepEqual(readdirSync(next.files).sort(), ['c', 'large']);
});

test('checkpoints contain the changes since the session began, and a full save follows when they are many', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await leave(host, { a: 'first', b: 'x'.repeat(100_000) });
  await host.arrived();
  const base = (await current(s3)).version;
  const container = await host.begin();
  container.write({ a: 'second' });
  await container.session.checkpoint(never);
  await host.arrived();
  assert.deepEqual([(await current(s3)).version, typeof (await current(s3)).changes], [base, 'string']);
  container.write({ b: String(randomBytes(100_000)) });
  await container.session.checkpoint(never);
  container.write({ c: 'third' });
  await container.session.checkpoint(never);
  await host.arrived();
  assert.notEqual((await current(s3)).version, base);
  assert.deepEqual(content(await host.begin()), content(container));
});

test('files that did not change since the last checkpoint are not saved again at the end', async (t) => {
  const { s3, host } = await openConfigHost(t);
  const container = await host.begin();
  container.write({ a: 'first' });
  await host.tick();
  await container.session.checkpoint(never);
  await host.arrived();
  const before = await archives(s3);
  assert.match(await container.session.save(never), /last checkpoint/);
  await host.arrived();
  assert.deepEqual(await archives(s3), before);
});

test('after the clock is set back, changes are counted from an earlier time', () => {
  const mark = { nanoseconds: 1_000_000_000_000n, offset: Date.now() - performance.now() };
  assert.ok(Math.abs(Number(momentOf(mark)) - 1000) < 1);
  assert.ok(Math.abs(Number(momentOf({ ...mark, offset: mark.offset + 60_000 })) - 940) < 1);
  assert.ok(Math.abs(Number(momentOf({ ...mark, offset: mark.offset - 60_000 })) - 1000) < 1);
});

test('if two containers of one user run at once, the later save does not replace the earlier one, and both are kept', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await leave(host);
  await host.arrived();
  const [one, other] = await Promise.all([host.begin(), host.begin()]);
  one.write({ a: 'of one' });
  other.write({ a: 'of the other' });
  await one.session.save(never);
  await host.arrived();
  await other.session.save(never);
  await host.arrived();
  assert.deepEqual(content(await host.begin()), { a: 'of one' });
  assert.equal((await archives(s3)).length, 3);
  assert.ok(host.lines.some(({ level, msg }) => level === 'warn' && /kept beside/.test(msg)));
});

test('C9: nothing of a damaged config is restored, and the next save is set aside', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await leave(host, { a: 'good' });
  await host.arrived();
  const before = await current(s3);
  await s3.turn('flip');
  const container = await host.begin();
  await s3.turn('none');
  assert.equal(container.outcome, 'damaged');
  assert.deepEqual(readdirSync(container.files), []);
  container.write({ a: 'made meanwhile' });
  await container.session.checkpoint(never);
  container.write({ b: 'made meanwhile' });
  await container.session.checkpoint(never);
  await container.session.save(never);
  await host.arrived();
  assert.deepEqual(await current(s3), before);
  assert.ok((await archives(s3)).some((name) => name.startsWith('aside/')));
  assert.deepEqual(content(await host.begin()), { a: 'good' });
});

test('C9: a config under another token is not replaced either', async (t) => {
  const { host } = await openConfigHost(t);
  await leave(host, { a: 'good' });
  const container = await host.begin({ token: 'another' });
  assert.equal(container.outcome, 'damaged');
  container.write({ a: 'evil' });
  await container.session.save(never);
  assert.deepEqual(content(await host.begin()), { a: 'good' });
});

for (const fault of ['away', 'silent', 'deny', 'throttle', 'cut-download'] as const) {
  test(`C9: if the store fails to deliver a config (${fault}), the next save is set aside`, async (t) => {
    const { s3, host } = await openConfigHost(t);
    await leave(host, { a: 'x'.repeat(100_000) });
    await host.arrived();
    await s3.turn(fault);
    const container = await host.begin();
    await s3.turn('none');
    assert.equal(container.outcome, 'unavailable');
    container.write({ a: 'made meanwhile' });
    await container.session.save(never);
    await host.arrived();
    assert.equal(content(await host.begin()).a?.length, 100_000);
  });
}

test('files that a user makes on a first visit while S3 is away are found by the next container', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await s3.turn('away');
  const first = await host.begin();
  assert.equal(first.outcome, 'unavailable');
  first.write({ a: 'made meanwhile' });
  await first.session.checkpoint(never);
  first.write({ b: 'made later' });
  await first.session.save(never);
  await s3.turn('none');
  const second = await host.begin();
  assert.deepEqual([second.outcome, second.alarm], ['restored', undefined]);
  assert.deepEqual(content(second), { a: 'made meanwhile', b: 'made later' });
  second.write({ a: 'of the second' });
  await second.session.checkpoint(never);
  await host.arrived();
  assert.match((await current(s3)).version, /^versions\//);
  assert.equal(content(await host.begin()).a, 'of the second');
  assert.equal((await host.begin({ token: 'another' })).outcome, 'damaged');
});

test("a save that was set aside and cannot be used is skipped, and hides nothing in the predecessor's format", async (t) => {
  const { s3, host } = await openConfigHost(t);
  const leaveAside = async (token: string) => {
    await s3.turn('away');
    const container = await host.begin({ token });
    container.write({ a: token });
    await container.session.save(never);
    await s3.turn('none');
    await host.configs.uploaded();
  };
  await leaveAside(TOKEN);
  await leaveAside('another');
  assert.deepEqual(content(await host.begin()), { a: TOKEN });
  assert.equal((await host.begin({ token: 'a third' })).outcome, 'new');
  await s3.write(oldKeyOf('user', 'app') as string, Buffer.from('not what the predecessor wrote'));
  assert.equal((await host.begin()).outcome, 'damaged');
});

test('a download that breaks off once is restarted', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await leave(host, { a: String(randomBytes(100_000)) });
  await host.arrived();
  await s3.turn('cut-download', { times: 2 });
  assert.equal((await host.begin()).outcome, 'restored');
});

test('C10: a save while S3 is away waits on the disk, also for the next start, and the next container gets it', async (t) => {
  const { s3, host } = await openConfigHost(t);
  await leave(host, { a: 'first' });
  await host.arrived();
  const second = await host.begin();
  await s3.turn('away');
  second.write({ a: 'second' });
  await second.session.save(never);
  const third = await host.begin();
  assert.deepEqual([third.outcome, content(third)], ['restored', { a: 'second' }]);
  third.write({ a: 'third' });
  await third.session.save(never);
  assert.equal((await host.waiting()).length, 4);
  await host.stop();
  assert.ok(
    host.lines.some(
      ({ level, msg, configs }) => level === 'error' && /stay on this host/.test(msg) && configs === 2,
    ),
  );
  await s3.turn('none');
  await host.start();
  await host.arrived();
  assert.deepEqual(content(await host.begin()), { a: 'third' });
});

for (const [fault, narrowing] of [
  ['deny', { only: ['PutObject', 'CreateMultipartUpload'] }],
  ['throttle', { only: ['PutObject', 'UploadPart'] }],
  ['cut-upload', { times: 4 }],
  ['cut-answer', { times: 4 }],
  ['throttle-some', {}],
  ['wrong-clock', {}],
] as const) {
  test(`a save that the store obstructs (${fault}) is not lost`, async (t) => {
    const { s3, host } = await openConfigHost(t);
    await s3.turn(fault, narrowing);
    const container = await host.begin();
    const large = randomBytes(20 * 2 ** 20);
    container.write({ a: large, b: 'b' });
    await container.session.save(never);
    if (fault === 'deny' || fault === 'throttle') {
      while (!host.lines.some(({ level, msg }) => level === 'warn' && /waits for S3/.test(msg)))
        await pause(5);
      await s3.turn('none');
    }
    await host.arrived();
    assert.equal(s3.openUploads, 0);
    const next = await host.begin();
    assert.ok(readFileSync(join(next.files, 'a')).equals(large));
  });
}

test('C10: if the disk is full, the files stay and can be saved once there is room', async (t) => {
  const { host } = await openConfigHost(t, { spoolLimit: 1_000_000 });
  const container = await host.begin();
  container.write({ a: randomBytes(2_000_000) });
  await assert.rejects(container.session.save(never), { code: 'config.spool_full' });
  assert.deepEqual(await host.waiting(), []);
  assert.ok(await readRecord(container.own), 'an unsaved session is recognized');
  container.write({ a: 'smaller' });
  await container.session.save(never);
  assert.equal(await readRecord(container.own), undefined);
  assert.deepEqual(content(await host.begin()), { a: 'smaller' });

  const small = mkdtempSync(join(tmpdir(), 'small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
  t.after(() => execFileSync('umount', ['-l', small]));
  const s3 = await S3.open();
  const host2 = await ConfigHost.open(s3, {}, small);
  const second = await host2.begin();
  second.write({ a: randomBytes(2_000_000) });
  await assert.rejects(second.session.save(never), { code: 'host.filesystem' });
  assert.deepEqual(await host2.waiting(), []);
  second.write({ a: 'smaller' });
  await second.session.save(never);
  await host2.stop();
  assert.ok((await s3.keys()).some((key) => key.endsWith('.age')));
  await s3[Symbol.asyncDispose]();
});

test('C11: files that cannot be packed cause an error, not a smaller config', async (t) => {
  const { s3, host } = await openConfigHost(t, { limit: 1_000_000 });
  const container = await host.begin();
  container.write({ a: randomBytes(2_000_000) });
  await assert.rejects(container.session.save(never), { code: 'config.too_large' });
  assert.deepEqual([await host.waiting(), await s3.keys()], [[], []]);
});

test("files in the predecessor's format are read and stay unchanged, and the first save is stored beside them", async (t) => {
  const { s3, host } = await openConfigHost(t);
  const files = mkdtempSync(join(tmpdir(), 'old-'));
  t.after(() => rmSync(files, { recursive: true }));
  writeFileSync(join(files, 'a'), 'old');
  const command = `tar -C ${files} -cf - . | lz4 -q -c | openssl enc -aes-256-cbc -pbkdf2 -pass env:TOKEN`;
  const old = execFileSync('bash', ['-c', command], { env: { PATH: process.env.PATH, TOKEN } });
  const key = oldKeyOf('user', 'app') as string;
  await s3.write(key, old);
  const container = await host.begin();
  assert.deepEqual([container.outcome, content(container)], ['restored', { a: 'old' }]);
  container.write({ a: 'new' });
  await container.session.save(never);
  assert.deepEqual(content(await host.begin()), { a: 'new' });
  assert.ok((await s3.read(key)).equals(old));
  assert.equal((await host.begin({ token: 'another', userId: 'user' })).outcome, 'damaged');
});

test("C12: a damaged object in the predecessor's format is detected by its content, not by a message", async (t) => {
  const { s3, host } = await openConfigHost(t);
  await s3.write(oldKeyOf('user', 'app') as string, 'does not exist');
  assert.equal((await host.begin()).outcome, 'damaged');
});

test('all versions of one hour are kept, even if there are more than the configured number', async (t) => {
  const { s3, host } = await openConfigHost(t, { versions: 2 });
  for (let i = 0; i < 4; i++) {
    const container = await host.begin();
    container.write({ [`file${i}`]: '' });
    await container.session.save(never);
    await host.arrived();
  }
  // They were made in the same hour.
  assert.equal((await archives(s3)).length, 4);
});

test('the next service can save the session of a service that died', async (t) => {
  const { host } = await openConfigHost(t);
  await leave(host, { a: 'first' });
  const container = await host.begin();
  container.write({ a: 'second' });
  await container.session.checkpoint(never);
  container.write({ a: 'third' });
  await host.stop();
  await host.start();
  const record = await readRecord(container.own);
  assert.ok(record);
  assert.ok(!JSON.stringify(record).includes(TOKEN));
  const session = await host.configs.resume(record, container.own, container.files);
  await session.save(never);
  assert.deepEqual(content(await host.begin()), { a: 'third' });
});

test('an incomplete save on the disk after a crash is not mistaken for a save', async (t) => {
  const { host } = await openConfigHost(t);
  await leave(host);
  await host.arrived();
  await host.stop();
  writeFileSync(join(host.spool, 'abc-1.age'), 'the beginning of an archive');
  writeFileSync(join(host.spool, 'abc-2.json'), '{}');
  await host.start();
  assert.deepEqual(await host.waiting(), []);
  assert.ok(!existsSync(join(host.spool, 'abc-1.age')));
});

/** The store with a stand-in for S3 that enforces its conditions and fails. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { Current } from '../../user-configs/current.ts';
import { GrowingFile } from '../../user-configs/growing-file.ts';
import { PartBuffers } from '../../user-configs/part-buffers.ts';
import { ConfigStore } from '../../user-configs/store.ts';
import { S3 } from '../support/s3.ts';

const never = new AbortController().signal;
const LARGE = randomBytes(20 * 2 ** 20);
const current = (sequence: number, session = 'a'): Current => ({
  version: `versions/${sequence}.age`,
  session,
  sequence,
});

async function openStore(t: TestContext, maxAttempts = 1) {
  const s3 = await S3.open();
  const directory = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(async () => {
    await s3[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  const client = s3.client({ maxAttempts });
  const store = new ConfigStore({
    client,
    bucket: s3.bucket,
    prefix: 'v1/user/app/',
    buffers: new PartBuffers(),
  });
  const path = join(directory, 'file');
  const put = async (name: string, content: Buffer) => {
    writeFileSync(path, content);
    await store.put(name, await GrowingFile.whole(path), never);
  };
  const read = async (name: string) => {
    const content = await store.open(name, 2 ** 30, never);
    return content && (await buffer(content.stream));
  };
  return { s3, store, path, put, read };
}

test('archives of any size can be stored and read back, each below its prefix', async (t) => {
  const { s3, store, put, read } = await openStore(t);
  for (const length of [0, 1, 8 * 2 ** 20, 8 * 2 ** 20 + 1, LARGE.length]) {
    const content = LARGE.subarray(0, length);
    await put(`versions/${length}.age`, content);
    assert.ok((await read(`versions/${length}.age`))?.equals(content), `${length} bytes`);
  }
  assert.ok((await s3.keys()).every((key) => key.startsWith('v1/user/app/versions/')));
  assert.equal((await store.list(never)).length, 5);
  await store.remove('versions/1.age', never);
  assert.equal(await read('versions/1.age'), undefined);
});

test('C12: a missing object is distinguished from an unreadable one', async (t) => {
  const { s3, store, read } = await openStore(t);
  assert.equal(await store.findCurrent(never), undefined);
  assert.equal(await read('versions/none.age'), undefined);
  for (const fault of ['deny', 'throttle', 'away'] as const) {
    await s3.turn(fault);
    await assert.rejects(store.findCurrent(never), { code: 'config.store' }, fault);
    await assert.rejects(read('versions/none.age'), { code: 'config.store' }, fault);
  }
});

test('one of two concurrent new current configs succeeds, and the writer of the other is told', async (t) => {
  const { store } = await openStore(t);
  const first = await Promise.all(
    [current(1, 'a'), current(1, 'b')].map((one) => store.makeCurrent(one, undefined, never)),
  );
  assert.equal(first.filter((one) => one).length, 1);
  const found = await store.findCurrent(never);
  assert.deepEqual(
    found,
    first.find((one) => one),
  );
  const next = await Promise.all(
    [current(2, 'a'), current(2, 'b')].map((one) => store.makeCurrent(one, found, never)),
  );
  assert.equal(next.filter((one) => one).length, 1);
  assert.equal((await store.findCurrent(never))?.current.sequence, 2);
});

test('a save whose answer is lost is recognized as done when it is retried', async (t) => {
  const { s3, store } = await openStore(t);
  await s3.turn('cut-answer', { times: 1 });
  await assert.rejects(store.makeCurrent(current(1), undefined, never), { code: 'config.store' });
  const again = await store.makeCurrent(current(1), undefined, never);
  assert.deepEqual(again?.current, current(1));
  assert.ok(await store.makeCurrent(current(2), again, never));
});

test('an upload whose connection breaks off leaves nothing behind, and the next attempt succeeds', async (t) => {
  const { s3, put, read } = await openStore(t);
  await s3.turn('cut-upload', { times: 1 });
  await assert.rejects(put('versions/1.age', LARGE), { code: 'config.store' });
  assert.equal(s3.openUploads, 0);
  assert.deepEqual(await s3.keys(), []);
  await put('versions/1.age', LARGE);
  assert.ok((await read('versions/1.age'))?.equals(LARGE));
});

test('a download that breaks off is an error of its stream, not a shorter config', async (t) => {
  const { s3, put, read } = await openStore(t);
  await put('versions/1.age', LARGE);
  await s3.turn('cut-download');
  await assert.rejects(read('versions/1.age'));
});

test('a clock that is wrong by an hour, and occasional throttling, prevent nothing', async (t) => {
  const { s3, store, put, read } = await openStore(t, 8);
  for (const fault of ['wrong-clock', 'throttle-some'] as const) {
    await s3.turn(fault);
    await put(`versions/${fault}.age`, LARGE);
    assert.ok((await read(`versions/${fault}.age`))?.equals(LARGE), fault);
    assert.ok(await store.makeCurrent(current(1, fault), await store.findCurrent(never), never), fault);
  }
});

test('an invalid record of the current config is an error', async (t) => {
  const { s3, store } = await openStore(t);
  for (const text of [
    '',
    '{}',
    'null',
    '{"version":1,"session":"a","sequence":1}',
    '{"version":"v","session":"a"}',
  ]) {
    await s3.write('v1/user/app/current.json', text);
    await assert.rejects(store.findCurrent(never), { code: 'config.store' }, text);
  }
});

test('a file is uploaded while it still grows, and exists in S3 only once it is complete', async (t) => {
  const { s3, store, read, path } = await openStore(t);
  for (const length of [1, 8 * 2 ** 20, 16 * 2 ** 20, LARGE.length]) {
    const content = LARGE.subarray(0, length);
    writeFileSync(path, '');
    const growing = new GrowingFile(path);
    const stored = store.put(`versions/${length}.age`, growing, never);
    for (let at = 0; at < length; at += 3_000_000) {
      appendFileSync(path, content.subarray(at, at + 3_000_000));
      growing.grow(Math.min(3_000_000, length - at));
    }
    if (length === LARGE.length)
      while (!s3.requests.some(({ operation }) => operation === 'UploadPart')) await tick();
    assert.equal(await read(`versions/${length}.age`), undefined);
    growing.finish();
    await stored;
    assert.ok((await read(`versions/${length}.age`))?.equals(content), `${length} bytes`);
  }
});

test('a file that is never completed leaves nothing in S3', async (t) => {
  const { s3, store, path } = await openStore(t);
  for (const length of [1, LARGE.length]) {
    writeFileSync(path, LARGE.subarray(0, length));
    const growing = new GrowingFile(path);
    const stored = store.put('versions/1.age', growing, never);
    growing.grow(length);
    growing.fail(new Error('packing failed'));
    await assert.rejects(stored, /packing failed/);
    assert.deepEqual([await s3.keys(), s3.openUploads], [[], 0]);
  }
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { AppNode } from '../src/echostream-node.ts';
import { eventually, World } from './support/world.ts';

async function started(world: World, options = {}) {
  const node = new AppNode({ ...world.options, ...options });
  await node.start();
  const uploaded = (url: string): string => world.uploads.get(url)?.toString() ?? '';
  return { node, uploaded };
}

const asked = (world: World): number => world.queries.filter((name) => name === 'getBulkDataStorage').length;

test('text, bytes and streams can be downloaded again from their URL', async () => {
  await using world = await World.start();
  const { node, uploaded } = await started(world);
  await using _ = node;
  assert.equal(uploaded(await node.handleBulkData('a text: ü')), 'a text: ü');
  assert.equal(uploaded(await node.handleBulkData(Buffer.from('bytes'))), 'bytes');
  assert.equal(uploaded(await node.handleBulkData(Readable.from(['a ', 'stream']))), 'a stream');
});

test('a large stream is uploaded with a known length, and leaves no file behind', async () => {
  await using world = await World.start();
  const { node } = await started(world);
  await using _ = node;
  const files = async (): Promise<number> =>
    (await readdir(tmpdir())).filter((name) => name.startsWith('echostream-node-')).length;
  const before = await files();
  const hash = createHash('sha256');
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let i = 0; i < 32; i += 1) {
      const chunk = Buffer.alloc(1024 * 1024, String(i));
      hash.update(chunk);
      yield chunk;
    }
  }
  const url = await node.handleBulkData(chunks());
  const stored = world.uploads.get(url) ?? '';
  assert.equal(createHash('sha256').update(stored).digest('hex'), hash.digest('hex'));
  await assert.rejects(
    node.handleBulkData(
      Readable.from(
        (async function* () {
          yield 'x';
          throw new Error('the source broke');
        })(),
      ),
    ),
    /the source broke/,
  );
  assert.equal(await files(), before);
});

test('upload URLs are fetched twenty at a time, and again before they run out', async () => {
  await using world = await World.start();
  const { node } = await started(world);
  await using _ = node;
  const urls = [];
  for (let i = 0; i < 15; i += 1) urls.push(await node.handleBulkData('x'));
  assert.equal(asked(world), 1);
  await node.handleBulkData('x');
  await node.handleBulkData('x');
  assert.equal(asked(world), 2);
  assert.equal(new Set(urls).size, urls.length);
});

test('an expired upload URL is not used', async () => {
  await using world = await World.start();
  const { node, uploaded } = await started(world);
  await using _ = node;
  world.placesLast = 30;
  const answer = world.holdApi();
  const first = node.handleBulkData('x');
  await eventually(() => asked(world) === 1);
  world.placesLast = 1800;
  answer();
  assert.equal(uploaded(await first), 'x');
  assert.ok(asked(world) >= 2);
});

test('a failed upload is retried with another URL', async () => {
  await using world = await World.start();
  const { node, uploaded } = await started(world);
  await using _ = node;
  world.failures.upload.push(503);
  assert.equal(uploaded(await node.handleBulkData('x')), 'x');
  world.failures.upload.push(403, 403, 403, 403);
  await assert.rejects(node.handleBulkData('x'), { code: 'BULK_DATA_FAILED', message: /status 403/ });
});

test('an upload can be aborted', async () => {
  await using world = await World.start();
  const { node } = await started(world);
  await using _ = node;
  await assert.rejects(node.handleBulkData('x', { signal: AbortSignal.abort(new Error('stop')) }), /stop/);
});

test('an upload that is aborted while URLs are requested does not disturb another upload', async () => {
  await using world = await World.start();
  const { node, uploaded } = await started(world);
  await using _ = node;
  const answer = world.holdApi();
  const controller = new AbortController();
  const aborted = node.handleBulkData('x', { signal: controller.signal });
  await eventually(() => asked(world) === 1);
  const other = node.handleBulkData('y');
  controller.abort(new Error('stop'));
  await assert.rejects(aborted, /stop/);
  answer();
  assert.equal(uploaded(await other), 'y');
});

test('an upload fails if EchoStream issues no URLs, and the next one requests them again', async () => {
  await using world = await World.start();
  const { node, uploaded } = await started(world);
  await using _ = node;
  // The other query that a started node sends.
  await eventually(() => world.credentials === 1);
  world.failures.api.push(400);
  await assert.rejects(node.handleBulkData('x'), { code: 'API_FAILED' });
  assert.equal(uploaded(await node.handleBulkData('x')), 'x');
});

test("the option bulkDataAcceleration requests URLs of S3's acceleration endpoint", async () => {
  for (const bulkDataAcceleration of [false, true]) {
    await using world = await World.start();
    const { node } = await started(world, { bulkDataAcceleration });
    await using _ = node;
    await node.handleBulkData('x');
    assert.equal(world.asksAcceleration, bulkDataAcceleration);
  }
});

/** A store with endless answers. Each would have gigabytes; the bytes that are sent are counted. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { mostOfArchive } from '../../user-configs/answer-limits.ts';
import { PartBuffers } from '../../user-configs/part-buffers.ts';
import { openS3 } from '../../user-configs/s3-client.ts';
import { ConfigStore } from '../../user-configs/store.ts';
import { S3_KEY_ID, S3_SECRET } from '../support/secrets.ts';

const never = new AbortController().signal;
const LENGTH = 1_500_000_000;
const PIECE = Buffer.alloc(2 ** 16, ' ');
const TOO_LARGE = { code: 'config.answer_too_large' };
/** The bytes that sockets and streams may hold beyond a limit. */
const ON_ITS_WAY = 32 * 2 ** 20;

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Sends 1.5 GB of spaces, as long as the client accepts them. */
async function pour(response: ServerResponse, sent: { bytes: number }): Promise<void> {
  function* pieces() {
    for (; sent.bytes < LENGTH; sent.bytes += PIECE.length) yield PIECE;
  }
  await pipeline(Readable.from(pieces()), response).catch(() => {});
}

async function open(t: TestContext, answer: Answer) {
  process.env.AWS_ACCESS_KEY_ID = S3_KEY_ID;
  process.env.AWS_SECRET_ACCESS_KEY = S3_SECRET;
  const server = createServer((request, response) => {
    request.resume();
    void answer(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = openS3('us-east-1', new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  t.after(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  return new ConfigStore({ client, bucket: 'b', prefix: 'v1/u/a/', buffers: new PartBuffers() });
}

for (const saysLength of [true, false]) {
  test(`a current.json of 1.5 GB is refused and uses no memory, ${saysLength ? 'with' : 'without'} a stated length`, async (t) => {
    const sent = { bytes: 0 };
    const store = await open(t, async (_request, response) => {
      response.writeHead(200, saysLength ? { 'content-length': LENGTH } : {});
      await pour(response, sent);
    });
    const before = process.memoryUsage.rss();
    await assert.rejects(store.findCurrent(never), TOO_LARGE);
    assert.ok(sent.bytes < ON_ITS_WAY, `${sent.bytes} bytes were accepted`);
    assert.ok(process.memoryUsage.rss() - before < 2 * ON_ITS_WAY);
  });
}

test('an archive that is larger than the save limit is refused, at once if its length is stated, otherwise at the limit', async (t) => {
  const sent = { bytes: 0 };
  const store = await open(t, async ({ url = '' }, response) => {
    response.writeHead(200, url.includes('said') ? { 'content-length': LENGTH } : {});
    await pour(response, sent);
  });
  const most = mostOfArchive(1_000_000);
  await assert.rejects(store.open('versions/said.age', most, never), TOO_LARGE);
  const content = await store.open('versions/unknown.age', most, never);
  assert.ok(content);
  await assert.rejects(buffer(content.stream), TOO_LARGE);
  assert.ok(sent.bytes < 2 * ON_ITS_WAY, `${sent.bytes} bytes were accepted`);
});

for (const [status, what] of [
  [200, 'a listing'],
  [403, 'an error'],
  [301, 'a redirection'],
] as const) {
  test(`${what} without an end is refused`, async (t) => {
    const sent = { bytes: 0 };
    const store = await open(t, async (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.write('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>');
      await pour(response, sent);
    });
    await assert.rejects(store.list(never), TOO_LARGE);
    if (status === 403) await assert.rejects(store.open('versions/a.age', 1000, never), TOO_LARGE);
    assert.ok(sent.bytes < 2 * ON_ITS_WAY, `${sent.bytes} bytes were accepted`);
  });
}

test('headers without an end are refused', async (t) => {
  const store = await open(t, (_request, response) => {
    const [name, value] = ['x-amz-meta-a', 'a'.repeat(8000)];
    response.writeHead(200, Array.from({ length: 1000 }, (_, i) => [`${name}${i}`, value]).flat());
    response.end('{}');
  });
  await assert.rejects(store.findCurrent(never), { code: 'config.store', message: /[Hh]eader/ });
});

for (const [what, contents] of [
  [
    'keys',
    Array.from({ length: 1000 }, (_, i) => `<Contents><Key>v1/u/a/versions/${i}</Key></Contents>`).join(''),
  ],
  ['pages', ''],
] as const) {
  test(`a listing with ever more ${what} is aborted`, async (t) => {
    let pages = 0;
    const store = await open(t, (_request, response) => {
      const next = `<IsTruncated>true</IsTruncated><NextContinuationToken>${++pages}</NextContinuationToken>`;
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?>\n<ListBucketResult>${next}${contents}</ListBucketResult>`);
    });
    await assert.rejects(store.list(never), { code: 'config.store', message: /more than 10000 objects/ });
    assert.ok(pages <= 101);
  });
}

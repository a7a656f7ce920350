import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  paginateListObjectsV2,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { S3 } from '../support/s3.ts';

const MIB = 2 ** 20;
/** Bytes that differ between any two places within a few megabytes. */
const LARGE = Buffer.from(Uint32Array.from({ length: (5 * MIB) / 4 }, (_, index) => index).buffer);

/** Otherwise the SDK warns on the console that it will not retry. */
const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Both {
  readonly s3: S3;
  /** Makes one attempt only. */
  readonly client: S3Client;
  readonly put: (
    key: string,
    body: NonNullable<PutObjectCommandInput['Body']>,
    more?: Partial<PutObjectCommandInput>,
  ) => Promise<string>;
  readonly get: (key: string) => Promise<Buffer>;
}

async function open(t: TestContext): Promise<Both> {
  const s3 = await S3.open();
  t.after(() => s3[Symbol.asyncDispose]());
  const client = s3.client({ maxAttempts: 1, logger });
  const put: Both['put'] = async (key, body, more) => {
    const command = new PutObjectCommand({ Bucket: s3.bucket, Key: key, Body: body, ...more });
    return (await client.send(command)).ETag ?? assert.fail();
  };
  const get: Both['get'] = async (key) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? assert.fail());
  };
  return { s3, client, put, get };
}

/** The SDK's error for it. */
async function statusOf(asking: ClientRequest): Promise<number | undefined> {
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

async function failureOf(asking: Promise<unknown>): Promise<{ name: string; status: number | undefined }> {
  return await asking.then(
    () => assert.fail('it was answered'),
    (error) => ({ name: error.code ?? error.name, status: error.$metadata?.httpStatusCode }),
  );
}

const BROKEN = { name: 'ECONNRESET', status: undefined };
const FAILED = { name: 'PreconditionFailed', status: 412 };
const SLOW = { name: 'SlowDown', status: 503 };

async function begin(
  { s3, client }: Both,
  key: string,
): Promise<{ Bucket: string; Key: string; UploadId: string }> {
  const of = { Bucket: s3.bucket, Key: key };
  const { UploadId = assert.fail() } = await client.send(new CreateMultipartUploadCommand(of));
  return { ...of, UploadId };
}

type Upload = Awaited<ReturnType<typeof begin>>;

async function sendPart(
  { client }: Both,
  upload: Upload,
  number: number,
  body: Buffer,
): Promise<CompletedPart> {
  const { ETag = assert.fail() } = await client.send(
    new UploadPartCommand({ ...upload, PartNumber: number, Body: body }),
  );
  return { ETag, PartNumber: number };
}

function complete(upload: Upload, parts: CompletedPart[]): CompleteMultipartUploadCommand {
  return new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } });
}

suite('a stand-in for S3', { timeout: 30_000 }, () => {
  test('an object that was put as a buffer, a string, nothing or a stream can be got back unchanged', async (t) => {
    const { s3, put, get } = await open(t);
    const stream = () => Readable.from([LARGE.subarray(0, MIB), LARGE.subarray(MIB)]);
    const bodies = { buffer: LARGE, nothing: '', stream: stream(), string: 'good day' };
    for (const [key, body] of Object.entries(bodies)) {
      await put(key, body, key === 'stream' ? { ContentLength: LARGE.length } : {});
    }
    assert.deepEqual(await s3.keys(), ['buffer', 'nothing', 'stream', 'string']);
    for (const [key, body] of Object.entries({ ...bodies, stream: LARGE })) {
      assert.ok((await get(key)).equals(Buffer.from(body as Buffer)), key);
      assert.ok((await s3.read(key)).equals(Buffer.from(body as Buffer)), key);
    }
  });

  test('an object larger than the default limit of fauxqs can be put in the stand-in', async (t) => {
    const { s3, put } = await open(t);
    const huge = Buffer.alloc(20 * MIB, 'x');
    await put('huge', huge);
    assert.ok((await s3.read('huge')).equals(huge));
  });

  test('a stream of unknown length is refused by the stand-in, as S3 does', async (t) => {
    const { s3 } = await open(t);
    const asking = request(`${s3.url}/${s3.bucket}/key`, { method: 'PUT', agent: new Agent() });
    asking.write('a');
    asking.end('b');
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    assert.match(await text(answer), /<Code>MissingContentLength</);
    assert.equal(answer.statusCode, 411);
    assert.deepEqual(await s3.keys(), []);
  });

  test('a key of any characters can be put, got, listed and deleted in the stand-in', async (t) => {
    const { s3, client, put, get } = await open(t);
    const keys = ["a b/ü+%25&<>'.tar", 'x'.repeat(1000)];
    for (const key of keys) {
      await put(key, key);
      assert.equal(String(await get(key)), key);
    }
    assert.deepEqual(await s3.keys(), keys);
    const Objects = keys.map((Key) => ({ Key }));
    await client.send(new DeleteObjectsCommand({ Bucket: s3.bucket, Delete: { Objects } }));
    assert.deepEqual(await s3.keys(), []);
  });

  test('the settings of the service lead to the stand-in', async (t) => {
    const { s3 } = await open(t);
    const before = { ...process.env };
    Object.assign(process.env, s3.settings);
    const client = new S3Client();
    try {
      const Bucket = s3.settings.USER_CONFIG_BUCKET;
      await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'by the environment' }));
    } finally {
      client.destroy();
      for (const name of Object.keys(s3.settings)) {
        delete process.env[name];
        if (before[name] !== undefined) process.env[name] = before[name];
      }
    }
    assert.equal(String(await s3.read('key')), 'by the environment');
  });

  test('the stand-in records requests, and not what a test did past it', async (t) => {
    const { s3, client, put, get } = await open(t);
    await s3.write('written', 'past it');
    await put('a/b', 'four');
    await get('a/b');
    await failureOf(client.send(new HeadObjectCommand({ Bucket: s3.bucket, Key: 'none' })));
    await client.send(new ListObjectsV2Command({ Bucket: s3.bucket }));
    await client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: 'a/b' }));
    assert.deepEqual(
      s3.requests.map(({ method, operation, key, status, bytes }) => [method, operation, key, status, bytes]),
      [
        ['PUT', 'PutObject', 'a/b', 200, 4],
        ['GET', 'GetObject', 'a/b', 200, 0],
        ['HEAD', 'HeadObject', 'none', 404, 0],
        ['GET', 'ListObjectsV2', '', 200, 0],
        ['DELETE', 'DeleteObject', 'a/b', 204, 0],
      ],
    );
    assert.deepEqual(await s3.keys(), ['written']);
  });

  test('an unsupported request to the stand-in is refused', async (t) => {
    const { s3, client } = await open(t);
    const asking = client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket }));
    assert.deepEqual(await failureOf(asking), { name: 'NotImplemented', status: 501 });
  });

  test('the stand-in has only its own bucket', async (t) => {
    const { client, put } = await open(t);
    const none = { name: 'NoSuchBucket', status: 404 };
    assert.deepEqual(await failureOf(put('key', 'body', { Bucket: 'other' })), none);
    assert.deepEqual(await failureOf(client.send(new ListObjectsV2Command({ Bucket: 'other' }))), none);
  });

  test('a client that waits for 100 Continue before it sends a body gets it from the stand-in', async (t) => {
    const { s3 } = await open(t);
    const headers = { expect: '100-continue', 'content-length': '4' };
    const asking = request(`${s3.url}/${s3.bucket}/key`, { method: 'PUT', headers, agent: new Agent() });
    asking.flushHeaders();
    await once(asking, 'continue');
    asking.end('body');
    assert.equal(await statusOf(asking), 200);
    assert.equal(String(await s3.read('key')), 'body');
  });
});

suite('listings of the stand-in', { timeout: 30_000 }, () => {
  const KEYS = ['B', 'a-b', 'a/b', 'a/c', 'ab', 'b', 'Ä', '\u{1f600}'];

  async function pages(t: TestContext, more: object): Promise<string[][]> {
    const { s3, client } = await open(t);
    for (const key of KEYS.toReversed()) await s3.write(key, key);
    const found: string[][] = [];
    for await (const page of paginateListObjectsV2({ client }, { Bucket: s3.bucket, ...more })) {
      const { Contents = [], CommonPrefixes = [] } = page;
      found.push([
        ...Contents.map(({ Key = '' }) => Key),
        ...CommonPrefixes.map(({ Prefix = '' }) => Prefix),
      ]);
    }
    return found;
  }

  test('keys are listed page by page in the order of their bytes', async (t) => {
    assert.deepEqual(await pages(t, { MaxKeys: 3 }), [KEYS.slice(0, 3), KEYS.slice(3, 6), KEYS.slice(6)]);
  });

  test('a listing contains only the keys with its prefix, after its start', async (t) => {
    assert.deepEqual(await pages(t, { Prefix: 'a/' }), [['a/b', 'a/c']]);
    assert.deepEqual(await pages(t, { Prefix: 'a', StartAfter: 'a/b' }), [['a/c', 'ab']]);
    assert.deepEqual(await pages(t, { Prefix: 'none' }), [[]]);
  });

  test('the keys of one folder are one item of a listing by folders, also across pages', async (t) => {
    const folders = await pages(t, { Delimiter: '/', MaxKeys: 2 });
    assert.deepEqual(folders, [['B', 'a-b'], ['ab', 'a/'], ['b', 'Ä'], ['\u{1f600}']]);
  });
});

suite('multipart uploads of the stand-in', { timeout: 30_000 }, () => {
  test('three parts become one object', async (t) => {
    const both = await open(t);
    const upload = await begin(both, 'parts');
    assert.equal(both.s3.openUploads, 1);
    const bodies = [LARGE, Buffer.from(LARGE).reverse(), Buffer.from('end')];
    const parts = await Promise.all(bodies.map((body, index) => sendPart(both, upload, index + 1, body)));
    assert.deepEqual(await both.s3.keys(), []);
    await both.client.send(complete(upload, parts));
    assert.ok((await both.get('parts')).equals(Buffer.concat(bodies)));
    assert.equal(both.s3.openUploads, 0);
  });

  test('an upload that is aborted or completed no longer exists', async (t) => {
    const both = await open(t);
    const aborted = await begin(both, 'aborted');
    const completed = await begin(both, 'completed');
    const parts = [await sendPart(both, completed, 1, Buffer.from('all'))];
    assert.equal(both.s3.openUploads, 2);
    await both.client.send(new AbortMultipartUploadCommand(aborted));
    await both.client.send(complete(completed, parts));
    assert.equal(both.s3.openUploads, 0);
    const none = { name: 'NoSuchUpload', status: 404 };
    assert.deepEqual(await failureOf(sendPart(both, aborted, 1, LARGE)), none);
    assert.deepEqual(await failureOf(both.client.send(new AbortMultipartUploadCommand(aborted))), none);
    assert.deepEqual(await failureOf(both.client.send(complete(completed, parts))), none);
  });
});

suite('conditional writes of the stand-in', { timeout: 30_000 }, () => {
  test('an object that must be new is put only if its key does not exist', async (t) => {
    const { s3, put } = await open(t);
    await put('key', 'first', { IfNoneMatch: '*' });
    assert.deepEqual(await failureOf(put('key', 'second', { IfNoneMatch: '*' })), FAILED);
    assert.equal(String(await s3.read('key')), 'first');
  });

  test('an object is replaced only if it is still the expected one', async (t) => {
    const { s3, put } = await open(t);
    const none = { name: 'NoSuchKey', status: 404 };
    assert.deepEqual(await failureOf(put('key', 'first', { IfMatch: '"0"' })), none);
    const seen = await put('key', 'first');
    await put('key', 'second', { IfMatch: seen });
    assert.deepEqual(await failureOf(put('key', 'third', { IfMatch: seen })), FAILED);
    assert.equal(String(await s3.read('key')), 'second');
  });

  test('an upload is completed only if its conditions hold, and otherwise stays open', async (t) => {
    const both = await open(t);
    const upload = await begin(both, 'key');
    const parts = [await sendPart(both, upload, 1, Buffer.from('parts'))];
    const seen = await both.put('key', 'whole');
    const finish = (more: object) =>
      both.client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts }, ...more }),
      );
    assert.deepEqual(await failureOf(finish({ IfNoneMatch: '*' })), FAILED);
    assert.deepEqual(await failureOf(finish({ IfMatch: '"0"' })), FAILED);
    assert.equal(both.s3.openUploads, 1);
    await finish({ IfMatch: seen });
    assert.equal(String(await both.s3.read('key')), 'parts');
    assert.equal(both.s3.openUploads, 0);
  });

  test('exactly one of two concurrent puts of a new object succeeds', async (t) => {
    const { s3, put } = await open(t);
    for (let round = 0; round < 10; round += 1) {
      const key = `key-${round}`;
      // Each has several pieces, which arrive interleaved.
      const bodies = ['a', 'b'].map((letter) => Buffer.alloc(MIB, letter));
      const both = await Promise.allSettled(bodies.map((body) => put(key, body, { IfNoneMatch: '*' })));
      const winner = both.findIndex(({ status }) => status === 'fulfilled');
      const [loser] = both.filter((one) => one.status === 'rejected');
      assert.equal(loser?.reason.name, 'PreconditionFailed');
      assert.ok((await s3.read(key)).equals(bodies[winner] as Buffer));
    }
  });

  test('a writer that stalls does not block another one', async (t) => {
    const { s3, put } = await open(t);
    const headers = { 'content-length': '10', 'if-none-match': '*' };
    const stuck = request(`${s3.url}/${s3.bucket}/key`, { method: 'PUT', headers }).on('error', () => {});
    stuck.write('five5');
    while (s3.requests[0]?.bytes !== 5) await delay(1);
    await put('key', 'other', { IfNoneMatch: '*' });
    stuck.end('more5');
    assert.equal(await statusOf(stuck), 412);
    assert.equal(String(await s3.read('key')), 'other');
  });
});

suite('faults of the stand-in for S3', { timeout: 30_000 }, () => {
  test('the stand-in refuses connections while it is away, and has the same address when it is back', async (t) => {
    const { s3, put, get } = await open(t);
    const { url } = s3;
    await put('key', 'here');
    await s3.turn('away');
    // The client may not know yet that its connection has ended.
    await failureOf(get('key'));
    assert.equal((await failureOf(get('key'))).name, 'ECONNREFUSED');
    await s3.turn('none');
    assert.equal(s3.url, url);
    assert.equal(String(await get('key')), 'here');
  });

  test('an upload in progress when the stand-in goes away breaks off and leaves nothing behind', async (t) => {
    const { s3, put } = await open(t);
    const endless = Readable.from(
      (async function* () {
        yield LARGE;
        await s3.turn('away');
        yield LARGE;
      })(),
    );
    const { status } = await failureOf(put('key', endless, { ContentLength: 2 * LARGE.length }));
    assert.equal(status, undefined);
    assert.deepEqual(await s3.keys(), []);
  });

  test('while the stand-in is silent, clients wait, also for earlier requests', async (t) => {
    const { s3, client } = await open(t);
    const { promise: leave, resolve: go } = Promise.withResolvers<void>();
    const body = Readable.from(
      (async function* () {
        yield Buffer.from('be');
        await leave;
        yield Buffer.from('fore');
      })(),
    );
    const abortSignal = AbortSignal.timeout(300);
    const before = { Bucket: s3.bucket, Key: 'before', Body: body, ContentLength: 6 };
    const asked = failureOf(client.send(new PutObjectCommand(before), { abortSignal }));
    while (!s3.requests[0]?.bytes) await delay(1);
    await s3.turn('silent');
    go();
    const after = { Bucket: s3.bucket, Key: 'after', Body: LARGE };
    const asks = failureOf(client.send(new PutObjectCommand(after), { abortSignal }));
    assert.deepEqual([(await asked).name, (await asks).name], ['AbortError', 'AbortError']);
    assert.deepEqual(
      s3.requests.map(({ status }) => status),
      [undefined, undefined],
    );
    assert.deepEqual(await s3.keys(), ['before']);
  });

  test('the stand-in throttles every request, or every second one', async (t) => {
    const { s3, put, get } = await open(t);
    await s3.turn('throttle');
    assert.deepEqual(await failureOf(put('key', LARGE)), SLOW);
    assert.deepEqual(await failureOf(get('key')), SLOW);
    await s3.turn('throttle-some');
    await put('key', 'first');
    assert.deepEqual(await failureOf(get('key')), SLOW);
    assert.equal(String(await get('key')), 'first');
    assert.deepEqual(await failureOf(put('key', 'second')), SLOW);
  });

  test('the stand-in denies access', async (t) => {
    const { s3, put } = await open(t);
    await s3.turn('deny');
    assert.deepEqual(await failureOf(put('key', 'body')), { name: 'AccessDenied', status: 403 });
  });

  test('an upload is cut off in the middle of its body, as often as requested', async (t) => {
    const both = await open(t);
    const { s3, put } = both;
    const upload = await begin(both, 'parts');
    await s3.turn('cut-upload', { times: 3 });
    assert.equal((await failureOf(put('key', LARGE))).status, undefined);
    assert.equal((await failureOf(sendPart(both, upload, 1, LARGE))).status, undefined);
    assert.deepEqual(await failureOf(put('key', 'small')), BROKEN);
    const [, first, second] = s3.requests.map(({ bytes }) => bytes / LARGE.length);
    for (const share of [first, second]) assert.ok(share && share >= 0.5 && share < 0.6, String(share));
    assert.deepEqual(await s3.keys(), []);
    await put('key', 'whole');
    assert.deepEqual(await s3.keys(), ['key']);
  });

  test('a download is cut off in the middle of its body', async (t) => {
    const { s3, client } = await open(t);
    await s3.write('large', LARGE);
    await s3.write('small', '1');
    await s3.turn('cut-download');
    for (const [key, half] of [['large', LARGE.length / 2] as const, ['small', 0] as const]) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
      let got = 0;
      const reading = (async () => {
        for await (const piece of Body as Readable) got += piece.length;
      })();
      assert.equal((await failureOf(reading)).name, 'ECONNRESET');
      assert.equal(got, half);
    }
  });

  test('an answer is cut off after its request has taken effect', async (t) => {
    const both = await open(t);
    const { s3, client, put } = both;
    const upload = await begin(both, 'parts');
    const parts = [await sendPart(both, upload, 1, LARGE)];
    await s3.turn('cut-answer', { times: 2 });
    assert.deepEqual(await failureOf(put('whole', 'whole')), BROKEN);
    assert.deepEqual(await failureOf(client.send(complete(upload, parts))), BROKEN);
    assert.equal(s3.openUploads, 0);
    assert.deepEqual(await s3.keys(), ['parts', 'whole']);
  });

  test('a fault can apply to other operations than its default ones', async (t) => {
    const { s3, client, put, get } = await open(t);
    await put('key', 'body');
    await s3.turn('cut-answer', { only: ['DeleteObject'] });
    await put('key', 'other');
    const removing = client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: 'key' }));
    assert.deepEqual(await failureOf(removing), BROKEN);
    assert.deepEqual(await failureOf(get('key')), { name: 'NoSuchKey', status: 404 });
  });

  test('a request with a wrong clock is refused once, and then the SDK corrects the clock', async (t) => {
    const { s3, put, get } = await open(t);
    await s3.turn('wrong-clock');
    assert.deepEqual(await failureOf(put('key', 'body')), { name: 'RequestTimeTooSkewed', status: 403 });
    await put('key', 'body');
    assert.equal(String(await get('key')), 'body');
    await s3.client().send(new DeleteObjectCommand({ Bucket: s3.bucket, Key: 'key' }));
    assert.deepEqual(
      s3.requests.map(({ status }) => status),
      [403, 200, 200, 403, 204],
    );
  });

  test('one bit of an object is changed, and the SDK does not notice', async (t) => {
    const { s3, put, get } = await open(t);
    await put('key', LARGE);
    await s3.turn('flip', { times: 1 });
    const got = await get('key');
    const [different, ...others] = LARGE.keys().filter((index) => got[index] !== LARGE[index]);
    assert.deepEqual([different, others], [LARGE.length / 2, []]);
    assert.ok((await get('key')).equals(LARGE));
  });
});

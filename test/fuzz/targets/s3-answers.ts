/** The store of user configs, with an S3 that may answer with anything. */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { PartBuffers } from '../../../user-configs/part-buffers.ts';
import { openS3 } from '../../../user-configs/s3-client.ts';
import { ConfigStore } from '../../../user-configs/store.ts';
import { S3_KEY_ID, S3_SECRET } from '../../support/secrets.ts';
import { jsonWith, mutated } from '../mutations.ts';
import type { Target } from '../target.ts';

const ASKED = ['findCurrent', 'list', 'open'] as const;
/** The maximum length in bytes. */
const MOST = 4096;

interface Input {
  readonly asked: (typeof ASKED)[number];
  readonly answer: Buffer;
}

const current = jsonWith({
  version: 'versions/1.age',
  changes: 'changes/1.age',
  session: 's',
  sequence: 1,
  generation: 1,
  chosen: 'x',
}).map((value) => JSON.stringify(value));
const SOUND = '{"version":"versions/1.age","session":"s","sequence":1}';
const listing = fc
  .array(fc.tuple(fc.string({ maxLength: 20 }), fc.string({ maxLength: 8 })), { maxLength: 4 })
  .map((objects) => {
    const contents = objects.map(
      ([key, size]) =>
        `<Contents><Key>v1/u/a/${key}</Key><LastModified>2026-11-30T00:00:00Z</LastModified><Size>${size}</Size></Contents>`,
    );
    return `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
  });
const failure = fc
  .constantFrom('NoSuchKey', 'AccessDenied', 'SlowDown', 'x')
  .map((code) => `<Error><Code>${code}</Code><Message>no</Message></Error>`);

const answer = fc
  .record({
    status: fc.constantFrom(200, 200, 200, 204, 206, 301, 304, 400, 403, 404, 412, 500, 503),
    etag: fc.constantFrom('', 'ETag: "e"\r\n', 'ETag: e\r\n'),
    body: fc.oneof(fc.constant(SOUND), current, listing, failure, fc.string({ maxLength: 6000 })),
  })
  .map(
    ({ status, etag, body }) =>
      `HTTP/1.1 ${status} Reason\r\n${etag}Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );

/** Whether an error is a fault of the code. Failures because of an answer have none of these types. */
function isFault(error: unknown): boolean {
  return !(error instanceof Error) || error instanceof TypeError || error instanceof RangeError;
}

export const target: Target<Input> = {
  share: 20,
  parsers: ['user-configs/store.ts', 'user-configs/current.ts', 'user-configs/answer-limits.ts'],
  inputs: fc.record({ asked: fc.constantFrom(...ASKED), answer: mutated(answer) }),
  async open() {
    process.env.AWS_ACCESS_KEY_ID = S3_KEY_ID;
    process.env.AWS_SECRET_ACCESS_KEY = S3_SECRET;
    let said: Buffer = Buffer.alloc(0);
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      sockets.add(client.on('close', () => sockets.delete(client)));
      client.on('error', () => {});
      client.once('data', () => client.end(said));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const client = openS3('us-east-1', new URL(`http://127.0.0.1:${port}`));
    client.config.maxAttempts = async () => 1;
    const store = new ConfigStore({ client, bucket: 'b', prefix: 'v1/u/a/', buffers: new PartBuffers() });
    const never = new AbortController().signal;
    const ask = async ({ asked, answer: bytes }: Input) => {
      said = bytes;
      if (asked === 'findCurrent') return await store.findCurrent(never);
      if (asked === 'list') return await store.list(never);
      const content = await store.open('versions/1.age', MOST, never);
      return content && (await buffer(content.stream));
    };
    return {
      async take(input) {
        await ask(input).catch((error: unknown) => {
          if (isFault(error)) throw error;
        });
      },
      async check() {
        const sound = `HTTP/1.1 200 OK\r\nETag: "e"\r\nConnection: close\r\nContent-Length: ${SOUND.length}\r\n\r\n${SOUND}`;
        if (!(await ask({ asked: 'findCurrent', answer: Buffer.from(sound) })))
          throw new Error('a save is not found');
      },
      async [Symbol.asyncDispose]() {
        client.destroy();
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  },
};

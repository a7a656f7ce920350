/**
 * An S3 that takes saves as fast as an uplink of so many bytes a second brings them, in a process of its own. It forgets
 * what is large once it has come, and says so. Ends with its parent. Argument: bytes a second.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const BUCKET = 'bench';
/** Bytes: what is longer is a save. */
const LARGE = 65_536;
/** Milliseconds that the uplink may be ahead: it is not idle while a timer is late. */
const AHEAD = 50;

/** A save that has come as a whole. */
export interface Stored {
  readonly key: string;
  readonly bytes: number;
  /** By this machine's clock. */
  readonly at: number;
}

const rate = Number(process.argv[2]);
const objects = new Map<string, Buffer>();
const uploads = new Map<string, number>();
let free = 0;

/** Resolves when the uplink has brought these bytes; what is asked first comes first. */
async function brought(bytes: number): Promise<void> {
  const now = performance.now();
  free = Math.max(free, now - AHEAD) + (1000 * bytes) / rate;
  if (free > now) await pause(free - now);
}

async function take(request: IncomingMessage): Promise<{ kept: Buffer; bytes: number }> {
  const kept: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    await brought(piece.length);
    bytes += piece.length;
    if (bytes <= LARGE) kept.push(piece);
  }
  return { kept: Buffer.concat(kept), bytes };
}

function store(key: string, bytes: number): void {
  if (bytes > LARGE) process.send?.({ key, bytes, at: Date.now() } satisfies Stored);
}

function give(key: string, response: ServerResponse): void {
  const kept = objects.get(key);
  if (kept) response.end(kept);
  else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const key = decodeURIComponent(pathname.slice(`/${BUCKET}/`.length));
  const upload = searchParams.get('uploadId');
  const { kept, bytes } = await take(request);
  response.setHeader('etag', '"one"');
  if (request.method === 'GET') {
    if (key === '') response.end('<ListBucketResult></ListBucketResult>');
    else give(key, response);
  } else if (searchParams.has('uploads')) {
    uploads.set(key, 0);
    response.end(
      `<InitiateMultipartUploadResult><UploadId>${key}</UploadId></InitiateMultipartUploadResult>`,
    );
  } else if (request.method === 'POST') {
    store(key, uploads.get(key) ?? 0);
    response.end('<CompleteMultipartUploadResult/>');
  } else if (request.method === 'DELETE') {
    objects.delete(key);
    response.writeHead(204).end();
  } else {
    if (upload) uploads.set(upload, (uploads.get(upload) ?? 0) + bytes);
    else {
      objects.set(key, kept);
      store(key, bytes);
    }
    response.end();
  }
}

const server = createServer((request, response) => void answer(request, response).catch(() => {}));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ bucket: BUCKET, url: `http://127.0.0.1:${port}` });
});
process.on('disconnect', () => {
  server.close();
  server.closeAllConnections();
});

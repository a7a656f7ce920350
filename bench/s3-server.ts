/**
 * A minimal S3 for saves and restores, in a separate process. It stores bodies without any checks, so that it costs the
 * machine as little as a remote S3. It ends with its parent.
 *
 * If it gets a number of bytes per second as its argument, it receives bodies at that rate. It then reports each save
 * to its parent and keeps only the size of the save.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const BUCKET = 'bench';
/** The size in bytes above which a body is a save. */
const LARGE = 65_536;
/** Milliseconds by which bodies may arrive early. It keeps the rate when a timer fires late. */
const AHEAD = 50;

interface Body {
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
}

/** A save that has arrived completely. */
export interface Stored {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

const rate = process.argv[2] === undefined ? Infinity : Number(process.argv[2]);
const isLimited = rate !== Infinity;
const objects = new Map<string, Body>();
const uploads = new Map<string, Map<number, Body>>();
let free = 0;

/** Resolves when the rate allows these bytes. Requests are served in the order of their calls. */
async function brought(bytes: number): Promise<void> {
  const now = performance.now();
  free = Math.max(free, now - AHEAD) + (1000 * bytes) / rate;
  if (free > now) await pause(free - now);
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    if (isLimited) await brought(piece.length);
    bytes += piece.length;
    if (!isLimited || bytes <= LARGE) pieces.push(piece);
  }
  return { pieces, bytes };
}

function joined(parts: ReadonlyMap<number, Body> | undefined): Body {
  const bodies = [...(parts ?? [])].sort(([a], [b]) => a - b).map(([, body]) => body);
  return {
    pieces: bodies.flatMap(({ pieces }) => pieces),
    bytes: bodies.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function store(key: string, body: Body): void {
  objects.set(key, body);
  const { bytes } = body;
  if (isLimited && bytes > LARGE) process.send?.({ key, bytes, at: Date.now() } satisfies Stored);
}

function listing(prefix: string): string {
  const contents = [...objects]
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, { bytes }]) => `<Contents><Key>${key}</Key><Size>${bytes}</Size></Contents>`);
  return `<ListBucketResult>${contents.join('')}</ListBucketResult>`;
}

function give(key: string, response: ServerResponse): void {
  const body = objects.get(key);
  if (!body) {
    response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
    return;
  }
  response.setHeader('content-length', body.bytes);
  for (const piece of body.pieces) response.write(piece);
  response.end();
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const key = decodeURIComponent(pathname.slice(`/${BUCKET}/`.length));
  const upload = searchParams.get('uploadId') ?? '';
  const body = await bodyOf(request);
  response.setHeader('etag', '"one"');
  if (request.method === 'GET') {
    if (key === '') response.end(listing(searchParams.get('prefix') ?? ''));
    else give(key, response);
  } else if (searchParams.has('uploads')) {
    uploads.set(key, new Map());
    response.end(
      `<InitiateMultipartUploadResult><UploadId>${key}</UploadId></InitiateMultipartUploadResult>`,
    );
  } else if (request.method === 'POST') {
    store(key, joined(uploads.get(upload)));
    uploads.delete(upload);
    response.end('<CompleteMultipartUploadResult/>');
  } else if (request.method === 'DELETE') {
    objects.delete(key);
    response.writeHead(204).end();
  } else {
    if (upload) uploads.get(upload)?.set(Number(searchParams.get('partNumber')), body);
    else store(key, body);
    response.end();
  }
}

// If a client aborts an upload, its request has no answer.
const server = createServer((request, response) => void answer(request, response).catch(() => {}));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ bucket: BUCKET, url: `http://127.0.0.1:${port}` });
});
process.on('disconnect', () => {
  server.close();
  server.closeAllConnections();
});

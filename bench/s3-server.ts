/**
 * A minimal S3 for saves and restores, in a process of its own. It stores bodies without any checks, so that it costs
 * the machine as little as a remote S3. Ends with its parent.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const BUCKET = 'bench';

type Pieces = readonly Buffer[];

const objects = new Map<string, Pieces>();
const uploads = new Map<string, Map<number, Pieces>>();

async function bodyOf(request: IncomingMessage): Promise<Pieces> {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  await once(request, 'end');
  return pieces;
}

function sizeOf(pieces: Pieces): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

function listing(prefix: string): string {
  const contents = [...objects]
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, pieces]) => `<Contents><Key>${key}</Key><Size>${sizeOf(pieces)}</Size></Contents>`);
  return `<ListBucketResult>${contents.join('')}</ListBucketResult>`;
}

function give(key: string, response: ServerResponse): void {
  const pieces = objects.get(key);
  if (!pieces) {
    response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
    return;
  }
  response.setHeader('content-length', sizeOf(pieces));
  for (const piece of pieces) response.write(piece);
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
    const parts = [...(uploads.get(upload) ?? [])].sort(([a], [b]) => a - b);
    objects.set(
      key,
      parts.flatMap(([, pieces]) => pieces),
    );
    uploads.delete(upload);
    response.end('<CompleteMultipartUploadResult/>');
  } else if (request.method === 'DELETE') {
    objects.delete(key);
    response.writeHead(204).end();
  } else {
    if (upload) uploads.get(upload)?.set(Number(searchParams.get('partNumber')), body);
    else objects.set(key, body);
    response.end();
  }
}

const server = createServer((request, response) => void answer(request, response));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ bucket: BUCKET, url: `http://127.0.0.1:${port}` });
});
process.on('disconnect', () => {
  server.close();
  server.closeAllConnections();
});

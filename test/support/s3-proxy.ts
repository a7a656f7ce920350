/**
 * The proxy between clients of the stand-in for S3 and fauxqs, which stores the objects: it adds the conditional writes that
 * fauxqs lacks, tracks open multipart uploads, and fails when told to. Bodies are streamed, so that an upload of any size uses
 * no memory.
 */

import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type Fault, Faults, flipped, type Narrowing, sendHalf } from './s3-faults.ts';
import { listing, type Operation, type Question, type Refusal, refusal, understand } from './s3-protocol.ts';

export interface S3Request {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  readonly operation: Operation;
  /** The empty string if the request is about the whole bucket. */
  readonly key: string;
  /** Undefined until it is answered. */
  readonly status: number | undefined;
  /** The bytes of the request's body that have arrived, including the frames of aws-chunked. */
  readonly bytes: number;
}

/** The server that stores the objects. */
export interface Backend {
  readonly port: number;
  readonly bucket: string;
  readonly etag: (key: string) => Promise<string | undefined>;
  /** The listing of the whole bucket, as XML. */
  readonly list: () => Promise<string>;
}

interface Exchange extends Question {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: { -readonly [name in keyof S3Request]: S3Request[name] };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

const WRITES = new Set<Operation>([
  ...(['PutObject', 'CopyObject', 'CompleteMultipartUpload'] as const),
  ...(['DeleteObject', 'DeleteObjects'] as const),
]);

const HOUR = 3_600_000;
const SKEW = 300_000;

export class S3Proxy {
  readonly requests: S3Request[] = [];
  readonly #backend: Backend;
  readonly #agent = new Agent({ keepAlive: true });
  // Connections are kept open, so that no client uses one that is just being closed.
  readonly #server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
  readonly #uploads = new Set<string>();
  #port = 0;
  #faults = new Faults('none');
  #lastWrite: Promise<unknown> = Promise.resolve();

  static async open(backend: Backend): Promise<S3Proxy> {
    const proxy = new S3Proxy(backend);
    await proxy.#listen();
    return proxy;
  }

  private constructor(backend: Backend) {
    this.#backend = backend;
    for (const event of ['request', 'checkContinue']) {
      this.#server.on(event, (incoming: IncomingMessage, response: ServerResponse) => {
        const { socket } = incoming;
        this.#serve(incoming, response).catch(() => socket.destroy());
      });
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get openUploads(): number {
    return this.#uploads.size;
  }

  async turn(fault: Fault, narrowing: Narrowing): Promise<void> {
    this.#faults = new Faults(fault, narrowing);
    await (fault === 'away' ? this.#leave() : this.#listen());
  }

  async close(): Promise<void> {
    await this.#leave();
    this.#agent.destroy();
  }

  async #listen(): Promise<void> {
    if (this.#server.listening) return;
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #leave(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server.close(), 'close');
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const question = understand(method, url, headers['x-amz-copy-source'] !== undefined);
    const { operation, key } = question;
    const record = { at: Date.now(), method, operation, key, status: undefined, bytes: 0 };
    this.requests.push(record);
    // Its body is not read.
    if (this.#faults.befalls('silent', operation, key)) return;
    const exchange = { ...question, incoming, response, record };
    const refused = this.#refuses(exchange);
    await this.#answer(exchange, refused ? inXml(refusal(refused)) : await this.#carryOut(exchange));
  }

  #refuses({ operation, incoming: { headers }, response }: Exchange): Refusal | undefined {
    if (this.#faults.befalls('deny', operation)) return 'AccessDenied';
    if (this.#faults.befalls('throttle', operation)) return 'SlowDown';
    if (this.#faults.befalls('throttle-some', operation)) return 'SlowDown';
    if (this.#faults.befalls('wrong-clock', operation)) {
      const now = Date.now() + HOUR;
      response.setHeader('date', new Date(now).toUTCString());
      if (Math.abs(timeOf(String(headers['x-amz-date'])) - now) > SKEW) return 'RequestTimeTooSkewed';
    }
    if (operation === 'Unknown') return 'NotImplemented';
    const uploads = operation === 'PutObject' || operation === 'UploadPart';
    return uploads && Number.isNaN(lengthOf(headers)) ? 'MissingContentLength' : undefined;
  }

  async #carryOut(exchange: Exchange): Promise<Answer> {
    const { operation, bucket, query } = exchange;
    const { list } = this.#backend;
    if (operation === 'ListObjectsV2' && bucket === this.#backend.bucket) {
      return inXml({ status: 200, xml: listing(bucket, await list(), query) });
    }
    const answer = await this.#forward(exchange);
    if (answer.status >= 300) return answer;
    const upload = query.get('uploadId');
    if (upload && operation !== 'UploadPart') this.#uploads.delete(upload);
    if (operation !== 'CreateMultipartUpload') return answer;
    const xml = await text(answer.body);
    this.#uploads.add(/<UploadId>(.*)<\/UploadId>/.exec(xml)?.[1] ?? '');
    return { ...answer, body: Readable.from([Buffer.from(xml)]) };
  }

  /**
   * Passes on a request. fauxqs acts on a request at the end of its body. So the last piece is held back until all earlier
   * writes are done and the conditions are known to hold. A client that stops in the middle blocks no other client.
   */
  async #forward(exchange: Exchange): Promise<Answer> {
    const { incoming, response, operation } = exchange;
    const { expect, connection: _, ...headers } = incoming.headers;
    if (expect) response.writeContinue();
    const { port } = this.#backend;
    const { method, url: path } = incoming;
    const passedOn = request({ agent: this.#agent, host: '127.0.0.1', port, method, path, headers });
    const answered = once(passedOn, 'response') as Promise<[IncomingMessage]>;
    // The caller that awaits the answer handles its error.
    answered.catch(() => {});
    passedOn.on('error', () => {});
    const conclude = async (last: Buffer): Promise<Answer> => {
      const refused = await this.#condition(exchange);
      if (refused) {
        passedOn.destroy();
        return inXml(refusal(refused));
      }
      passedOn.end(last);
      const [answer] = await answered;
      return { status: answer.statusCode as number, headers: answer.headers, body: answer };
    };
    try {
      const last = await this.#pour(exchange, async (piece) => {
        if (!passedOn.write(piece)) await once(passedOn, 'drain');
      });
      return await (WRITES.has(operation) ? this.#inTurn(() => conclude(last)) : conclude(last));
    } catch (error) {
      passedOn.destroy();
      throw error;
    }
  }

  /** @returns the last piece of the body, which is not written */
  async #pour(exchange: Exchange, write: (piece: Buffer) => Promise<void>): Promise<Buffer> {
    const { incoming, operation, record } = exchange;
    const end = this.#faults.befalls('cut-upload', operation)
      ? lengthOf(incoming.headers) / 2 || 0
      : Infinity;
    let last: Buffer = Buffer.alloc(0);
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      record.bytes += piece.length;
      if (record.bytes >= end) break;
      if (last.length > 0) await write(last);
      last = piece;
    }
    if (record.bytes >= end) throw new Error('This upload is to be cut.');
    return last;
  }

  async #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const done = this.#lastWrite.then(write);
    this.#lastWrite = done.catch(() => {});
    return await done;
  }

  async #condition({ operation, key, query, incoming }: Exchange): Promise<Refusal | undefined> {
    const { 'if-match': match, 'if-none-match': noneMatch } = incoming.headers;
    if (operation !== 'PutObject' && operation !== 'CompleteMultipartUpload') return undefined;
    const upload = query.get('uploadId');
    // fauxqs has the right error for an upload that does not exist.
    if (upload && !this.#uploads.has(upload)) return undefined;
    if (!match && !noneMatch) return undefined;
    const found = await this.#backend.etag(key);
    if (noneMatch && found) return 'PreconditionFailed';
    if (!match) return undefined;
    if (!found) return 'NoSuchKey';
    return found.replaceAll('"', '') === match.replaceAll('"', '') ? undefined : 'PreconditionFailed';
  }

  async #answer(exchange: Exchange, { status, headers, body }: Answer): Promise<void> {
    const { incoming, response, operation, key, record } = exchange;
    const silent = this.#faults.befalls('silent', operation, key);
    if (silent || this.#faults.befalls('cut-answer', operation)) {
      body.resume();
      if (!silent) incoming.socket.destroy();
      return;
    }
    record.status = status;
    const length = lengthOf(headers);
    const given = status < 300;
    if (given && this.#faults.befalls('cut-download', operation)) {
      response.writeHead(status, withoutHop(headers));
      await sendHalf(body, length, response);
      incoming.socket.destroy();
      return;
    }
    const flips = given && length > 0 && this.#faults.befalls('flip', operation);
    response.writeHead(status, flips ? withoutChecksums(withoutHop(headers)) : withoutHop(headers));
    await pipeline(flips ? Readable.from(flipped(body, Math.floor(length / 2))) : body, response);
  }
}

function inXml({ status, xml }: { readonly status: number; readonly xml: string }): Answer {
  const headers = { 'content-type': 'application/xml', 'content-length': String(Buffer.byteLength(xml)) };
  return { status, headers, body: Readable.from([Buffer.from(xml)]) };
}

/** The length of the body; NaN if the headers do not state it. */
function lengthOf(headers: IncomingHttpHeaders): number {
  return Number(headers['content-length'] ?? headers['x-amz-decoded-content-length']);
}

/** Parses `20260131T235959Z`. */
function timeOf(date: string): number {
  return Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
}

/** Headers that apply to more than one connection; this proxy sets the date. */
function withoutHop(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, date: ____, ...others } = headers;
  return others;
}

function withoutChecksums(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-amz-checksum-')));
}

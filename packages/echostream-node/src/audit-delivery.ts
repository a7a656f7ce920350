/**
 * Delivers audit records to the app's Lambda function URL. More than a few records are gzipped. Requests are signed with the
 * app's credentials.
 */

import { createHash, createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { SignatureV4 } from '@smithy/signature-v4';
import { signerOf } from './api/refused-credentials.ts';
import type { ServerTime } from './api/server-time.ts';
import { type Deliver, Refused, TooLarge } from './audits.ts';

/** More records than this are compressed. */
const PLAIN = 10;
/** For one request, in milliseconds. */
const DEADLINE = 30_000;

const compress = promisify(gzip);

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface DeliveryOptions {
  /** The URL of the app's function, without the node's name. */
  readonly endpoint: string;
  readonly node: string;
  readonly region: string;
  readonly credentials: () => Promise<Credentials>;
  readonly credentialsRefused: (accessKeyId: string) => void;
  readonly time: ServerTime;
}

export function deliverTo({
  endpoint,
  node,
  region,
  credentials,
  credentialsRefused,
  time,
}: DeliveryOptions): Deliver {
  const url = new URL(`${endpoint.replace(/\/$/, '')}/${encodeURIComponent(node)}`);
  const signer = new SignatureV4({ service: 'lambda', region, credentials, sha256: NodeHash });
  return async (content) => {
    const json = JSON.stringify(content);
    const compressed = content.auditRecords.length > PLAIN;
    const body = compressed ? await compress(json) : Buffer.from(json);
    const headers = {
      host: url.host,
      'content-type': 'application/json',
      ...(compressed && { 'content-encoding': 'gzip' }),
    };
    const request = { method: 'POST', protocol: url.protocol, hostname: url.hostname, path: url.pathname };
    const signed = await signer.sign({ ...request, headers, body }, { signingDate: time.now() });
    const response = await fetch(url, {
      method: 'POST',
      headers: signed.headers,
      body,
      signal: AbortSignal.timeout(DEADLINE),
    });
    await response.arrayBuffer();
    if (response.ok) return;
    const text = `the audit function answered with status ${response.status}`;
    if (response.status === 403) {
      // The credentials ended early, or a clock is wrong.
      credentialsRefused(signerOf(signed));
      time.learn(response.headers.get('date'));
    } else if (response.status === 413) throw new TooLarge(text);
    else if (response.status < 500 && ![408, 429].includes(response.status)) throw new Refused(text);
    throw new Error(text);
  };
}

/** The signer's hash, computed by Node's own crypto. */
class NodeHash {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesIn(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesIn(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

function bytesIn(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

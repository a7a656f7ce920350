/** Signs the request for a data channel's WebSocket with the caller's credentials. */

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Headers } from './open-socket.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export function signedHeaders(region: string, credentials: () => Promise<Credentials>): Headers {
  const signer = new SignatureV4({ service: 'ssmmessages', region, credentials, sha256: NodeHash });
  return async (url) => {
    // The service signs some of its URLs itself. Those need no second signature.
    if ([...url.searchParams.keys()].some((name) => /^x-amz-/i.test(name))) return {};
    const { headers } = await signer.sign({
      method: 'GET',
      protocol: 'https:',
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host },
    });
    return headers;
  };
}

/** The hash that the signer needs, implemented with Node's crypto. */
class NodeHash {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error('a hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(data);
}

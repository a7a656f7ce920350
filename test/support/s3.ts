/**
 * A stand-in for S3 in a test's process, with one bucket: fauxqs keeps the objects in memory, and a proxy in front of it
 * (s3-proxy.ts) adds what fauxqs lacks and can be told to fail. The service and its clients know only the proxy. `keys`, `read`
 * and `write` bypass it, so no fault affects them and no request is counted.
 */

import type { AddressInfo } from 'node:net';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { buildApp } from 'fauxqs';
import type { Fault, Narrowing } from './s3-faults.ts';
import { contents } from './s3-protocol.ts';
import { type Backend, S3Proxy, type S3Request } from './s3-proxy.ts';
import { S3_KEY_ID, S3_SECRET } from './secrets.ts';

const REGION = 'us-east-1';

export interface S3Options {
  readonly bucket?: string;
}

type Fauxqs = ReturnType<typeof buildApp>;

export class S3 implements AsyncDisposable {
  readonly bucket: string;
  readonly #fauxqs: Fauxqs;
  readonly #proxy: S3Proxy;
  readonly #clients: S3Client[] = [];

  static async open({ bucket = 'user-configs' }: S3Options = {}): Promise<S3> {
    const fauxqs = openFauxqs();
    await fauxqs.listen({ host: '127.0.0.1', port: 0 });
    await fauxqs.inject({ method: 'PUT', url: `/${bucket}` });
    return new S3(bucket, fauxqs, await S3Proxy.open(backendOf(fauxqs, bucket)));
  }

  private constructor(bucket: string, fauxqs: Fauxqs, proxy: S3Proxy) {
    this.bucket = bucket;
    this.#fauxqs = fauxqs;
    this.#proxy = proxy;
  }

  get url(): string {
    return this.#proxy.url;
  }

  /** The settings of the service. */
  get settings(): Record<string, string> {
    return {
      USER_CONFIG_BUCKET: this.bucket,
      AWS_ENDPOINT_URL_S3: this.url,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: S3_KEY_ID,
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
    };
  }

  /** All requests, in their order. */
  get requests(): readonly S3Request[] {
    return this.#proxy.requests;
  }

  /** Multipart uploads that were started, and neither completed nor aborted. */
  get openUploads(): number {
    return this.#proxy.openUploads;
  }

  /** A client like any other, which the faults affect. It is closed together with this object. */
  client(config: S3ClientConfig = {}): S3Client {
    const credentials = { accessKeyId: S3_KEY_ID, secretAccessKey: S3_SECRET };
    const client = new S3Client({ endpoint: this.url, region: REGION, credentials, ...config });
    this.#clients.push(client);
    return client;
  }

  /** Has this fault from now on. Requests in progress may get the earlier behaviour. */
  async turn(fault: Fault, narrowing: Narrowing = {}): Promise<void> {
    await this.#proxy.turn(fault, narrowing);
  }

  /** In the order of S3. */
  async keys(): Promise<string[]> {
    return contents(await backendOf(this.#fauxqs, this.bucket).list()).map(({ key }) => key);
  }

  async read(key: string): Promise<Buffer> {
    const { statusCode, rawPayload } = await this.#fauxqs.inject({ method: 'GET', url: this.#path(key) });
    if (statusCode !== 200) throw new Error(`${key} cannot be read: ${statusCode}`);
    return rawPayload;
  }

  async write(key: string, body: string | Buffer): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    await this.#fauxqs.inject({ method: 'PUT', url: this.#path(key), headers, payload: body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.#proxy.close();
    await this.#fauxqs.close();
  }

  #path(key: string): string {
    return pathOf(this.bucket, key);
  }
}

/** `startFauxqs` is not used, because it listens on all interfaces. */
function openFauxqs(): Fauxqs {
  const fauxqs = buildApp({ logger: false });
  // The default limit is 11 MiB, and it fails if there is no body.
  fauxqs.removeContentTypeParser('*');
  const parser = { parseAs: 'buffer', bodyLimit: 2 ** 32 } as const;
  fauxqs.addContentTypeParser('*', parser, (_request, body, done) => done(null, body));
  fauxqs.addHook('preHandler', (request, _reply, done) => {
    request.body ??= Buffer.alloc(0);
    done();
  });
  fauxqs.server.keepAliveTimeout = 0;
  return fauxqs;
}

function backendOf(fauxqs: Fauxqs, bucket: string): Backend {
  return {
    port: (fauxqs.server.address() as AddressInfo).port,
    bucket,
    etag: async (key) => {
      const { headers } = await fauxqs.inject({ method: 'HEAD', url: pathOf(bucket, key) });
      return headers.etag?.toString();
    },
    // NaN limits nothing.
    list: async () => (await fauxqs.inject(`/${bucket}?list-type=2&max-keys=all`)).body,
  };
}

function pathOf(bucket: string, key: string): string {
  return `/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
}

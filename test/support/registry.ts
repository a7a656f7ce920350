/**
 * An image registry with the part of the protocol that Docker needs for a pull (source: the OCI distribution specification):
 * manifests and blobs, with or without a password. Docker uses no TLS for a registry on 127.0.0.1.
 */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const BUILD = join(import.meta.dirname, '../../build');
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export class Registry implements AsyncDisposable {
  /** Digests of layers, once for each request. */
  readonly layersAsked: string[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, Buffer>();
  readonly #layers = new Set<string>();
  readonly #basic: string | undefined;
  #held: PromiseWithResolvers<void> | undefined;

  /** @param credentials required for every request */
  static async open(credentials?: Credentials): Promise<Registry> {
    const registry = new Registry(credentials);
    await once(registry.#server.listen(0, '127.0.0.1'), 'listening');
    return registry;
  }

  private constructor(credentials: Credentials | undefined) {
    this.#basic = credentials && basicOf(credentials);
  }

  /**
   * Adds an image that can be hosted.
   * @param spoiled the content of its last layer does not match the digest
   * @returns its name
   */
  add(name: string, { spoiled = false } = {}): string {
    const padding = mkdtempSync('/run/test/layer-');
    // Docker does not fetch a layer that it has from another image.
    for (const name of ['one', 'two']) writeFileSync(join(padding, name), randomBytes(2 * 2 ** 20));
    const layers = [
      tarOf('-C', BUILD, 'streaming-server', 'input-program', '-C', padding, 'one'),
      tarOf('-C', padding, 'two'),
    ];
    return this.#publish(name, layers, { Cmd: ['/streaming-server'] }, { spoiled });
  }

  /**
   * Adds an image that runs a script in the distribution's static busybox. A second call moves its tag.
   * @param healthCheck another script, which runs each second. It fails only by its exit code, because even `true` takes
   * more than a second on a busy machine.
   * @returns its name
   */
  addScript(name: string, script: string, healthCheck?: string, tag = 'latest'): string {
    const layer = tarOf('--transform=s,^,bin/,', '-C', '/bin', 'busybox');
    const [second, sh] = [1e9, ['/bin/busybox', 'sh', '-c']];
    const check = healthCheck && {
      Healthcheck: { Test: ['CMD', ...sh, healthCheck], Interval: second, Timeout: 60 * second, Retries: 2 },
    };
    const image = this.#publish(name, [layer], { Cmd: [...sh, script], ...check }, { tag });
    return tag === 'latest' ? image : `${image}:${tag}`;
  }

  #publish(
    name: string,
    layers: readonly Buffer[],
    started: object,
    how: { readonly spoiled?: boolean; readonly tag?: string },
  ): string {
    const { spoiled = false, tag = 'latest' } = how;
    const digests = layers.map((layer) => this.#keep(layer));
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: started,
      rootfs: { type: 'layers', diff_ids: digests },
    };
    const described = (mediaType: string, digest: string) => ({
      mediaType,
      digest,
      size: this.#blobs.get(digest)?.length,
    });
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: described(CONFIG, this.#keep(Buffer.from(JSON.stringify(config)))),
      layers: digests.map((digest) => described(LAYER, digest)),
    };
    for (const digest of digests) this.#layers.add(digest);
    if (spoiled) this.#blobs.get(digests.at(-1) as string)?.fill(0, 2 ** 20);
    const bytes = Buffer.from(JSON.stringify(manifest));
    for (const reference of [tag, digestOf(bytes)]) this.#manifests.set(`${name}/${reference}`, bytes);
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  #keep(bytes: Buffer): string {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return digest;
  }

  /** Sends half of each layer, and the rest when this is called again. */
  hold(): () => void {
    this.#held = Promise.withResolvers();
    return this.#held.resolve;
  }

  async #answer({ url = '', headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#basic !== undefined && headers.authorization !== this.#basic) {
      response.setHeader('www-authenticate', 'Basic realm="tests"');
      // Like a registry that repeats the request in its error.
      problem(response, 401, 'UNAUTHORIZED', `authentication required, not ${headers.authorization}`);
      return;
    }
    const [, name = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    const bytes = kind === 'blobs' ? this.#blobs.get(reference) : this.#manifests.get(`${name}/${reference}`);
    if (url === '/v2/') response.end('{}');
    else if (!bytes) problem(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
    else if (this.#layers.has(reference)) await this.#sendLayer(reference, bytes, response);
    else {
      const type = kind === 'blobs' ? 'application/octet-stream' : MANIFEST;
      const headers = { 'content-type': type, 'content-length': bytes.length };
      response.writeHead(200, { ...headers, 'docker-content-digest': digestOf(bytes) }).end(bytes);
    }
  }

  async #sendLayer(digest: string, bytes: Buffer, response: ServerResponse): Promise<void> {
    this.layersAsked.push(digest);
    const half = bytes.length >> 1;
    response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, half));
    await this.#held?.promise;
    response.end(bytes.subarray(half));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

export function basicOf({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function tarOf(...words: string[]): Buffer {
  return execFileSync('tar', ['-c', ...words], { maxBuffer: 2 ** 28 });
}

export function problem(response: ServerResponse, status: number, code: string, message: string): void {
  // Without a detail, Docker 20.10 does not recognize the error.
  const body = JSON.stringify({ errors: [{ code, message, detail: {} }] });
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

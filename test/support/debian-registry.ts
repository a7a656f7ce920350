/**
 * Debian's docker-registry behind a proxy that asks for a password and refuses requests when told to. Docker connects
 * to a registry on 127.0.0.1 without TLS.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { basicOf, type Credentials, problem, tarOf } from './registry.ts';

const BACKEND = 5001;

export class DebianRegistry implements AsyncDisposable {
  readonly address: string;
  /** The credentials with which Docker must sign in. */
  credentials: Credentials;
  /** Returns the status of an answer that the proxy gives instead of the registry. */
  fault: (path: string) => number | undefined = () => undefined;
  readonly #registry: ChildProcess;
  readonly #proxy: Server;

  static async open(credentials: Credentials): Promise<DebianRegistry> {
    const directory = mkdtempSync('/run/test/registry-');
    const config = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: directory } },
      http: { addr: `127.0.0.1:${BACKEND}`, relativeurls: true },
    };
    const file = join(directory, 'config.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config));
    const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
    while (!(await answers())) await pause(20);
    const proxy = createServer();
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    return new DebianRegistry(child, proxy, credentials);
  }

  private constructor(child: ChildProcess, proxy: Server, credentials: Credentials) {
    this.#registry = child;
    this.#proxy = proxy;
    this.credentials = credentials;
    this.address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    proxy.on('request', (asked, answer) => this.#serve(asked, answer));
  }

  /**
   * Pushes an image that runs a script in the distribution's static busybox, and removes it from Docker.
   * @param padding additional bytes in its layer
   * @returns the name of the image
   */
  async push(docker: Dockerode, name: string, tag: string, script: string, padding = 1024): Promise<string> {
    const directory = mkdtempSync('/run/test/layer-');
    writeFileSync(join(directory, 'padding'), randomBytes(padding));
    const files = [
      '--transform=s,^busybox,bin/busybox,',
      '-C',
      '/bin',
      'busybox',
      '-C',
      directory,
      'padding',
    ];
    const [repo, changes] = [
      `${this.address}/${name}`,
      `CMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}`,
    ];
    const imported = await docker.importImage(Readable.from([tarOf(...files)]) as never, {
      repo,
      tag,
      changes,
    });
    await done(docker, imported);
    const image = docker.getImage(`${repo}:${tag}`);
    await done(
      docker,
      await image.push({ authconfig: { ...this.credentials, serveraddress: this.address } }),
    );
    await image.remove({ force: true });
    return `${repo}:${tag}`;
  }

  #serve(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, url: path = '', headers } = asked;
    if (headers.authorization !== basicOf(this.credentials)) {
      answer.setHeader('www-authenticate', 'Basic realm="tests"');
      problem(answer, 401, 'UNAUTHORIZED', 'the authorization token has expired');
      return;
    }
    const status = this.fault(path);
    if (status !== undefined) {
      problem(answer, status, 'TOOMANYREQUESTS', 'the rate is exceeded');
      return;
    }
    const passed = request({ host: '127.0.0.1', port: BACKEND, method, path, headers }, (found) => {
      answer.writeHead(found.statusCode ?? 502, found.headers);
      found.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy.close();
    this.#proxy.closeAllConnections();
    const ended = once(this.#registry, 'exit');
    this.#registry.kill();
    await ended;
  }
}

async function answers(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  request({ host: '127.0.0.1', port: BACKEND, path: '/v2/' }, (found) => {
    found.resume();
    resolve(true);
  })
    .on('error', () => resolve(false))
    .end();
  return await promise;
}

/** Waits for the end of Docker's progress messages. */
async function done(docker: Dockerode, stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    docker.modem.followProgress(stream, (error, told: { readonly error?: string }[] | undefined) => {
      const why = error?.message ?? told?.find((one) => one.error)?.error;
      if (why === undefined) resolve();
      else reject(new Error(why));
    }),
  );
}

/**
 * Serves the Docker Engine's API on a socket of this service. Its clients, above all the ECS agent, talk to Docker
 * through it, and marked containers become hosted ones. Only root can use the socket. It stays the same file from start
 * to end, so mounts of it remain valid.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { messageOf } from '../../errors/service-error.ts';
import { seenGone } from '../../host/directories.ts';
import { listenAt } from '../../host/socket-place.ts';
import { type Descriptors, descriptorOf } from '../../lifetime/descriptors.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import { serveClient } from './connection.ts';
import { eventsHandlerOf } from './held-events.ts';
import type { HostedCalls } from './hosted-calls.ts';

export interface DockerProxyOptions {
  /** The path of the socket, in a directory that only root can enter. */
  readonly path: string;
  /** The Docker Engine's own socket. */
  readonly engine: string;
  readonly calls: HostedCalls;
  /** Called when Docker is unreachable, before any client learns it. */
  readonly lost: () => Promise<void>;
  readonly descriptors: Descriptors;
  readonly log: Logger;
}

const NAME = 'docker-proxy';
/** The beginning of the names of silent clients in a hand-over, and the maximum number of them. They have sent nothing yet. */
const SILENT = 'docker-client-';
const MOST_SILENT = 16;
/** The time limit in milliseconds for requests in progress when the socket is handed over. Streams would never end. */
const LINGER = 1000;

/** Serves until the lifetime ends. */
export async function serveDocker(lifetime: Lifetime, options: DockerProxyOptions): Promise<void> {
  const { path } = options;
  await lifetime.acquire({
    kind: 'docker proxy',
    what: path,
    take: () => DockerProxy.open(options),
    release: async (proxy) => {
      await proxy.end();
      await rm(path, { force: true });
    },
    leave: (proxy) => proxy.leave(),
    seenGone: () => seenGone(path),
  });
}

class DockerProxy {
  readonly #options: DockerProxyOptions;
  readonly #clients = new Set<Socket>();
  readonly #finishing = new AbortController();
  readonly #server = createServer({ allowHalfOpen: true }, (client) => this.#serve(client));
  /** How many more clients can be passed on. */
  #room = 0;

  static async open(options: DockerProxyOptions): Promise<DockerProxy> {
    const proxy = new DockerProxy(options);
    await proxy.#listen();
    return proxy;
  }

  private constructor(options: DockerProxyOptions) {
    this.#options = options;
  }

  async #listen(): Promise<void> {
    const { path, descriptors } = this.#options;
    const server = this.#server;
    const fd = descriptors.take(NAME);
    if (fd === undefined) await listenAt(path, (draft) => once(server.listen(draft), 'listening'));
    else await once(server.listen({ fd }), 'listening');
    descriptors.offer(NAME, descriptorOf(server));
    for (const client of descriptors.takeAll(SILENT))
      this.#serve(new Socket({ fd: client, allowHalfOpen: true }));
  }

  #serve(client: Socket): void {
    const { engine, calls, lost, log } = this.#options;
    this.#clients.add(client);
    client.on('close', () => this.#clients.delete(client));
    serveClient(client, {
      socket: engine,
      handlerOf: (request) => calls.handlerOf(request) ?? eventsHandlerOf(engine, request),
      lost,
      finishing: this.#finishing.signal,
      passOn: (silent) => this.#passOn(silent),
    }).catch((error: unknown) => log.error({ error }, `a call to Docker failed: ${messageOf(error)}`));
  }

  #passOn(client: Socket): boolean {
    if (this.#room === 0) return false;
    const { descriptors, log } = this.#options;
    try {
      descriptors.passOn(`${SILENT}${randomUUID()}`, descriptorOf(client));
      this.#room--;
      return true;
    } catch (error) {
      log.warn(
        { why: messageOf(error) },
        'a client of the Docker API cannot be passed on, so it is disconnected',
      );
      return false;
    }
  }

  async end(): Promise<void> {
    this.#options.descriptors.withdraw(NAME);
    await this.#close(0);
  }

  /** Leaves the socket and the silent clients to the next service. */
  async leave(): Promise<void> {
    this.#room = MOST_SILENT;
    await this.#close(LINGER);
  }

  /** @param linger milliseconds for requests in progress */
  async #close(linger: number): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#finishing.abort();
    const cut = setTimeout(() => {
      for (const client of this.#clients) client.destroy();
    }, linger);
    // The server does not know the clients of the previous service.
    await Promise.all([closed, ...[...this.#clients].map(closedOf)]);
    clearTimeout(cut);
  }
}

function closedOf(client: Socket): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

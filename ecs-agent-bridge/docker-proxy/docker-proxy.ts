/**
 * Serves the Docker Engine's API on a socket of this service. Its clients, above all the ECS agent, talk to Docker
 * through it, and marked containers become hosted ones. Only root can use the socket. It stays the same file from start
 * to end, so mounts of it remain valid.
 */

import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
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
/** The time limit in milliseconds for requests in progress when the socket is handed over. Streams would never end. */
const LINGER = 1000;

/** Serves until the lifetime ends. */
export async function serveDocker(lifetime: Lifetime, options: DockerProxyOptions): Promise<void> {
  const { path, descriptors } = options;
  const clients = new Set<Socket>();
  const finishing = new AbortController();
  /** @param linger milliseconds for requests in progress */
  const close = async (server: Server, linger: number) => {
    const closed = once(server, 'close');
    server.close();
    finishing.abort();
    const cut = setTimeout(() => {
      for (const client of clients) client.destroy();
    }, linger);
    await closed;
    clearTimeout(cut);
  };
  await lifetime.acquire({
    kind: 'docker proxy',
    what: path,
    take: () => listen(options, clients, finishing.signal),
    release: async (server) => {
      descriptors.withdraw(NAME);
      await close(server, 0);
      await rm(path, { force: true });
    },
    leave: (server) => close(server, LINGER),
    seenGone: () => seenGone(path),
  });
}

async function listen(
  options: DockerProxyOptions,
  clients: Set<Socket>,
  finishing: AbortSignal,
): Promise<Server> {
  const { path, engine, calls, lost, descriptors, log } = options;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    serveClient(client, {
      socket: engine,
      handlerOf: (request) => calls.handlerOf(request) ?? eventsHandlerOf(engine, request),
      lost,
      finishing,
    }).catch((error: unknown) => log.error({ error }, `a call to Docker failed: ${messageOf(error)}`));
  });
  const fd = descriptors.take(NAME);
  if (fd === undefined) await listenAt(path, (draft) => once(server.listen(draft), 'listening'));
  else await once(server.listen({ fd }), 'listening');
  descriptors.offer(NAME, descriptorOf(server));
  return server;
}

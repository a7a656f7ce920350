/**
 * The Docker Engine's API on a socket of ours. Whatever client speaks to it, the ECS agent first of all, speaks to
 * Docker, and the containers that are marked for it become hosted ones. The socket is root's, and the same one from
 * the beginning to the end: who has it mounted keeps it.
 */

import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../errors/service-error.ts';
import { seenGone } from '../../host/directories.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import { serveClient } from './connection.ts';
import { eventsHandlerOf } from './held-events.ts';
import type { HostedCalls } from './hosted-calls.ts';

export interface DockerProxyOptions {
  /** Where it listens, in a directory of root's. */
  readonly path: string;
  /** The Docker Engine's own socket. */
  readonly engine: string;
  readonly calls: HostedCalls;
  /** Is told that Docker is away, before any client is. */
  readonly lost: () => Promise<void>;
  readonly log: Logger;
}

/** Serves until the lifetime ends. */
export async function serveDocker(lifetime: Lifetime, options: DockerProxyOptions): Promise<void> {
  const { path } = options;
  const clients = new Set<Socket>();
  await lifetime.acquire({
    kind: 'docker proxy',
    what: path,
    take: () => listen(options, clients),
    release: async (server) => {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
    seenGone: () => seenGone(path),
  });
}

async function listen(options: DockerProxyOptions, clients: Set<Socket>): Promise<Server> {
  const { path, engine, calls, lost, log } = options;
  // A service that died left it.
  await rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    serveClient(client, {
      socket: engine,
      handlerOf: (request) => calls.handlerOf(request) ?? eventsHandlerOf(engine, request),
      lost,
    }).catch((error: unknown) => log.error({ error }, `a call to Docker failed: ${messageOf(error)}`));
  });
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o600);
  return server;
}

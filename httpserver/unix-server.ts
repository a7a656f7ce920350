/** The operator's API on a unix socket, for root on this host. */

import { rm } from 'node:fs/promises';
import { fastify } from 'fastify';
import { seenGone } from '../host/directories.ts';
import { listenAt } from '../host/socket-place.ts';
import type { Descriptors } from '../lifetime/descriptors.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { BELOW, equip, LIMITS } from './app.ts';
import { connectionsOf } from './connections.ts';
import type { Gate } from './gate.ts';
import type { Hosting } from './hosting.ts';
import { CLOSE_DEADLINE, close, type Listening, listenOn, socketsOf } from './listening.ts';
import type { MetricsSource } from './metrics-route.ts';
import type { Version } from './status-routes.ts';
import { rootAlone } from './v1/authority.ts';
import type { CreateOptions } from './v1/create-routes.ts';
import type { Operations } from './v1/operations.ts';

export interface UnixServerOptions {
  /** The path is in a directory that only root can enter. */
  readonly path: string;
  readonly gate: Gate<Hosting>;
  readonly version: Version;
  readonly operations: Operations;
  readonly create: CreateOptions;
  readonly metrics: MetricsSource;
  readonly descriptors: Descriptors;
  readonly log: Logger;
}

const NAME = 'api-socket';

/** Listens until the lifetime ends. */
export async function serveUnixSocket(lifetime: Lifetime, options: UnixServerOptions): Promise<void> {
  const { path } = options;
  await lifetime.acquire({
    kind: 'api socket',
    what: path,
    take: () => listen(options),
    release: async (listening) => {
      options.descriptors.withdraw(NAME);
      await close(listening);
      await rm(path, { force: true });
    },
    leave: close,
    seenGone: () => seenGone(path),
    deadline: CLOSE_DEADLINE,
  });
}

async function listen({
  path,
  gate,
  version,
  operations,
  create,
  metrics,
  descriptors,
  log,
}: UnixServerOptions): Promise<Listening> {
  const closing = new AbortController();
  const app = fastify({ ...LIMITS, http: BELOW });
  const operator = { authority: rootAlone, operations, create, closing: closing.signal };
  equip(app, { gate, version, operator, metrics, puts: [], log });
  const [sockets, connections] = [socketsOf(app.server), connectionsOf(app.server)];
  try {
    await listenOn(app, { descriptors, name: NAME }, () =>
      listenAt(path, (draft) => app.listen({ path: draft })),
    );
  } catch (error) {
    await app.close();
    throw error;
  }
  return { app, sockets, connections, closing };
}

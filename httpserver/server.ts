/** The HTTPS server for the webserver, the client app and remote operators. */

import { fastify } from 'fastify';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Descriptors } from '../lifetime/descriptors.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { BELOW, equip, LIMITS } from './app.ts';
import type { CertificateKeeper } from './certificate-keeper.ts';
import { connectionsOf, limitConnections } from './connections.ts';
import { orSignedIn, type SessionKey, Sessions } from './console/sessions.ts';
import { CLOSE_DEADLINE, close, listenOn, seenClosed, socketsOf } from './listening.ts';
import type { MetricsSource } from './metrics-route.ts';
import {
  addPredecessorRoutes,
  type PredecessorOptions,
  SPIN_UP,
  START_VALUES,
  TOKEN,
} from './predecessor-routes.ts';
import type { Version } from './status-routes.ts';
import { type Token, whoKnows } from './v1/authority.ts';
import type { CreateOptions } from './v1/create-routes.ts';
import type { Operations } from './v1/operations.ts';

export interface ServerOptions extends PredecessorOptions {
  readonly address: string;
  readonly port: number;
  readonly certificate: CertificateKeeper;
  readonly version: Version;
  readonly operations: Operations;
  readonly create: CreateOptions;
  readonly metrics: MetricsSource;
  readonly operatorToken: Token;
  readonly viewerToken: Token;
  /** Default: all sessions end with this process. */
  readonly sessionKey?: SessionKey;
  /** Default: true. Without interactive containers, the predecessor's calls have no purpose and do not exist. */
  readonly isInteractive?: boolean;
  readonly descriptors: Descriptors;
  readonly log: Logger;
}

const CONNECTIONS = { all: 1024, each: 256 };
/** In milliseconds: the limits for the TLS handshake and for a request's headers, and the interval of checks. */
const HANDSHAKE = 10_000;
const HEADERS = 10_000;
const CHECK = 2_000;

/** Listens until the lifetime ends. @throws {ServiceError} `start.listen` */
export async function serveHttps(lifetime: Lifetime, options: ServerOptions): Promise<void> {
  const { address, port, certificate } = options;
  const { app } = await lifetime.acquire({
    kind: 'listener',
    what: `https://${address}:${port}`,
    take: () => listen(options),
    release: async (listening) => {
      options.descriptors.withdraw(nameOf(options));
      await close(listening);
    },
    leave: close,
    seenGone: seenClosed,
    deadline: CLOSE_DEADLINE,
  });
  certificate.keep(lifetime, (pair) => app.server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' }));
}

async function listen(options: ServerOptions) {
  const { address, port, descriptors } = options;
  const closing = new AbortController();
  const app = build(options, closing.signal);
  const [sockets, connections] = [socketsOf(app.server), connectionsOf(app.server)];
  limitConnections(app.server, connections, CONNECTIONS);
  try {
    const passing = { descriptors, name: nameOf(options) };
    await listenOn(app, passing, () => app.listen({ host: address, port }));
    return { app, sockets, connections, closing };
  } catch (error) {
    await app.close();
    throw new ServiceError('start.listen', { address, port, why: messageOf(error) }, { cause: error });
  }
}

/** Contains the address and the port, so that the next service does not listen anywhere else. */
function nameOf({ address, port }: Pick<ServerOptions, 'address' | 'port'>): string {
  return `https-${address.replaceAll(':', '_')}-${port}`;
}

function build(
  {
    certificate,
    version,
    operations,
    create,
    metrics,
    operatorToken,
    viewerToken,
    sessionKey,
    isInteractive = true,
    log,
    ...options
  }: ServerOptions,
  closing: AbortSignal,
) {
  const app = fastify({
    ...LIMITS,
    https: {
      ...BELOW,
      ...certificate.pair,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE,
      headersTimeout: HEADERS,
      connectionsCheckingInterval: CHECK,
    },
  });
  const setUpCalls = [START_VALUES, TOKEN, ...(options.spinUp ? [SPIN_UP] : [])];
  const puts = isInteractive ? setUpCalls : [];
  const sessions = new Sessions(operatorToken, viewerToken, sessionKey);
  const authority = orSignedIn(whoKnows(operatorToken, viewerToken), sessions);
  const operator = { authority, operations, create, closing };
  equip(app, { gate: options.gate, version, operator, metrics, sessions, puts, log });
  if (isInteractive) addPredecessorRoutes(app, options);
  return app;
}

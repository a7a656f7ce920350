/** The servers of a host that is still starting: they listen, without anything behind them. */

import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CertificateKeeper, type KeeperOptions } from '../../httpserver/certificate-keeper.ts';
import { Gate } from '../../httpserver/gate.ts';
import type { Hosting } from '../../httpserver/hosting.ts';
import { serveHttps } from '../../httpserver/server.ts';
import { serveUnixSocket } from '../../httpserver/unix-server.ts';
import { Idempotency } from '../../httpserver/v1/idempotency.ts';
import type { Operations } from '../../httpserver/v1/operations.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger, openStdout } from '../../logging/logger.ts';
import { Secret } from '../../settings/secret.ts';

export const log = createLogger({ level: 'error', stream: await openStdout(false) });

const NO_OPERATIONS: Operations = {
  describeHost: () => Promise.reject(new Error('no request is expected')),
  describeAgent: () => Promise.reject(new Error('no request is expected')),
  history: () => {
    throw new Error('no request is expected');
  },
  diagnose: () => Promise.reject(new Error('no request is expected')),
  drain: () => 0,
  nodes: () => {
    throw new Error('no request is expected');
  },
};

const common = () => ({
  version: { version: '1', commit: 'none' },
  gate: new Gate<Hosting>(),
  operations: NO_OPERATIONS,
  create: { allowedMounts: [], requests: new Idempotency<never>() },
  metrics: { contentType: 'text/plain', text: () => Promise.resolve('') },
  descriptors: new Descriptors(),
  log,
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** @returns its port */
export async function serve(lifetime: Lifetime, keeper: KeeperOptions, spinUp: boolean): Promise<number> {
  const port = await freePort();
  await serveHttps(lifetime, {
    ...common(),
    address: '127.0.0.1',
    port,
    certificate: await CertificateKeeper.open(lifetime, keeper),
    operatorToken: () => undefined,
    viewerToken: () => undefined,
    secret: new Secret('x'),
    spinUp,
  });
  return port;
}

export async function serveApiSocket(lifetime: Lifetime, path: string): Promise<void> {
  await serveUnixSocket(lifetime, { ...common(), path });
}

/** Both, for one test. @returns the port of the one, and the path of the other's socket */
export async function serveBoth(t: TestContext): Promise<{ readonly port: number; readonly path: string }> {
  const place = await mkdtempDisposable(join(tmpdir(), 'servers-'));
  const lifetime = new Lifetime('servers');
  t.after(async () => {
    await lifetime.end();
    await place.remove();
  });
  const port = await serve(lifetime, { files: undefined, directory: place.path, log }, true);
  const path = join(place.path, 'api.sock');
  await serveApiSocket(lifetime, path);
  return { port, path };
}

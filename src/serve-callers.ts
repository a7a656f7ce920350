/** Starts the servers: HTTPS for the webserver, the client app and operators, and a unix socket for root. */

import type { Paths } from '../host/paths.ts';
import { CertificateKeeper } from '../httpserver/certificate-keeper.ts';
import type { Gate } from '../httpserver/gate.ts';
import type { Hosting } from '../httpserver/hosting.ts';
import type { MetricsSource } from '../httpserver/metrics-route.ts';
import { serveHttps } from '../httpserver/server.ts';
import { serveUnixSocket } from '../httpserver/unix-server.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Secrets } from '../logging/secrets.ts';
import type { Settings } from '../settings/load.ts';
import { RotatingSecret, type RotatingSecretOptions } from '../settings/rotating-secret.ts';
import type { Passing } from './hand-over/passing.ts';
import { type OperatedService, operationsOf } from './operations.ts';
import { VERSION } from './version.ts';

export interface ServedOptions {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  readonly paths: Paths;
  readonly gate: Gate<Hosting>;
  readonly service: OperatedService & { readonly metrics: MetricsSource };
  readonly secrets: Pick<Secrets, 'set'>;
  readonly passing: Pick<Passing, 'requests' | 'sessionKey' | 'descriptors' | 'handed'>;
  readonly log: Logger;
}

/** @throws {ServiceError} `start.listen`, `start.certificate` */
export async function serveCallers(
  root: Lifetime,
  { settings, environment, paths, gate, service, secrets, passing, log }: ServedOptions,
): Promise<void> {
  const { APP_ENV, COMMIT, TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = settings;
  const files = cert && key ? { cert, key } : undefined;
  const tokenIn = (name: RotatingSecretOptions['name'], who: string) =>
    new RotatingSecret({
      name,
      environment,
      mustNotBe: settings.WEBSERVER_AUTH_SECRET.reveal(),
      onValue: (value) => secrets.set(`the ${who}'s token`, value),
      report: (why) => log.error({ why }, `refusing every ${who} over HTTPS`),
    });
  const [operator, viewer] = [tokenIn('OPERATOR_TOKEN', 'operator'), tokenIn('VIEWER_TOKEN', 'viewer')];
  const common = {
    gate,
    version: { version: VERSION, commit: COMMIT },
    operations: operationsOf({
      service,
      environment,
      appEnv: APP_ENV,
      commit: COMMIT,
      state: paths.state,
    }),
    create: { allowedMounts: settings.ALLOWED_MOUNTS, requests: passing.requests },
    metrics: service.metrics,
    descriptors: passing.descriptors,
    log,
  };
  await serveUnixSocket(root, { ...common, path: paths.apiSocket });
  await serveHttps(root, {
    ...common,
    address: settings.LISTEN_ADDRESS,
    port: settings.LISTEN_PORT,
    certificate: await CertificateKeeper.open(root, {
      files,
      directory: paths.private,
      isLeft: passing.handed !== undefined,
      log,
    }),
    operatorToken: () => operator.current,
    viewerToken: () => viewer.current,
    sessionKey: passing.sessionKey,
    secret: settings.WEBSERVER_AUTH_SECRET,
    spinUp: APP_ENV === 'localdev',
    isInteractive: settings.INTERACTIVE === 'on',
  });
}

/** Where a service is, and how a connection to it is made. */

import type { TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';

export type Target =
  | {
      /** Path of the service's unix socket, which only root may use. */
      readonly socket: string;
    }
  | {
      /** Such as `https://host:4678`. */
      readonly host: URL;
      /** SHA-256 of the service's certificate, in hex digits. Leave it out if this machine trusts the certificate. */
      readonly fingerprint?: string | undefined;
      readonly token: string;
    };

export type RemoteTarget = Extract<Target, { readonly host: URL }>;

/** Milliseconds for making a connection. */
const CONNECT = 5000;

export function nameOf(target: Target): string {
  return 'socket' in target ? target.socket : target.host.origin;
}

export async function connectorTo(target: Target): Promise<buildConnector.connector> {
  // A bundler finds what CommonJS exports only in its default.
  const {
    default: { buildConnector },
  } = await import('undici');
  if ('socket' in target) return buildConnector({ socketPath: target.socket, timeout: CONNECT });
  const { fingerprint } = target;
  if (fingerprint === undefined) return buildConnector({ timeout: CONNECT });
  // In a session that is resumed, the service shows no certificate.
  const options = { timeout: CONNECT, rejectUnauthorized: false, maxCachedSessions: 0 };
  return pinned(buildConnector(options), digitsOf(fingerprint));
}

/** Nothing is sent, the token least of all, before the certificate was seen to be the one that was named. */
function pinned(connect: buildConnector.connector, wanted: string): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      const found = digitsOf((socket as TLSSocket).getPeerX509Certificate?.()?.fingerprint256 ?? 'none');
      if (found === wanted) return callback(null, socket);
      socket.destroy();
      callback(new Error(`its certificate has the fingerprint ${found}`), null);
    });
}

function digitsOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

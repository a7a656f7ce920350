/** The address of a service, and how to connect to it. */

import type { TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';

export type Target =
  | {
      /** Path of the service's unix socket, which only root may use. */
      readonly socket: string;
    }
  | {
      /** For example `https://host:4678`. */
      readonly host: URL;
      /** SHA-256 of the service's certificate, in hex digits. Leave it out if this machine trusts the certificate. */
      readonly fingerprint?: string | undefined;
      readonly token: string;
    };

export type RemoteTarget = Extract<Target, { readonly host: URL }>;

/** The time limit for a connection attempt, in milliseconds. */
const CONNECT = 5000;

export function nameOf(target: Target): string {
  return 'socket' in target ? target.socket : target.host.origin;
}

export async function connectorTo(target: Target): Promise<buildConnector.connector> {
  // In a bundle, a CommonJS package has only its default export.
  const {
    default: { buildConnector },
  } = await import('undici');
  if ('socket' in target) return buildConnector({ socketPath: target.socket, timeout: CONNECT });
  const { fingerprint } = target;
  if (fingerprint === undefined) return buildConnector({ timeout: CONNECT });
  // In a resumed TLS session, the service shows no certificate.
  const options = { timeout: CONNECT, rejectUnauthorized: false, maxCachedSessions: 0 };
  return pinned(buildConnector(options), digitsOf(fingerprint));
}

/** Sends nothing, in particular no token, before the certificate's fingerprint was verified. */
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

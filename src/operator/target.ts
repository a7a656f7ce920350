/** Determines which service a command uses. */

import { ServiceError } from '../../errors/service-error.ts';
import { pathsBelow } from '../../host/paths.ts';
import type { Target } from '../../packages/api-client/src/main.ts';
import { findSecret } from '../../settings/secret.ts';
import type { Where } from './commands.ts';

/**
 * @throws {ServiceError} `operator.bad_target`
 * @throws Error when the token is in a file that others than root can read
 */
export function targetOf({ host, fingerprint }: Where, environment: NodeJS.ProcessEnv): Target {
  if (host === undefined) return { socket: pathsBelow(environment.ROOT || '/').apiSocket };
  if (!URL.canParse(host) || !/^https:\/\/[^/]+\/?$/.test(host)) {
    throw new ServiceError('operator.bad_target', {
      why: `--host must be like https://HOST:4678; got "${host}"`,
    });
  }
  const digits = fingerprint?.replaceAll(':', '').toLowerCase();
  if (digits !== undefined && !/^[0-9a-f]{64}$/.test(digits)) {
    throw new ServiceError('operator.bad_target', { why: '--fingerprint must be 64 hex digits (SHA-256)' });
  }
  const token = (findSecret('OPERATOR_TOKEN', environment) ?? findSecret('VIEWER_TOKEN', environment))?.text;
  if (!token) {
    throw new ServiceError('operator.bad_target', {
      why: 'OPERATOR_TOKEN or OPERATOR_TOKEN_FILE must be given',
    });
  }
  return { host: new URL(host), fingerprint: digits, token };
}

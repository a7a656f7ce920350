/**
 * A browser sends a cookie by itself, whichever page causes the request. So a request with a cookie counts only if the
 * browser says that a page of this host made it. A change also needs a header that no page of another origin can make a
 * browser send. Source: the Fetch standard (Origin, Sec-Fetch-Site), and RFC 6455, 10.2.
 */

import { ServiceError } from '../../errors/service-error.ts';
import type { Asking } from '../v1/authority.ts';

/** The header that the console sends with every change. Its value does not matter. */
export const CONSOLE_HEADER = 'x-ecs-host-service-console';

/**
 * @param scheme the scheme of this host's pages
 * @throws {ServiceError} `session.cross_site`
 */
export function throwUnlessSameOrigin(asking: Asking, scheme: 'http' | 'https' = 'https'): void {
  const why = whyCrossSite(asking, scheme);
  if (why !== undefined) throw new ServiceError('session.cross_site', { why });
}

function whyCrossSite({ method, headers }: Asking, scheme: string): string | undefined {
  const { origin, host, upgrade, 'sec-fetch-site': site } = headers;
  const changes = method !== 'GET' && method !== 'HEAD';
  if (origin !== undefined && origin !== `${scheme}://${host}`) return 'a page of another origin asked';
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'a page of another site asked';
  if (origin === undefined && (changes || upgrade !== undefined)) return 'the request has no Origin header';
  if (changes && headers[CONSOLE_HEADER] === undefined) return `the request has no header ${CONSOLE_HEADER}`;
  return undefined;
}

/**
 * Sessions of the web console. A browser's EventSource and WebSocket can send a cookie, but no token. The cookie is
 * derived from the token and a key of this process, so no session is stored. A session ends with its token, with the
 * process, or when its time is over.
 *
 * INVARIANTS
 * - A cookie has the rights that its token has at this moment, and none when the token is no longer valid.
 * - A cookie that was signed out is never valid again, because the process replaces the key before it forgets the
 *   cookie.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { ServiceError } from '../../errors/service-error.ts';
import { sameSecret } from '../../settings/secret.ts';
import type { PrincipalKind } from '../principal.ts';
import type { Authority, Token } from '../v1/authority.ts';
import { throwUnlessSameOrigin } from './same-origin.ts';

/** Browsers refuse a cookie with this prefix from another host, without TLS, or with a narrower path. */
export const COOKIE = '__Host-ecs-host-service';
/** The lifetime of a session, in milliseconds. */
export const LASTS = 12 * 3_600_000;
/**
 * The maximum number of remembered cookies that were signed out before they expired. When the limit is reached, all
 * sessions end.
 */
const MOST_SIGNED_OUT = 4096;

export class Sessions {
  readonly #operator: Token;
  readonly #viewer: Token;
  readonly #now: () => number;
  readonly #signedOut = new Set<string>();
  #key = randomBytes(32);

  /** @param now a clock in milliseconds */
  constructor(operator: Token, viewer: Token, now: () => number = Date.now) {
    this.#operator = operator;
    this.#viewer = viewer;
    this.#now = now;
  }

  /**
   * @param token a valid token
   * @returns the value of the session's cookie
   */
  begin(token: string): string {
    const facts = `${this.#now() + LASTS}.${randomBytes(16).toString('base64url')}`;
    return `${facts}.${this.#sign(token, facts)}`;
  }

  /** Returns the kind of caller that a cookie belongs to; undefined: the cookie is not valid. */
  kindOf(cookie: string): PrincipalKind | undefined {
    const [, facts = '', until = '', signature = ''] =
      /^((\d{1,16})\.[\w-]{22})\.([\w-]{43})$/.exec(cookie) ?? [];
    if (Number(until) <= this.#now() || this.#signedOut.has(facts)) return undefined;
    const isOf = (token: string | undefined) =>
      token !== undefined && sameSecret(signature, this.#sign(token, facts));
    const [acts, looks] = [isOf(this.#operator()), isOf(this.#viewer())];
    // The same rule as for tokens: if viewers have the same token as operators, it gives a viewer's rights only.
    return looks ? 'viewer' : acts ? 'operator' : undefined;
  }

  /** Ends a session. No copy of its cookie is valid any more. */
  end(cookie: string): void {
    if (this.kindOf(cookie) === undefined) return;
    if (this.#signedOut.size >= MOST_SIGNED_OUT) {
      this.#key = randomBytes(32);
      this.#signedOut.clear();
    } else this.#signedOut.add(cookie.slice(0, cookie.lastIndexOf('.')));
  }

  #sign(token: string, facts: string): string {
    return createHmac('sha256', this.#key).update(`${facts}.${token}`).digest('base64url');
  }
}

/** Finds the session's cookie in a `Cookie` header. */
export function sessionIn(header: string | undefined, name = COOKIE): string | undefined {
  const found = header?.split(';').map((pair) => pair.trim().split('='));
  return found?.find(([one]) => one === name)?.[1];
}

/** Also accepts a session's cookie. If a request has a token, the token takes precedence. */
export function orSignedIn(authority: Authority, sessions: Sessions): Authority {
  return (authorization, address, asking) => {
    const cookie = authorization === undefined ? sessionIn(asking?.headers.cookie) : undefined;
    if (!asking || cookie === undefined) return authority(authorization, address, asking);
    throwUnlessSameOrigin(asking);
    const kind = sessions.kindOf(cookie);
    if (kind === undefined) throw new ServiceError('session.ended', {});
    return { kind, from: address };
  };
}

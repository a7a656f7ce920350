/**
 * Sessions of the web console. EventSource and WebSocket of a browser send no token, but a cookie. It is derived from the token
 * and a key of this process, so nothing is stored of a session: it ends with the token, with the process, and after its time.
 *
 * INVARIANTS
 * - A cookie gives the rights that its token has at this moment, and none when the token does not count any more.
 * - A cookie that was signed out never counts again: the process forgets the key before it forgets the cookie.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { ServiceError } from '../../errors/service-error.ts';
import { sameSecret } from '../../settings/secret.ts';
import type { PrincipalKind } from '../principal.ts';
import type { Authority, Token } from '../v1/authority.ts';
import { throwUnlessSameOrigin } from './same-origin.ts';

/** The prefix has browsers refuse it from another host, without TLS, or for a part of the paths. */
export const COOKIE = '__Host-ecs-host-service';
/** Milliseconds of a session. */
export const LASTS = 12 * 3_600_000;
/** Sessions that were signed out before their time. Beyond that, all sessions end. */
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

  /** @param token one that counts @returns the value of a cookie */
  begin(token: string): string {
    const facts = `${this.#now() + LASTS}.${randomBytes(16).toString('base64url')}`;
    return `${facts}.${this.#sign(token, facts)}`;
  }

  /** Whose session a cookie is. */
  kindOf(cookie: string): PrincipalKind | undefined {
    const [, facts = '', until = '', signature = ''] =
      /^((\d{1,16})\.[\w-]{22})\.([\w-]{43})$/.exec(cookie) ?? [];
    if (Number(until) <= this.#now() || this.#signedOut.has(facts)) return undefined;
    const isOf = (token: string | undefined) =>
      token !== undefined && sameSecret(signature, this.#sign(token, facts));
    const [acts, looks] = [isOf(this.#operator()), isOf(this.#viewer())];
    // As with the tokens themselves: one that was given to viewers too is a viewer's.
    return looks ? 'viewer' : acts ? 'operator' : undefined;
  }

  /** No copy of the cookie counts any more. */
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

/** The cookie of a session in a header `Cookie`. */
export function sessionIn(header: string | undefined, name = COOKIE): string | undefined {
  const found = header?.split(';').map((pair) => pair.trim().split('='));
  return found?.find(([one]) => one === name)?.[1];
}

/** Lets in too who has signed in. A token that is sent takes precedence. */
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

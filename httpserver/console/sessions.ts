/**
 * Sessions of the web console. A browser's EventSource and WebSocket can send a cookie, but no token. The cookie is
 * derived from the token and a key of the service, so no session is stored. A session ends with its token, when its time
 * is over, and with the process, unless a hand-over gives the key to the next one.
 *
 * INVARIANTS
 * - A cookie has the rights that its token has at this moment, and none when the token is no longer valid.
 * - A cookie that was signed out is never valid again, because the process replaces the key before it forgets the
 *   cookie.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { ServiceError } from '../../errors/service-error.ts';
import { monotonic } from '../../lifetime/monotonic.ts';
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

/** What one service tells the next about its sessions. It is secret: whoever has the key and a token can make cookies. */
export const HandedSessions = Type.Object({
  key: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  signedOut: Type.Array(Type.String()),
});

export type HandedSessions = Static<typeof HandedSessions>;

/** The data that all sessions of a service share, and with which the next service continues. */
export class SessionKey {
  readonly signedOut: Set<string>;
  /** Resolves when this service, and no previous one, decides which cookies are valid. */
  readonly over: Promise<void>;
  #bytes: Buffer;

  /** @param left what the previous service handed over */
  constructor(left?: HandedSessions, over: Promise<void> = Promise.resolve()) {
    this.signedOut = new Set(left?.signedOut);
    this.over = over;
    this.#bytes = left ? Buffer.from(left.key, 'hex') : randomBytes(32);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Ends all sessions. */
  replace(): void {
    this.#bytes = randomBytes(32);
    this.signedOut.clear();
  }

  get handed(): HandedSessions {
    return { key: this.#bytes.toString('hex'), signedOut: [...this.signedOut] };
  }
}

export class Sessions {
  readonly #operator: Token;
  readonly #viewer: Token;
  readonly #key: SessionKey;
  readonly #now: () => number;

  /** @param now a clock in milliseconds, which nobody can set and the next process shares */
  constructor(
    operator: Token,
    viewer: Token,
    key: SessionKey = new SessionKey(),
    now: () => number = monotonic,
  ) {
    this.#operator = operator;
    this.#viewer = viewer;
    this.#key = key;
    this.#now = now;
  }

  /**
   * @param token a valid token
   * @returns the value of the session's cookie
   */
  begin(token: string): string {
    const facts = `${Math.ceil(this.#now() + LASTS)}.${randomBytes(16).toString('base64url')}`;
    return `${facts}.${this.#sign(token, facts)}`;
  }

  /** Returns the kind of caller that a cookie belongs to; undefined: the cookie is not valid. */
  kindOf(cookie: string): PrincipalKind | undefined {
    const [, facts = '', until = '', signature = ''] =
      /^((\d{1,16})\.[\w-]{22})\.([\w-]{43})$/.exec(cookie) ?? [];
    if (Number(until) <= this.#now() || this.#key.signedOut.has(facts)) return undefined;
    const isOf = (token: string | undefined) =>
      token !== undefined && sameSecret(signature, this.#sign(token, facts));
    const [acts, looks] = [isOf(this.#operator()), isOf(this.#viewer())];
    // The same rule as for tokens: if viewers have the same token as operators, it gives a viewer's rights only.
    return looks ? 'viewer' : acts ? 'operator' : undefined;
  }

  /**
   * Ends a session. No copy of its cookie is valid any more.
   * @throws {ServiceError} `service.stopping` if this service gives up the host that it was taking over
   */
  async end(cookie: string): Promise<void> {
    await this.#key.over;
    if (this.kindOf(cookie) === undefined) return;
    const { signedOut } = this.#key;
    if (signedOut.size >= MOST_SIGNED_OUT) this.#key.replace();
    else signedOut.add(cookie.slice(0, cookie.lastIndexOf('.')));
  }

  #sign(token: string, facts: string): string {
    return createHmac('sha256', this.#key.bytes).update(`${facts}.${token}`).digest('base64url');
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

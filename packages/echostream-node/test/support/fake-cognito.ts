/** Cognito's side of a sign-in: it knows a verifier and not the password, and issues tokens that can expire. */

import { createHash, createHmac, getDiffieHellman, hkdfSync, randomBytes } from 'node:crypto';

const N = BigInt(`0x${getDiffieHellman('modp15').getPrime('hex')}`);
const POOL = 'abc123';
const USER = 'user-id-1';
/** Cognito refuses a clock that is off by more than this, in milliseconds. */
const TOLERANCE = 5 * 60_000;

type Json = Record<string, unknown>;
type Answer = readonly [status: number, body: Json];

const refused = (message: string): Answer => [400, { __type: 'NotAuthorizedException', message }];

export class FakeCognito {
  readonly #salt = randomBytes(16).toString('hex');
  readonly #verifier: bigint;
  readonly #sessions = new Map<string, { readonly A: bigint; readonly b: bigint; readonly B: bigint }>();
  readonly tokens = new Set<string>();
  readonly refreshTokens = new Set<string>();
  /** The number of sign-ins with the password, and with a refresh token. */
  signIns = 0;
  renewals = 0;
  expiresIn = 3600;
  /** Milliseconds by which Cognito's clock is ahead. */
  ahead = 0;

  constructor(password: string) {
    const identity = sha256(Buffer.from(`${POOL}${USER}:${password}`));
    this.#verifier = power(2n, integer(sha256(bytes(BigInt(`0x${this.#salt}`)), identity)));
  }

  answer(target: string, body: Json): Answer {
    if (target === 'RespondToAuthChallenge')
      return this.#respond(body.ChallengeResponses as Record<string, string>);
    const parameters = body.AuthParameters as Record<string, string>;
    if (body.AuthFlow === 'REFRESH_TOKEN_AUTH') return this.#renew(parameters.REFRESH_TOKEN as string);
    return this.#challenge(BigInt(`0x${parameters.SRP_A}`));
  }

  #challenge(A: bigint): Answer {
    const b = integer(randomBytes(64));
    const B = (integer(sha256(bytes(N), bytes(2n))) * this.#verifier + power(2n, b)) % N;
    const block = randomBytes(100).toString('base64');
    this.#sessions.set(block, { A, b, B });
    const ChallengeParameters = {
      SALT: this.#salt,
      SECRET_BLOCK: block,
      SRP_B: B.toString(16),
      USER_ID_FOR_SRP: USER,
    };
    return [200, { ChallengeName: 'PASSWORD_VERIFIER', ChallengeParameters }];
  }

  #respond(given: Record<string, string>): Answer {
    const { PASSWORD_CLAIM_SECRET_BLOCK: block = '', TIMESTAMP = '', PASSWORD_CLAIM_SIGNATURE } = given;
    const session = this.#sessions.get(block);
    if (!session) return refused('no such session');
    if (Math.abs(Date.parse(TIMESTAMP) - Date.now() - this.ahead) > TOLERANCE)
      return refused('Invalid TIMESTAMP');
    const { A, b, B } = session;
    const u = integer(sha256(bytes(A), bytes(B)));
    const S = power(A * power(this.#verifier, u), b);
    const key = Buffer.from(hkdfSync('sha256', bytes(S), bytes(u), 'Caldera Derived Key', 16));
    const proof = createHmac('sha256', key)
      .update(`${POOL}${USER}`)
      .update(Buffer.from(block, 'base64'))
      .update(TIMESTAMP);
    if (proof.digest('base64') !== PASSWORD_CLAIM_SIGNATURE)
      return refused('Incorrect username or password.');
    this.signIns += 1;
    const RefreshToken = randomBytes(8).toString('hex');
    this.refreshTokens.add(RefreshToken);
    return this.#token({ RefreshToken });
  }

  #renew(refreshToken: string): Answer {
    if (!this.refreshTokens.has(refreshToken)) return refused('Refresh Token has expired');
    this.renewals += 1;
    return this.#token({});
  }

  #token(more: Json): Answer {
    const AccessToken = randomBytes(8).toString('hex');
    this.tokens.add(AccessToken);
    return [
      200,
      { AuthenticationResult: { AccessToken, ExpiresIn: this.expiresIn, TokenType: 'Bearer', ...more } },
    ];
  }
}

function bytes(value: bigint): Buffer {
  const hex = value.toString(16);
  const even = hex.length % 2 ? `0${hex}` : hex;
  return Buffer.from(Number.parseInt(even.slice(0, 2), 16) > 127 ? `00${even}` : even, 'hex');
}

function integer(value: Buffer): bigint {
  return BigInt(`0x${value.toString('hex')}`);
}

function sha256(...parts: readonly Buffer[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % N;
    if (bit === '1') result = (result * base) % N;
  }
  return result;
}

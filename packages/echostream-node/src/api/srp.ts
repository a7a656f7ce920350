/**
 * The client's side of the Secure Remote Password protocol as Cognito implements it: SRP-6a with SHA-256 in the 3072-bit group
 * of RFC 3526. The key is derived with HKDF, and proves the password without sending it.
 */

import { createHash, createHmac, getDiffieHellman, hkdfSync, randomBytes } from 'node:crypto';

const N = BigInt(`0x${getDiffieHellman('modp15').getPrime('hex')}`);
const G = 2n;
const K = toInteger(sha256(padded(N), padded(G)));

/** The parameters of Cognito's challenge PASSWORD_VERIFIER. */
export interface Challenge {
  readonly SALT: string;
  readonly SECRET_BLOCK: string;
  readonly SRP_B: string;
  readonly USER_ID_FOR_SRP: string;
}

export interface Account {
  /** The part of the user pool's id after the region and the underscore. */
  readonly pool: string;
  readonly password: string;
}

export interface SrpSession {
  /** SRP_A, in hexadecimal. */
  readonly publicValue: string;
  /** @throws Error if the challenge is not one that a valid server would make */
  answer(challenge: Challenge, account: Account, time: Date): Record<string, string>;
}

/** Only tests pass `secret`. */
export function startSrp(secret: bigint = toInteger(randomBytes(128))): SrpSession {
  const A = power(G, secret);
  return {
    publicValue: A.toString(16),
    answer({ SALT, SECRET_BLOCK, SRP_B, USER_ID_FOR_SRP }, { pool, password }, time) {
      const B = BigInt(`0x${SRP_B}`);
      if (B % N === 0n) throw new Error('Cognito sent an SRP_B that is not allowed');
      const u = sha256(padded(A), padded(B));
      const identity = sha256(Buffer.from(`${pool}${USER_ID_FOR_SRP}:${password}`));
      const x = toInteger(sha256(padded(BigInt(`0x${SALT}`)), identity));
      const base = (((B - K * power(G, x)) % N) + N) % N;
      const S = power(base, secret + toInteger(u) * x);
      // The salt of HKDF is an integer too, so it does not always begin with a zero byte.
      const key = hkdfSync('sha256', padded(S), padded(toInteger(u)), 'Caldera Derived Key', 16);
      const TIMESTAMP = timestamp(time);
      const signature = createHmac('sha256', Buffer.from(key))
        .update(`${pool}${USER_ID_FOR_SRP}`)
        .update(Buffer.from(SECRET_BLOCK, 'base64'))
        .update(TIMESTAMP)
        .digest('base64');
      return {
        USERNAME: USER_ID_FOR_SRP,
        PASSWORD_CLAIM_SECRET_BLOCK: SECRET_BLOCK,
        PASSWORD_CLAIM_SIGNATURE: signature,
        TIMESTAMP,
      };
    },
  };
}

/** Java's form of a date: `Tue Mar 3 04:05:06 UTC 2026`. */
export function timestamp(time: Date): string {
  const [, weekday, day, month, year, clock] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(time.toUTCString()) ?? [];
  return `${weekday} ${month} ${Number(day)} ${clock} UTC ${year}`;
}

/** The bytes of a positive integer in two's complement, with a zero byte before a set highest bit. */
function padded(value: bigint): Buffer {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, 'hex');
}

function toInteger(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function sha256(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** base ** exponent modulo N. */
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base % N;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % N;
    square = (square * square) % N;
  }
  return result;
}

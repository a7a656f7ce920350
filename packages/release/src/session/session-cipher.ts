/**
 * Encrypts a session with a KMS key, if the cluster requires it: AES-256-GCM, with the nonce before the ciphertext. The
 * client gets a data key of 64 bytes from KMS. The agent encrypts with the first half, and the client with the second.
 *
 * Source: aws/session-manager-plugin, encryption/encrypter.go; aws/amazon-ssm-agent,
 * agent/session/crypto/blockcipher.go.
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { PAYLOAD } from './payloads.ts';

export interface DataKey {
  /** 64 bytes. */
  readonly plaintext: Uint8Array;
  /** The encrypted data key, which the agent lets KMS decrypt. */
  readonly ciphertext: Uint8Array;
}

const ALGORITHM = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;
const HALF = 32;
const ENCRYPTED_OUTPUT: ReadonlySet<number> = new Set([PAYLOAD.output, PAYLOAD.stderr, PAYLOAD.exitCode]);

export class SessionCipher {
  readonly #toAgent: Uint8Array;
  readonly #fromAgent: Uint8Array;

  constructor({ plaintext }: DataKey) {
    if (plaintext.length !== 2 * HALF) throw new RangeError(`a data key has ${plaintext.length} bytes`);
    this.#fromAgent = plaintext.subarray(0, HALF);
    this.#toAgent = plaintext.subarray(HALF);
  }

  encrypt(plain: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv(ALGORITHM, this.#toAgent, nonce);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws when the data was encrypted with another key, or was changed */
  decrypt(encrypted: Uint8Array): Buffer {
    if (encrypted.length < NONCE + TAG)
      throw new RangeError(`a ciphertext has only ${encrypted.length} bytes`);
    const end = encrypted.length - TAG;
    const decipher = createDecipheriv(ALGORITHM, this.#fromAgent, encrypted.subarray(0, NONCE));
    decipher.setAuthTag(encrypted.subarray(end));
    return Buffer.concat([decipher.update(encrypted.subarray(NONCE, end)), decipher.final()]);
  }

  /** Encrypts input only. The other payloads go to the agent as plain text. */
  outgoing(type: number, payload: Uint8Array): Uint8Array {
    return type === PAYLOAD.output ? this.encrypt(payload) : payload;
  }

  incoming(type: number, payload: Uint8Array): Uint8Array {
    return ENCRYPTED_OUTPUT.has(type) ? this.decrypt(payload) : payload;
  }

  /** Proves to the agent that this side has the same key. */
  answerChallenge(challenge: unknown): Buffer {
    const plain = this.decrypt(Buffer.from(String(challenge), 'base64'));
    return Buffer.from(JSON.stringify({ Challenge: this.encrypt(plain).toString('base64') }));
  }
}

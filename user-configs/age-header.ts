/**
 * The header of an age file, a text that wraps the file key for each recipient. Anybody who can write the file controls
 * it, so it is parsed as strictly as the specification demands and with limited memory.
 *
 * Source: https://age-encryption.org/v1 (C2SP). The names are those of the specification.
 */

import { createHmac, diffieHellman, generateKeyPairSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { derive, open, seal, TAG } from './age-cipher.ts';
import { privateKey, publicKey, rawPublicKey, recipientOf } from './config-key.ts';
import { DamagedError } from './damaged.ts';

/** In bytes. No more than this is stored or read of a hostile file before it is authenticated. */
export const LONGEST_HEADER = 64 * 1024;

export const FILE_KEY_BYTES = 16;
/** The length of the payload's nonce, which follows the header. */
export const NONCE_BYTES = 16;

const VERSION_LINE = 'age-encryption.org/v1';
const KEY_BYTES = 32;
const COLUMNS = 64;
/** A zero nonce is safe, because a wrap key is used once. */
const NO_NONCE = Buffer.alloc(12);

interface Stanza {
  readonly args: readonly string[];
  readonly body: Buffer;
}

export function headerFor(recipient: Buffer, fileKey: Buffer): Buffer {
  const ephemeral = generateKeyPairSync('x25519');
  const share = rawPublicKey(ephemeral.publicKey);
  const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKey(recipient) });
  const body = Buffer.concat(seal(wrapKey(shared, share, recipient), NO_NONCE, fileKey));
  const text = `${VERSION_LINE}\n-> X25519 ${encode(share)}\n${encode(body)}\n---`;
  return Buffer.from(`${text} ${encode(headerMac(fileKey, Buffer.from(text)))}\n`);
}

/** Opens headers with one identity. */
export class Opener {
  readonly #key: KeyObject;
  readonly #recipient: Buffer;

  constructor(identity: Buffer) {
    this.#key = privateKey(identity);
    this.#recipient = recipientOf(identity);
  }

  /** @param header including its last line feed @throws {DamagedError} */
  fileKey(header: Buffer): Buffer {
    const { stanzas, mac, authenticated } = parseHeader(header);
    // Checks all stanzas: a file with an invalid stanza is refused, wherever the stanza is.
    const fileKey = stanzas.map((stanza) => this.#unwrap(stanza)).find((key) => key !== undefined);
    if (!fileKey) {
      throw new DamagedError(
        'no stanza of the header opens with this key: another token, or a damaged header',
      );
    }
    if (!timingSafeEqual(mac, headerMac(fileKey, authenticated)))
      throw new DamagedError('the header is changed');
    return fileKey;
  }

  #unwrap({ args, body }: Stanza): Buffer | undefined {
    const [type, encodedShare = ''] = args;
    if (type !== 'X25519') return undefined;
    const share = decode(encodedShare);
    if (args.length !== 2 || share.length !== KEY_BYTES || body.length !== FILE_KEY_BYTES + TAG)
      throw malformed();
    return open(wrapKey(this.#sharedSecret(share), share, this.#recipient), NO_NONCE, body);
  }

  #sharedSecret(share: Buffer): Buffer {
    try {
      return diffieHellman({ privateKey: this.#key, publicKey: publicKey(share) });
    } catch (cause) {
      // OpenSSL refuses a shared secret that is all zeros.
      throw new DamagedError('the ephemeral share is a point of low order', { cause });
    }
  }
}

interface Header {
  readonly stanzas: readonly Stanza[];
  readonly mac: Buffer;
  /** The bytes that the MAC covers. */
  readonly authenticated: Buffer;
}

function parseHeader(header: Buffer): Header {
  const lines = header.toString('latin1').split('\n');
  if (lines[0] !== VERSION_LINE) throw notAge();
  const end = lines.at(-2) ?? '';
  const mac = decode(end.slice('--- '.length));
  if (!end.startsWith('--- ') || mac.length !== KEY_BYTES) throw malformed();
  const stanzas = parseStanzas(lines.slice(1, -2));
  if (stanzas.length > 1 && stanzas.some(({ args }) => args[0] === 'scrypt')) throw malformed();
  return {
    stanzas,
    mac,
    authenticated: header.subarray(0, header.length - `${end}\n`.length + '---'.length),
  };
}

function parseStanzas(lines: readonly string[]): Stanza[] {
  const stanzas: Stanza[] = [];
  let args: string[] | undefined;
  let body = '';
  for (const line of lines) {
    if (!args) {
      if (!/^->(?: [!-~]+)+$/.test(line)) throw malformed();
      args = line.split(' ').slice(1);
      continue;
    }
    if (line.length > COLUMNS) throw malformed();
    body += line;
    if (line.length === COLUMNS) continue;
    stanzas.push({ args, body: decode(body) });
    args = undefined;
    body = '';
  }
  if (args || stanzas.length === 0) throw malformed();
  return stanzas;
}

function notAge(): DamagedError {
  return new DamagedError('not an age v1 file');
}

function malformed(): DamagedError {
  return new DamagedError('the header breaks the rules of its format');
}

/** Collects the bytes before the chunks: the header and the nonce of the payload. */
export class Opening {
  readonly #bytes = Buffer.allocUnsafeSlow(LONGEST_HEADER + NONCE_BYTES);
  #length = 0;
  #macLine = -1;
  #headerLength = 0;

  /**
   * @returns the bytes that follow the opening; undefined if it is incomplete
   * @throws {DamagedError} when it is too long
   */
  add(bytes: Buffer): Buffer | undefined {
    const before = this.#length;
    this.#length += bytes.copy(this.#bytes, before);
    const seen = this.#bytes.subarray(0, this.#length);
    if (this.#macLine < 0) this.#macLine = seen.indexOf('\n---', Math.max(0, before - 3));
    const end = this.#headerLength > 0 ? this.#headerLength - 1 : this.#endIn(seen, before);
    if (end < 0 || end >= LONGEST_HEADER) {
      if (this.#length > LONGEST_HEADER) throw this.incomplete();
      return undefined;
    }
    this.#headerLength = end + 1;
    const length = this.#headerLength + NONCE_BYTES;
    return length <= this.#length ? bytes.subarray(length - before) : undefined;
  }

  /** @param from everything before this was searched, except for the last line if it began there */
  #endIn(seen: Buffer, from: number): number {
    return this.#macLine < 0 ? -1 : seen.indexOf('\n', Math.max(from, this.#macLine + 1));
  }

  get header(): Buffer {
    return this.#bytes.subarray(0, this.#headerLength);
  }

  get nonce(): Buffer {
    return this.#bytes.subarray(this.#headerLength, this.#headerLength + NONCE_BYTES);
  }

  incomplete(): DamagedError {
    if (!this.#bytes.subarray(0, this.#length).toString('latin1').startsWith(`${VERSION_LINE}\n`))
      return notAge();
    if (this.#length > LONGEST_HEADER)
      return new DamagedError(`the header is longer than ${LONGEST_HEADER} bytes`);
    return new DamagedError('the file is cut off before its payload');
  }
}

/** Base64 without padding. */
function encode(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

/** @throws {DamagedError} unless it is the canonical encoding; Node's own decoder accepts other texts too */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (encode(bytes) !== text) throw malformed();
  return bytes;
}

function wrapKey(shared: Buffer, share: Buffer, recipient: Buffer): KeyObject {
  return derive(shared, Buffer.concat([share, recipient]), `${VERSION_LINE}/X25519`);
}

function headerMac(fileKey: Buffer, text: Buffer): Buffer {
  return createHmac('sha256', derive(fileKey, '', 'header'))
    .update(text)
    .digest();
}

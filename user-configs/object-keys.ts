/**
 * The keys under which a user's config of one app is stored. User and app come from requests. Whatever they contain,
 * different pairs get different keys, and no key collides with keys of another kind.
 */

import { createHash } from 'node:crypto';

/** Longer names are replaced by their digest, so that a key stays below S3's limit of 1024 bytes. */
const LONGEST = 300;

/** The prefix of all objects of one user and app, and of no others. */
export function prefixOf(userId: string, appName: string): string {
  return `v1/${component(userId)}/${component(appName)}/`;
}

/**
 * The key of the predecessor's object, which this service only reads.
 * @returns undefined if the key could also belong to another user and app
 */
export function oldKeyOf(userId: string, appName: string): string | undefined {
  return userId.includes('/') ? undefined : `${userId}/${appName}/fractal-app-config.tar.lz4.enc`;
}

/** Letters, digits and characters that are usual in addresses stay as they are. A name never begins with a dot. */
function component(name: string): string {
  // JSON escapes distinguish unpaired surrogates, which UTF-8 cannot represent.
  const bytes = Buffer.from(JSON.stringify(name).slice(1, -1));
  const encoded = [...bytes].map((byte, i) => {
    const character = String.fromCharCode(byte);
    const isPlain = /[A-Za-z0-9_@-]/.test(character) || (character === '.' && i > 0);
    return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  const text = encoded.join('');
  return text.length <= LONGEST ? text : `~${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Where a user's config of one app is stored. User and app come from requests: whatever is in them, no two pairs
 * share a key, and none reaches a key of another kind.
 */

import { createHash } from 'node:crypto';

/** Longer names are told by their digest, so that a key stays below S3's 1024 bytes. */
const LONGEST = 300;

/** Below which all objects of one user and app are, and no others. */
export function prefixOf(userId: string, appName: string): string {
  return `v1/${component(userId)}/${component(appName)}/`;
}

/**
 * The predecessor's object, which is read and never written.
 * @returns undefined for a user whose key could be that of another one and another app
 */
export function oldKeyOf(userId: string, appName: string): string | undefined {
  return userId.includes('/') ? undefined : `${userId}/${appName}/fractal-app-config.tar.lz4.enc`;
}

/** Letters, digits and what is usual in addresses stand for themselves; a dot does not begin a name. */
function component(name: string): string {
  // As JSON has it, also halves of surrogate pairs stay apart, which UTF-8 does not know.
  const bytes = Buffer.from(JSON.stringify(name).slice(1, -1));
  const encoded = [...bytes].map((byte, i) => {
    const character = String.fromCharCode(byte);
    const isPlain = /[A-Za-z0-9_@-]/.test(character) || (character === '.' && i > 0);
    return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  const text = encoded.join('');
  return text.length <= LONGEST ? text : `~${createHash('sha256').update(bytes).digest('hex')}`;
}

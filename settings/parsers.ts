/** Parsers for the values of settings. Each throws an Error that says which values are valid. */

import { isIPv4 } from 'node:net';
import { isAbsolute, normalize } from 'node:path';

export function absolutePath(text: string): string {
  if (!isAbsolute(text)) throw new Error(`must be an absolute path; got "${text}"`);
  return normalize(text);
}

export function pathOrNone(text: string): string | undefined {
  return text === 'none' ? undefined : absolutePath(text);
}

/**
 * No directory may be inside another one: a container with write access to the outer one could replace the inner one.
 */
export function directories(text: string): readonly string[] {
  if (text === 'none') return [];
  const found = text.split(',').map((part) => absolutePath(part.trim()).replace(/(?<=.)\/$/, ''));
  for (const one of found) {
    const outer = found.find((other) => one.startsWith(`${other === '/' ? '' : other}/`) && one !== other);
    if (outer) throw new Error(`${one} must not be in ${outer}; leave one of them out`);
  }
  return found;
}

export function port(text: string): number {
  return wholeNumber(1, 65_535, 'a port')(text);
}

/** The minimum length makes a brute-force search impractical. */
export function operatorToken(text: string): string {
  if (/^[\x21-\x7e]{32,}$/.test(text)) return text;
  throw new Error(
    'must be at least 32 printable characters without spaces; "openssl rand -hex 32" makes one',
  );
}

export function ports(text: string): readonly number[] {
  return text.split(',').map((part) => port(part.trim()));
}

/** Source: useradd(8). */
export function userName(text: string): string {
  if (!/^[a-z_][a-z0-9_-]{0,30}[a-z0-9_$-]?$/.test(text)) {
    throw new Error(`must be the name of a user; got "${text}"`);
  }
  return text;
}

/** Only a rough check: Docker reports what else is wrong with a name. */
export function image(text: string): string {
  if (!/^[\w][\w./:@-]*$/.test(text)) throw new Error(`must be the name of an image; got "${text}"`);
  return text;
}

/** The registry's host, as it stands at the beginning of image names. */
export function registry(text: string): string | undefined {
  if (text === 'none') return undefined;
  const part = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*';
  const host = `(?:localhost|(?=[^/]*[.:])${part}(?::\\d+)?|\\[[0-9a-f:]+\\](?::\\d+)?)`;
  if (!new RegExp(`^${host}(?:/${part})*$`).test(text)) {
    throw new Error(`must be the host of a registry such as registry.example.com, or none; got "${text}"`);
  }
  return text;
}

/** Source: the rules for names of S3 buckets. */
export function bucket(text: string): string | undefined {
  if (text === 'none') return undefined;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text)) {
    throw new Error(`must be the name of a bucket, or none; got "${text}"`);
  }
  return text;
}

/** Source: the API reference of CloudWatch Logs, "CreateLogGroup". */
export function logGroup(text: string): string {
  if (!/^[\w./#-]{1,512}$/.test(text)) throw new Error(`must be the name of a log group; got "${text}"`);
  return text;
}

export function wholeNumber(least: number, most: number, what = 'a number'): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most) {
      throw new Error(`must be ${what} from ${least} to ${most}; got "${text}"`);
    }
    return number;
  };
}

const UNITS = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

export function bytes(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,15})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  const number = Number(digits) * UNITS[unit as keyof typeof UNITS];
  if (!(number >= 1 && number <= Number.MAX_SAFE_INTEGER)) {
    throw new Error(`must be a number of bytes such as 500MiB or 4GiB; got "${text}"`);
  }
  return number;
}

/** The longest span, in seconds, that a timer can wait. */
export const LONGEST_SECONDS = 2_000_000;

export function bytesOrNone(text: string): number | undefined {
  return text === 'none' ? undefined : bytes(text);
}

export function wholeNumberOrNone(least: number, most: number): (text: string) => number | undefined {
  const parse = wholeNumber(least, most);
  return (text) => (text === 'none' ? undefined : parse(text));
}

export function secondsOrNone(text: string): number | undefined {
  return text === 'none' ? undefined : wholeNumber(1, LONGEST_SECONDS)(text);
}

export function region(text: string): string {
  if (!/^[a-z]{2,4}(-[a-z]+)+-\d+$/.test(text))
    throw new Error(`must be a region like us-east-1; got "${text}"`);
  return text;
}

export function unixSocket(text: string): string {
  const path = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (!path) throw new Error(`must be a unix socket like unix:///var/run/docker.sock; got "${text}"`);
  return path;
}

export function oneOf<const T extends string>(...words: T[]): (text: string) => T {
  return (text) => {
    const word = words.find((one) => one === text);
    if (!word) throw new Error(`must be one of ${words.join(', ')}; got "${text}"`);
    return word;
  };
}

export function yesOrNo(text: string): boolean {
  const word = text.toLowerCase();
  if (['1', 'yes', 'true'].includes(word)) return true;
  if (['0', 'no', 'false'].includes(word)) return false;
  throw new Error(`must be one of 1, yes, true, 0, no, false; got "${text}"`);
}

export function url(text: string): URL {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new Error('must be an address like https://…');
  return new URL(text);
}

/** The data sent to these URLs is confidential, so plain HTTP is allowed to loopback only. */
export function remoteUrl(text: string): URL {
  const found = url(text);
  if (found.protocol === 'http:' && !isLoopback(found.hostname)) {
    throw new Error('must be an https address; only a loopback address may be http');
  }
  return found;
}

/** Accepts what the Sentry SDK accepts. */
export function sentryDsn(text: string): string {
  remoteUrl(text);
  if (!/^https?:\/\/\w+(:\w+)?@[\w.-]+(:\d+)?(\/[\w/-]+)?\/\d+$/.test(text)) {
    throw new Error('must be an address like https://key@host/123');
  }
  return text;
}

/** @param host an IP address, or the host of a URL; names are not resolved */
export function isLoopback(host: string): boolean {
  return isIPv4(host) ? host.startsWith('127.') : host === '::1' || host === '[::1]';
}

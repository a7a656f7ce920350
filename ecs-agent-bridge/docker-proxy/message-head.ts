/**
 * Parses the head of an HTTP/1.1 message as far as a transparent proxy needs it: the request or the status, and how to
 * find the end of the body. Ambiguous messages are refused. Source: RFC 9112.
 */

/** A message that cannot be parsed. Nothing after it on its connection can be parsed either. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** How to find the end of a body. */
export type Framing = 'none' | 'chunked' | 'until close' | { readonly length: number };

interface Head {
  /** The original bytes, with the empty line at the end. */
  readonly bytes: Buffer;
  readonly framing: Framing;
  /** Whether its sender allows no further message on the connection. */
  readonly isLast: boolean;
}

export interface RequestHead extends Head {
  readonly method: string;
  /** The path and the query in the normalised form in which Docker sees them. */
  readonly target: string;
  readonly fields: Fields;
}

export interface ResponseHead extends Head {
  readonly status: number;
}

/** Values by lower-case field name; all values of a repeated field. */
export type Fields = ReadonlyMap<string, readonly string[]>;

/** @throws {MalformedMessage} */
export function parseRequest(bytes: Buffer): RequestHead {
  const { first, fields } = parse(bytes);
  const [, method, target, version = ''] = /^([A-Z]+) (\S+) (HTTP\/1\.[01])$/.exec(first) ?? [];
  if (!method || !target) throw new MalformedMessage('its first line is not that of a request');
  const framing = framingOf(version, fields) ?? 'none';
  return { bytes, method, target: plain(target), fields, framing, isLast: isLast(version, fields) };
}

/**
 * Removes the host, and escapes in the path only what must be escaped. Docker accepts any scheme and host before the
 * path; this accepts http and https.
 * @throws {MalformedMessage}
 */
function plain(target: string): string {
  const found = /^(?:(?:https?:\/\/[^/?]*)(?<rest>\/[^?]*)?|(?<path>\/[^?]*|\*))(?<query>\?.*)?$/i.exec(
    target,
  );
  if (!found) throw new MalformedMessage('its target is neither a path nor an address of http');
  const { rest = '', path = rest, query = '' } = found.groups ?? {};
  const unescaped = path.replace(/%([\da-f]{2})/gi, (escaped, digits) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[\w.~/-]/.test(character) ? character : escaped;
  });
  return `${unescaped}${query}`;
}

/** The API version in a path. Docker accepts leading zeros and additional numbers. */
export const VERSION = /^\/v0*1\.(\d+)[\d.]*\//;

/** @returns for example 41 for `/v1.41/…`; undefined if the call names no version */
export function minorVersionOf(target: string): number | undefined {
  const [, minor] = VERSION.exec(target) ?? [];
  return minor === undefined ? undefined : Number(minor);
}

/** The parameters of a query as Docker reads them. Earlier versions of Docker treat a semicolon like an ampersand. */
export function parametersOf(query: string): URLSearchParams {
  return new URLSearchParams(query.replaceAll(';', '&'));
}

/** @param method of the request that it answers @throws {MalformedMessage} */
export function parseResponse(bytes: Buffer, method: string): ResponseHead {
  const { first, fields } = parse(bytes);
  const [, version = '', digits] = /^(HTTP\/1\.[01]) (\d{3})( .*)?$/.exec(first) ?? [];
  if (!digits) throw new MalformedMessage('its first line is not that of a response');
  const status = Number(digits);
  const isBare = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  const framing = isBare ? 'none' : (framingOf(version, fields) ?? 'until close');
  return { bytes, status, framing, isLast: framing === 'until close' || isLast(version, fields) };
}

const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;

/** Removes spaces and tabs at both ends. A regular expression would take quadratic time for long runs of them. */
function trimmed(text: string): string {
  const isBlank = (at: number) => text[at] === ' ' || text[at] === '\t';
  let [start, end] = [0, text.length];
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}

function parse(bytes: Buffer): { readonly first: string; readonly fields: Fields } {
  const [first = '', ...lines] = bytes.toString('latin1').slice(0, -4).split('\r\n');
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    // A less strict reader would treat a lone line break in a value as the end of the field.
    if (!NAME.test(name) || /[\r\n]/.test(line))
      throw new MalformedMessage('a field of it is not understood');
    const value = trimmed(line.slice(colon + 1));
    const key = name.toLowerCase();
    const values = fields.get(key);
    if (values) values.push(value);
    else fields.set(key, [value]);
  }
  return { first, fields };
}

function isLast(version: string, fields: Fields): boolean {
  const wishes = (fields.get('connection') ?? []).join().toLowerCase().split(',').map(trimmed);
  return wishes.includes('close') || (version === 'HTTP/1.0' && !wishes.includes('keep-alive'));
}

function framingOf(version: string, fields: Fields): Framing | undefined {
  const codings = fields.get('transfer-encoding');
  const lengths = fields.get('content-length');
  if (codings) {
    if (version === 'HTTP/1.0' || lengths || codings.join().toLowerCase() !== 'chunked') {
      throw new MalformedMessage('its length is ambiguous');
    }
    return 'chunked';
  }
  if (!lengths) return undefined;
  const [length = ''] = lengths;
  if (!/^\d{1,15}$/.test(length) || lengths.length > 1) {
    throw new MalformedMessage('its length is ambiguous');
  }
  return { length: Number(length) };
}

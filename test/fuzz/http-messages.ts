/** HTTP/1.1 requests, both well-formed and malformed. */

import fc from 'fast-check';
import { jsonWith, mutated } from './mutations.ts';

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'PATCH', 'get', 'G T', ''];
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''];

export interface RequestGrammar {
  readonly paths: readonly string[];
  /** Fields of the bodies, each with a valid value. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Well-formed header lines. */
  readonly headers: readonly string[];
}

const query = fc
  .array(
    fc.tuple(
      fc.constantFrom('limit', 'after', 'state', 'app', 'tail', 'pull', 'x'),
      fc.string({ maxLength: 12 }),
    ),
    {
      maxLength: 3,
    },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&'));

function headerOf(headers: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constantFrom(
      ...headers,
      'Connection: close',
      'Connection: keep-alive',
      'Expect: 100-continue',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: gzip, chunked',
      'Upgrade: websocket',
      'Content-Length: 0',
      'Content-Length: 5',
      'Content-Length: -1',
      'Content-Length: 99999999999999999999',
      `X-Long: ${'x'.repeat(20_000)}`,
      'No colon',
      ' folded: yes',
    ),
    fc.tuple(fc.string({ maxLength: 10 }), fc.string({ maxLength: 20 })).map((pair) => pair.join(': ')),
  );
}

function requestOf({ paths, fields, headers }: RequestGrammar): fc.Arbitrary<string> {
  const body = fc.oneof(
    fc.constant(''),
    jsonWith(fields).map((value) => JSON.stringify(value)),
    fc.string({ maxLength: 50 }),
  );
  return fc
    .record({
      method: fc.constantFrom(...METHODS.slice(0, 4), ...METHODS),
      path: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...paths) }, fc.string({ maxLength: 30 })),
      query,
      version: fc.constantFrom(...VERSIONS),
      lines: fc.array(headerOf(headers), { maxLength: 4 }),
      body,
      hasHost: fc.nat(9),
      hasLength: fc.nat(9),
    })
    .map((one) => {
      const length = one.hasLength > 0 ? [`Content-Length: ${Buffer.byteLength(one.body)}`] : [];
      const lines = [...(one.hasHost > 0 ? ['Host: host'] : []), ...length, ...one.lines];
      const target = one.query ? `${one.path}?${one.query}` : one.path;
      return `${one.method} ${target} ${one.version}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${one.body}`;
    });
}

/** One to three requests that arrive together. */
export function requests(grammar: RequestGrammar): fc.Arbitrary<Buffer> {
  return mutated(fc.array(requestOf(grammar), { minLength: 1, maxLength: 3 }).map((all) => all.join('')));
}

/** Requests that are made from the document of the operator's API: right ones, and such as break it in each place. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

interface Parameter {
  readonly in: 'path' | 'query';
  readonly name: string;
  readonly schema: Schema;
}

interface Operation {
  readonly path: string;
  readonly method: string;
  readonly parameters: readonly Parameter[];
  readonly isStream: boolean;
}

/** Its paths, those that change most at the end. */
function operationsIn(document: {
  paths: Record<string, Record<string, Record<string, unknown>>>;
}): Operation[] {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], responses }]) => ({
      path,
      method: method.toUpperCase(),
      parameters: parameters as Parameter[],
      isStream: JSON.stringify(responses).includes('text/event-stream'),
    })),
  );
  const order = ['GET', 'POST', 'PUT'];
  return all.sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
}

/** @param id of a container that is there */
function rightValues({ type, enum: words, minimum, maximum, pattern }: Schema, id: string): string[] {
  if (words) return [...words];
  if (type === 'boolean') return ['true', 'false'];
  if (type === 'integer') return [String(minimum), String(maximum)];
  return pattern
    ? [id, id.slice(0, 20), 'abcdef']
    : ['', 'demo', 'ünïcode', 'x'.repeat(1000), '%', '../..', '\u0000'];
}

/** What does not fit any schema but that of free text. */
const WRONG = [
  '',
  'zzzz',
  '-1',
  '1e99',
  '0x10',
  '007',
  'null',
  '[]',
  '{}',
  '../..',
  '%',
  '\u0000',
  'ü',
  'f'.repeat(5000),
];

function pathOf(
  { path, parameters }: Operation,
  values: Readonly<Record<string, string>>,
  id: string,
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? id));
  const query = parameters
    .filter((parameter) => parameter.in === 'query' && values[parameter.name] !== undefined)
    .map(({ name }) => `${name}=${encodeURIComponent(values[name] as string)}`);
  return query.length > 0 ? `${filled}?${query.join('&')}` : filled;
}

test('no request that the document allows, or that breaks it in any place, is a fault of the service', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const operator = new Operator(root);
  const id = await host.containerIdOf(await hostContainer(service));
  const { body: document } = await operator.get('/v1/openapi.json');
  let refused = 0;
  let asked = 0;
  for (const operation of operationsIn(document).filter(({ isStream }) => !isStream)) {
    const ask = async (values: Record<string, string>) => {
      const { status } = await operator.ask(operation.method, pathOf(operation, values, id));
      assert.ok(status < 500, `${operation.method} ${operation.path} ${JSON.stringify(values)}: ${status}`);
      asked += 1;
      return status;
    };
    for (const { name, schema } of operation.parameters) {
      for (const value of WRONG) {
        const isText = schema.type === 'string' && !schema.pattern;
        const status = await ask({ [name]: value });
        if (!isText) refused += Number(status === 400 || status === 404);
        if (!isText) assert.ok(status === 400 || status === 404, `${operation.path} took ${name}=${value}`);
      }
      for (const value of rightValues(schema, id))
        assert.notEqual(await ask({ [name]: value }), 400, `${name}=${value}`);
    }
    await ask({});
  }
  assert.ok(refused > 50 && asked > refused, `${asked} requests, ${refused} refused`);
  assert.equal(await service.ended(), 0, 'the last one was to drain it');
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

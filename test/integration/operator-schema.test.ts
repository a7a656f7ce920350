/**
 * Requests that are generated from the OpenAPI document of the operator's API: valid ones, and ones that violate each
 * part of it.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { TSchema } from 'typebox';
import { ConfigToken, NewContainer, StartValues } from '../../httpserver/v1/create-schemas.ts';
import { ImagePull } from '../../httpserver/v1/image-schemas.ts';
import { NodeLock, NodesText } from '../../httpserver/v1/node-schemas.ts';
import { NewPool } from '../../httpserver/v1/pool-schemas.ts';
import { RestoreVersion } from '../../httpserver/v1/user-config-routes.ts';
import { isRecord, misfit } from '../../parsing/json.ts';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { CLIENT_SECRET, TOKEN } from '../support/secrets.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly maxLength?: number;
}

interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly schema: Schema;
}

interface Operation {
  readonly path: string;
  readonly method: string;
  readonly parameters: readonly Parameter[];
  /** The name of its body's schema. */
  readonly body: string | undefined;
  readonly isStream: boolean;
}

const SCHEMAS: Readonly<Record<string, TSchema>> = {
  NewContainer,
  NewPool,
  StartValues,
  ConfigToken,
  ImagePull,
  RestoreVersion,
  NodeLock,
  NodesText,
};

/** For each schema of a body, a valid one. */
const BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  NewContainer: {
    image: IMAGE,
    app: 'demo',
    environment: { A: 'b' },
    cpus: 1,
    memory: 2 ** 26,
    pids: 50,
    sharedMemory: 2 ** 20,
    ports: [{ container: '8080/tcp', host: 8080 }],
    mounts: [{ source: '/srv', target: '/x', readOnly: true }],
    gpu: false,
    console: false,
    labels: { a: 'b' },
    timeout: -1,
    startValues: { dpi: 96, containerArn: 'arn', userId: 'user', clientAppAuthSecret: CLIENT_SECRET },
  },
  StartValues: { dpi: 96, containerArn: 'arn', userId: 'user', clientAppAuthSecret: CLIENT_SECRET },
  ConfigToken: { userId: 'user', clientAppAuthSecret: CLIENT_SECRET, configEncryptionToken: TOKEN },
  RestoreVersion: { version: 'a' },
  NewPool: {
    image: IMAGE,
    app: 'demo',
    memory: 2 ** 26,
    ports: [{ container: '8080/tcp' }],
    size: 0,
    maxAge: 60,
  },
  NodeLock: { locked: true },
  NodesText: { file: 'app: demo' },
  ImagePull: { image: 'a', platform: 'linux/amd64', registryAuth: { username: 'user', password: TOKEN } },
};

/** Values of any type. */
const ODD: readonly unknown[] = [
  null,
  '',
  'x',
  '\u0000',
  0,
  -1,
  0.5,
  1e300,
  true,
  [],
  [null],
  {},
  { '': {} },
  { constructor: 1 },
  [[]],
];

/** The body with one value at a time, at any depth, changed or removed, and with one added. */
function* oddBodies(body: Readonly<Record<string, unknown>>): Generator<unknown> {
  yield* ODD;
  yield { ...body, another: 1 };
  for (const [name, value] of Object.entries(body)) {
    const { [name]: _, ...without } = body;
    yield without;
    for (const odd of ODD) yield { ...body, [name]: odd };
    const inner = Array.isArray(value) ? value[0] : value;
    if (!isRecord(inner)) continue;
    for (const odd of oddBodies(inner)) yield { ...body, [name]: Array.isArray(value) ? [odd] : odd };
  }
}

/** Its paths, with those that change most at the end. */
function operationsIn(document: {
  paths: Record<string, Record<string, Record<string, unknown>>>;
}): Operation[] {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      path,
      method: method.toUpperCase(),
      parameters: (parameters as Parameter[]).filter((parameter) => parameter.in !== 'header'),
      body: /schemas\/(\w+)"/.exec(JSON.stringify(requestBody ?? ''))?.[1],
      isStream: JSON.stringify(responses).includes('text/event-stream'),
    })),
  );
  const order = ['GET', 'POST', 'PUT'];
  return all.sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
}

/** @param id of an existing container */
function rightValues(schema: Schema, id: string): string[] {
  const { type, enum: words, minimum, maximum, pattern } = schema;
  if (words) return [...words];
  if (type === 'boolean') return ['true', 'false'];
  if (type === 'integer') return [String(minimum), String(maximum)];
  return pattern
    ? [id, id.slice(0, 20), id.slice(0, 16), 'abcdef'].filter((text) => isFreeText(schema, text))
    : ['', 'demo', 'ünïcode', 'x'.repeat(1000), '%', '../..', '\u0000'];
}

/** Whether a text is valid, unless only certain texts are. */
function isFreeText(
  { type, enum: words, pattern = '', maxLength = Infinity, items }: Schema,
  text: string,
): boolean {
  if (items) return isFreeText(items, text);
  return type === 'string' && !words && new RegExp(pattern, 'u').test(text) && text.length <= maxLength;
}

/** A value that is invalid for any schema but that of free text. */
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
  const filled = path.replace(/\{(\w+)\}/g, (_, wanted: string) => {
    const { schema = {} } = parameters.find(({ name }) => name === wanted) ?? {};
    return encodeURIComponent(values[wanted] ?? rightValues(schema, id)[0] ?? '');
  });
  const query = parameters
    .filter((parameter) => parameter.in === 'query' && values[parameter.name] !== undefined)
    .map(({ name }) => `${name}=${encodeURIComponent(values[name] as string)}`);
  return query.length > 0 ? `${filled}?${query.join('&')}` : filled;
}

async function stopAll(operator: Operator): Promise<void> {
  const { containers } = (await operator.get('/v1/containers')).body;
  for (const { id } of containers) await operator.ask('POST', `/v1/containers/${id}/stop`);
}

/** The required fields alone, all fields together, and each optional field alone. */
function rightBodies(): Readonly<Record<string, unknown>>[] {
  const { image, app, ...others } = BODIES.NewContainer as Readonly<Record<string, unknown>>;
  const alone = Object.entries(others).map(([name, value]) => ({ image, app, [name]: value }));
  return [{ image, app }, { image, app, ...others }, ...alone];
}

test('containers that the document allows are made, and leave nothing behind', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ALLOWED_MOUNTS: '/srv' } }).ready();
  const operator = new Operator(root);
  for (const body of rightBodies()) {
    const { status, body: made } = await operator.ask('POST', '/v1/containers', body);
    assert.equal(status, 201, `${JSON.stringify(body)}: ${JSON.stringify(made)}`);
    const stopped = await operator.ask('POST', `/v1/containers/${made.id}/stop`);
    assert.equal(stopped.status, 200);
    const held = stopped.body.resources.filter(({ released }: { released?: string }) => !released);
    assert.deepEqual(
      held.map(({ kind }: { kind: string }) => kind),
      ['docker container'],
    );
  }
  assert.equal(await service.stop(), 0);
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

test('no request, valid or broken in any one place, causes an internal error', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ALLOWED_MOUNTS: '/srv' } }).ready();
  const operator = new Operator(root);
  const id = await host.containerIdOf(await hostContainer(service));
  const { body: document } = await operator.get('/v1/openapi.json');
  let refused = 0;
  let asked = 0;
  for (const operation of operationsIn(document).filter(({ isStream, body }) => !isStream || body)) {
    if (operation.path === '/v1/drain') await stopAll(operator);
    // Other tests cover the creation of these.
    const always = operation.body === 'NewContainer' ? { dryRun: 'true' } : {};
    const right = operation.body && BODIES[operation.body];
    const ask = async (values: Record<string, string>, body: unknown = right) => {
      const path = pathOf(operation, { ...always, ...values }, id);
      const { status } = await operator.ask(operation.method, path, body);
      assert.ok(status < 500, `${operation.method} ${operation.path} ${JSON.stringify(values)}: ${status}`);
      asked += 1;
      return status;
    };
    for (const { name, schema } of operation.parameters) {
      for (const value of WRONG) {
        const isText = isFreeText(schema, value);
        const status = await ask({ [name]: value });
        if (!isText) refused += Number(status === 400 || status === 404);
        if (!isText)
          assert.ok(status === 400 || status === 404, `${operation.path} accepted ${name}=${value}`);
      }
      for (const value of rightValues(schema, id))
        assert.notEqual(await ask({ [name]: value }), 400, `${name}=${value}`);
    }
    // Other tests cover the answers of streams to valid requests.
    if (!operation.isStream) await ask({});
    if (!right) continue;
    const schema = SCHEMAS[operation.body ?? ''] as TSchema;
    for (const body of oddBodies(right)) {
      const isRight = misfit(schema, body) === undefined;
      if (isRight && operation.isStream) continue;
      const status = await ask({}, body);
      assert.equal(status === 400, !isRight, `${operation.path} ${status} ${JSON.stringify(body)}`);
      refused += Number(!isRight);
    }
  }
  assert.ok(refused > 50 && asked > refused, `${asked} requests, ${refused} refused`);
  assert.equal(await service.ended(), 0, 'the last request was to drain the host');
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

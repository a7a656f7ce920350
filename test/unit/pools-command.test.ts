/** The requests and the output of the commands about pools, and the file of pools. */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { parseCommandLine } from '../../src/commands/program.ts';
import { type KeepPoolsOptions, keepPools } from '../../src/keep-pools.ts';
import { ps } from '../../src/operator/containers.ts';
import type { PoolAsked } from '../../src/operator/pool-commands.ts';
import { pools } from '../../src/operator/pools.ts';

const POOL = {
  name: 'demo',
  size: 2,
  ready: 1,
  taken: 7,
  app: 'demo',
  image: 'fractal/demo',
  lastError: 'no\u001b[2J',
};
const VIEW = { id: 'a'.repeat(60), state: 'running', since: new Date().toISOString(), app: 'demo' };

/** Answers like a service, and records the requests. */
function api(asked: unknown[] = []) {
  const answers: Readonly<Record<string, unknown>> = {
    'GET /v1/pools': { pools: [POOL] },
    'PUT /v1/pools/{name}': POOL,
    'DELETE /v1/pools/{name}': POOL,
    'GET /v1/containers': { containers: [VIEW, { ...VIEW, pool: 'demo' }, { ...VIEW, pool: 'demo' }] },
    'GET /v1/host': {},
  };
  const on = (method: string) => async (path: string, options: object) => {
    asked.push([method, options]);
    return { data: answers[`${method} ${path}`], response: { ok: true, status: 200 } };
  };
  return { GET: on('GET'), PUT: on('PUT'), DELETE: on('DELETE') } as never;
}

const print = (words: readonly string[], asked?: unknown[]) =>
  pools(api(asked), parseCommandLine(words) as unknown as PoolAsked, {}, false);

test('the command line lists, changes and removes pools, and ps counts their containers separately', async () => {
  const listed = await print(['pools', 'list']);
  assert.match(
    listed,
    /^POOL +SIZE +READY +TAKEN +APP +IMAGE +LAST ERROR\ndemo +2 +1 +7 +demo +fractal\/demo +no/,
  );
  assert.ok(!listed.includes('\u001b'));
  const asked: unknown[] = [];
  const words = ['--size', '2', '--max-age', '60', '--app', 'demo', '--env', 'A=b', '--memory', '1GiB'];
  await print(['pools', 'set', 'demo', 'fractal/demo', ...words], asked);
  const body = {
    image: 'fractal/demo',
    app: 'demo',
    environment: { A: 'b' },
    memory: 2 ** 30,
    size: 2,
    maxAge: 60,
  };
  assert.deepEqual(asked, [['PUT', { params: { path: { name: 'demo' } }, body }]]);
  assert.equal(await print(['pools', 'remove', 'demo']), 'The pool demo is removed; its containers end.\n');
  const lines = (await ps(api(), { state: undefined, app: undefined }, false)).trimEnd().split('\n');
  assert.deepEqual(
    lines.slice(1, 4).map((line) => line.includes('running (warm)')),
    [false, true, true],
  );
  assert.equal(lines[4], 'The pool demo has 2 of them, which wait for users.');
});

test('an invalid file of pools is refused with an error that says what to do', async (t) => {
  using directory = mkdtempDisposableSync('/tmp/pools-');
  const POOL_FILE = join(directory.path, 'pools.json');
  const lifetime = new Lifetime('test');
  t.after(() => lifetime.end());
  const settings = { POOL: POOL_FILE, ALLOWED_MOUNTS: [] };
  const keep = () => keepPools(lifetime, { settings, takesNew: true } as unknown as KeepPoolsOptions);
  const refused = async (text: string, why: RegExp) => {
    writeFileSync(POOL_FILE, text);
    await assert.rejects(keep(), { code: 'start.pools', message: why });
  };
  await assert.rejects(keep(), { message: /ENOENT.*correct the file, or set POOL=none/ });
  await refused('{"a": "secret', /it is not a JSON object with a field for each pool/);
  await refused('[]', /it is not a JSON object/);
  await refused('{"A b": {}}', /pool "A b": a name consists of small letters/);
  await refused('{"a": {"image": "x", "app": "y"}}', /pool "a": .*size/);
  await refused('{"a": {"image": "x", "app": "y", "size": 1, "startValues": {}}}', /pool "a": /);
  chmodSync(POOL_FILE, 0o666);
  await refused('{}', /users other than root can write to it; run "chown root"/);
});

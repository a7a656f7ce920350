import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SCHEMA } from '../../settings/schema.ts';
import { NODE_FLAGS } from '../support/node-flags.ts';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the README lists every setting that a person sets', () => {
  const setByMake = ['COMMIT'];
  const missing = Object.keys(SCHEMA).filter(
    (name) => !readme.includes(`\`${name}\``) && !setByMake.includes(name),
  );
  assert.deepEqual(missing, []);
});

test('what the README points to is there', () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path as string);
  assert.ok(links.length > 0);
  for (const path of links) assert.ok(readFileSync(join(ROOT, path)).length > 0, path);
});

test('make runs the service with the same flags for Node as the executable has', () => {
  assert.ok(
    readFileSync(join(ROOT, 'Makefile'), 'utf8').includes(` ${NODE_FLAGS.join(' ')} src/ecs-host-service.ts`),
  );
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

test("the API client's README shows the example that is tested", () => {
  assert.ok(read('README.md').includes(`\`\`\`ts\n${read('example/list.ts')}\`\`\`\n`));
});

/** The example of a panel in the README fits the console as it is. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const PACKAGE = join(import.meta.dirname, '..');

test("the README's example of a panel beside the terminal type-checks", async () => {
  const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
  const [component = '', row = ''] = [...readme.matchAll(/^```tsx?\n([\s\S]*?)^```$/gm)].map(
    ([, code]) => code,
  );
  assert.match(component, /export function Facts/);
  await using directory = await mkdtempDisposable(join(tmpdir(), 'panel-'));
  const imports = `import type { Panel } from "${PACKAGE}/src/panels.ts"; import { Facts } from "./facts.tsx";`;
  const files = {
    'facts.tsx': component.replaceAll("'../", `'${PACKAGE}/src/`),
    'panels.ts': `${imports}\n${row}`,
    'tsconfig.json': JSON.stringify({
      extends: join(PACKAGE, 'tsconfig.json'),
      compilerOptions: {
        typeRoots: [join(PACKAGE, '../../node_modules/@types')],
        paths: {
          'preact/*': [join(PACKAGE, '../../node_modules/preact/*')],
          'ecs-host-service-api-client': [join(PACKAGE, '../api-client/src/main.ts')],
        },
      },
      include: ['*.ts', '*.tsx'],
    }),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory.path, name), content);
  await promisify(execFile)('tsc', ['--project', directory.path]);
});

/** Files that can never be saved are kept for some hours, and no longer. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { countKept, keepFiles, removeKept } from '../../container/kept-files.ts';
import { pathsBelow } from '../../host/paths.ts';
import { createLogger } from '../../logging/logger.ts';

test('files that are too large to be saved stay for the configured hours, and are then removed', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'kept-'));
  t.after(() => rmSync(root, { recursive: true }));
  const paths = pathsBelow(root);
  const id = 'a'.repeat(60);
  const own = join(paths.containers, id);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'file'), 'of the user');
  const lines: string[] = [];
  const log = createLogger({ level: 'info', stream: { write: (line: string) => void lines.push(line) } });
  const began = 1_000_000;
  const path = await keepFiles(paths, id, own, began);
  const lookAt = (hours: number) =>
    removeKept({ paths, hours: 24, log, now: () => began + hours * 3_600_000 });
  await lookAt(23.9);
  assert.equal(existsSync(own), false);
  assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'of the user');
  assert.equal(await countKept(paths), 1);
  await lookAt(24);
  assert.deepEqual([existsSync(path), existsSync(paths.kept), await countKept(paths)], [false, false, 0]);
  assert.equal(lines.filter((line) => line.includes("removed a user's files")).length, 1);
  await lookAt(25);
});

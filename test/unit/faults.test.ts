/** Faults of the predecessor that belong to no single part of the service. */

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { createLogger } from '../../logging/logger.ts';
import { sameSecret } from '../../settings/secret.ts';

test('S4: secrets are compared in constant time, whatever their lengths', (t) => {
  const compare = t.mock.method(crypto, 'timingSafeEqual');
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  syncBuiltinESMExports();
  for (const guess of ['', 's', 'secret', 'x'.repeat(10_000)]) {
    assert.equal(sameSecret(guess, 'secret'), guess === 'secret');
  }
  const lengths = compare.mock.calls.map((call) => call.arguments.map(({ byteLength }) => byteLength));
  assert.deepEqual(lengths, Array(4).fill([32, 32]));
});

test('S18: a message is never used as a format string', () => {
  const hostile = '%s %d %i %f %j %o %O %c %% %';
  const written: string[] = [];
  const log = createLogger({
    level: 'info',
    stream: { write: (line) => written.push(line) },
  });
  log.info(hostile);
  log.info({ path: hostile }, hostile);
  const lines = written.map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [hostile, hostile],
  );
  assert.equal(lines[1].path, hostile);
});

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { KeptRegistration } from '../../host/kept-registration.ts';
import { createLogger } from '../../logging/logger.ts';

const REGISTRATION = { instanceId: 'i-0123', token: 'a-secret-token' };

function open(t: TestContext) {
  const state = mkdtempSync(join(tmpdir(), 'state-'));
  t.after(() => rmSync(state, { recursive: true }));
  const lines: string[] = [];
  const log = createLogger({ level: 'trace', stream: { write: (line) => void lines.push(line) } });
  const at = (webserver: string) => new KeptRegistration(state, webserver, log);
  return { state, lines, at, kept: at('https://webserver.test/') };
}

test('the token for the webserver is stored in a file that only root can read', async (t) => {
  const { state, kept } = open(t);
  assert.ok(!(await kept.exists()));
  await kept.write(REGISTRATION);
  assert.ok(await kept.exists());
  assert.deepEqual(await kept.read('i-0123'), REGISTRATION);
  const [name = ''] = readdirSync(state);
  assert.equal(statSync(join(state, name)).mode & 0o777, 0o600);
  await kept.forget();
  assert.deepEqual(readdirSync(state), []);
});

test('a token is sent only to the webserver that issued it', async (t) => {
  const { at, kept } = open(t);
  await kept.write(REGISTRATION);
  assert.equal(await at('https://other.test/').read('i-0123'), undefined);
});

for (const [what, content] of Object.entries({
  'text that is not JSON': 'a-secret-token',
  'JSON of another form': '{"token":"a-secret-token"}',
})) {
  test(`a file with ${what} is ignored, and a warning names it without its content`, async (t) => {
    const { state, lines, kept } = open(t);
    await kept.write(REGISTRATION);
    writeFileSync(join(state, 'webserver-registration.json'), content);
    assert.equal(await kept.read('i-0123'), undefined);
    assert.match(lines.join(''), /webserver-registration\.json.* cannot be read/);
    assert.doesNotMatch(lines.join(''), /a-secret-token/);
  });
}

test('a token that cannot be stored causes a warning', async (t) => {
  const { state, lines, kept } = open(t);
  rmSync(state, { recursive: true });
  await kept.write(REGISTRATION);
  assert.match(lines.join(''), /cannot be written/);
  writeFileSync(state, '');
});

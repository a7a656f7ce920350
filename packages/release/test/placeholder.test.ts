import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIdentity } from '../src/entrypoint/identity.ts';
import { identityProblems, problemsOf } from '../src/verify/secrets.ts';

test('verify finds each placeholder with which the entry point would not start a program', () => {
  for (const text of [
    'XXX: ENTER VALUE',
    'TODO ask',
    'FIXME',
    '{{ password }}',
    'replace-me',
    'tbd',
    ' <x> ',
  ]) {
    const secret = JSON.stringify({ KEY: text });
    assert.throws(() => parseIdentity(secret, 'app', new Set()), { problem: 'placeholders' }, text);
    assert.deepEqual(identityProblems(secret), ['the key KEY is a placeholder'], text);
    assert.deepEqual(problemsOf(secret, ['KEY']), ['the key KEY is empty, or a placeholder'], text);
  }
  for (const text of ['hunter2', 'xx', 'a todo', '<a><b>']) {
    const secret = JSON.stringify({ KEY: text });
    assert.deepEqual(parseIdentity(secret, 'app', new Set()), { KEY: text });
    assert.deepEqual([...identityProblems(secret), ...problemsOf(secret, ['KEY'])], [], text);
  }
});

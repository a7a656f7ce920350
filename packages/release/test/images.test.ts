import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildWords } from '../src/images/build-words.ts';
import { partsOf, problemsOf } from '../src/verify/secrets.ts';

test('a build gets its arguments, limits and tags, and only the names of secrets', () => {
  const words = buildWords(
    'server',
    {
      repository: 'server',
      context: '.',
      dockerfile: 'deploy/Dockerfile',
      arguments: { ENV: 'staging' },
      secrets: { npm: { env: 'NPM_TOKEN' }, key: { file: '/key' } },
      target: 'web',
      platform: 'linux/amd64',
      memory: '3072m',
      cache: false,
    },
    ['r/server:one', 'r/server:latest'],
  );
  assert.equal(
    words.join(' '),
    'build --file deploy/Dockerfile --build-arg ENV=staging --secret id=npm,env=NPM_TOKEN --secret id=key,src=/key --target web --platform linux/amd64 --memory 3072m --no-cache --tag r/server:one --tag r/server:latest .',
  );
});

test('a secret is checked by its keys, and no value is shown', () => {
  const text = JSON.stringify({ GOOD: 'hunter2', EMPTY: '', PLACE: 'CHANGE_ME', NOTHING: null });
  const problems = problemsOf(text, ['GOOD', 'EMPTY', 'PLACE', 'NOTHING', 'ABSENT']);
  assert.deepEqual(problems, [
    'the key EMPTY is empty, or a placeholder',
    'the key PLACE is empty, or a placeholder',
    'the key NOTHING is empty, or a placeholder',
    'the key ABSENT is missing',
  ]);
  assert.deepEqual(problemsOf('hunter2', ['A']), ['it is not JSON']);
  assert.deepEqual(problemsOf('["hunter2"]', ['A']), ['it is not one JSON object']);
  assert.deepEqual(problemsOf('hunter2', ['']), []);
});

test('a reference to a secret is parsed, and a reference to a parameter does not count as one', () => {
  const secret = 'arn:aws:secretsmanager:us-east-1:1:secret:config-AbCdEf';
  assert.deepEqual(partsOf(`${secret}:KEY::`), { secret, key: 'KEY' });
  assert.deepEqual(partsOf(secret), { secret, key: '' });
  assert.equal(partsOf('arn:aws:ssm:us-east-1:1:parameter/x'), undefined);
});

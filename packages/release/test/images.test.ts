import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildWords } from '../src/images/build-words.ts';
import { knownErrorsIn } from '../src/verify/known-errors.ts';
import { expiring } from '../src/verify/lifecycle.ts';
import { partsOf, problemsOf } from '../src/verify/secrets.ts';

test('a build has its arguments, limits and tags, and of secrets the names only', () => {
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

test('a secret is judged by its keys, and no value is shown', () => {
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

test('a reference to a secret is taken apart, and one to a parameter is none', () => {
  const secret = 'arn:aws:secretsmanager:us-east-1:1:secret:config-AbCdEf';
  assert.deepEqual(partsOf(`${secret}:KEY::`), { secret, key: 'KEY' });
  assert.deepEqual(partsOf(secret), { secret, key: '' });
  assert.equal(partsOf('arn:aws:ssm:us-east-1:1:parameter/x'), undefined);
});

test('a lifecycle policy that removes an image in use is found, by age and by count', () => {
  const day = (n: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + n * 86_400_000);
  const images = [
    { imageDigest: 'sha256:a', imageTags: ['prod-1'], imagePushedAt: day(0) },
    { imageDigest: 'sha256:b', imageTags: ['staging-1'], imagePushedAt: day(1) },
    { imageDigest: 'sha256:c', imagePushedAt: day(2) },
  ];
  const rule = (rulePriority: number, selection: object) => ({ rulePriority, selection });
  const policy = JSON.stringify({
    rules: [
      rule(1, {
        tagStatus: 'tagged',
        tagPrefixList: ['prod'],
        countType: 'sinceImagePushed',
        countUnit: 'days',
        countNumber: 180,
      }),
      rule(2, { tagStatus: 'untagged', countType: 'imageCountMoreThan', countNumber: 1 }),
    ],
  });
  assert.deepEqual(expiring(policy, images, new Set(['sha256:a', 'sha256:b'])), [
    'rule 1 removes sha256:a 180 days after it was pushed, which is 2026-06-30',
  ]);
  assert.match(
    expiring(policy, images, new Set(['sha256:c']))[0] ?? '',
    /rule 2 removes sha256:c when 1 newer/,
  );
});

test('common errors are known by their causes', () => {
  for (const [error, cause] of [
    [
      'denied: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload on resource: r',
      /another account/,
    ],
    ['Could not resolve entrypoint! Check that $application_type is set.', /"kind"/],
    ['no basic auth credentials', /ecs-release login/],
    ['ResourceInitializationError: unable to pull secrets or registry auth', /secretsmanager:GetSecretValue/],
    ['CannotPullContainerError: manifest unknown', /lifecycle policy/],
  ] as const)
    assert.match(
      knownErrorsIn(error)
        .flatMap(({ causes }) => causes)
        .join('\n'),
      cause,
      error,
    );
  assert.deepEqual(knownErrorsIn('all is well'), []);
});

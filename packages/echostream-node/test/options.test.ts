import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppNode } from '../src/app-node.ts';
import { ChangeReceiver } from '../src/change-receiver.ts';
import { LambdaNode } from '../src/lambda-node.ts';
import { IDENTITY, type NodeOptions, Problems, resolveNodeOptions } from '../src/options.ts';

const ENVIRONMENT = {
  APPSYNC_ENDPOINT: 'https://api.example.com/graphql',
  CLIENT_ID: 'client',
  NODE: 'my node',
  PASSWORD: 'secret password',
  TENANT: 'tenant',
  USER_NAME: 'user',
  USER_POOL_ID: 'us-east-1_abc',
};

/** The text of the error that these options cause. */
function problemOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'OPTIONS_INVALID');
    return (error as Error).message;
  }
  return '';
}

test('a node takes its identity from its environment', () => {
  const { name, username, userPoolId, bulkDataAcceleration } = resolveNodeOptions({}, ENVIRONMENT);
  assert.deepEqual(
    [name, username, userPoolId, bulkDataAcceleration],
    ['my node', 'user', 'us-east-1_abc', false],
  );
});

test('an option overrides the environment', () => {
  assert.equal(resolveNodeOptions({ name: 'other' }, ENVIRONMENT).name, 'other');
});

test('one error lists all missing options with their variables', () => {
  const problem = problemOf(() => resolveNodeOptions({}, { NODE: '', PASSWORD: 'secret password' }));
  for (const [option, variable] of Object.entries(IDENTITY)) {
    const expected = option !== 'password';
    assert.equal(
      problem.includes(`${option} is missing; give the option or set ${variable}`),
      expected,
      option,
    );
  }
});

test('an unencrypted endpoint is refused, unless it is on this host', () => {
  const endpoint = (appsyncEndpoint: string): string =>
    problemOf(() => resolveNodeOptions({ appsyncEndpoint }, ENVIRONMENT));
  for (const url of ['http://api.example.com/', 'ftp://localhost/', 'no url'])
    assert.match(endpoint(url), /https URL/);
  for (const url of ['http://127.0.0.1:4566/', 'https://api.example.com/']) assert.equal(endpoint(url), '');
});

test('the error names each option of a wrong type or size, and shows no value', () => {
  const wrong = {
    userPoolId: 'secret password',
    username: 7,
    bulkDataAcceleration: 'yes',
    auditors: { text: 'secret password' },
  };
  const problem = problemOf(() => resolveNodeOptions(wrong as unknown as NodeOptions, ENVIRONMENT));
  for (const option of ['userPoolId', 'username', 'bulkDataAcceleration', 'auditors.text']) {
    assert.match(problem, new RegExp(`${option} must`));
  }
  assert.doesNotMatch(problem, /secret/);
});

for (const [option, values] of Object.entries({
  concurrency: [0, 1.5, 1001, '2'],
  messageTimeout: [0, Number.NaN],
  visibilityTimeout: [2, 43_201],
  maxReceives: [0],
  stopTimeout: [-1],
  backoff: [-1, 'soon', 43_201],
})) {
  test(`the option ${option} of an AppNode must be a whole number within its limits`, () => {
    for (const value of values) {
      assert.match(
        problemOf(() => new AppNode({ [option]: value })),
        new RegExp(`${option} must`),
      );
    }
  });
}

test('the signals of an AppNode must be ones that a program can handle', () => {
  for (const signals of ['SIGTERM', ['SIGTERM', 'SIGKILL'], ['SIGNONE'], [15]]) {
    assert.match(
      problemOf(() => new AppNode({ signals } as never)),
      /signals must be a list of signals/,
    );
  }
  assert.doesNotMatch(
    problemOf(() => new AppNode({ signals: ['SIGTERM', 'SIGUSR2'] })),
    /signals/,
  );
});

test('a logger must have all functions of a logger', () => {
  for (const logger of [null, {}, { debug() {}, info() {}, warn() {} }]) {
    assert.match(
      problemOf(() => resolveNodeOptions({ logger } as never, ENVIRONMENT)),
      /logger must have the functions debug, info, warn, error/,
    );
  }
  assert.equal(resolveNodeOptions({ logger: console }, ENVIRONMENT).logger, console);
});

test('one error lists the invalid options of a LambdaNode together with those common to all nodes', () => {
  const wrong = { concurrency: -1, reportBatchItemFailures: 1, appsyncEndpoint: 'no url' };
  const problem = problemOf(() => new LambdaNode(wrong as never));
  assert.match(problem, /concurrency must.*reportBatchItemFailures must.*appsyncEndpoint must/);
});

test('a ChangeReceiver takes its name from the app', () => {
  assert.match(
    problemOf(() => new ChangeReceiver({ concurrency: 0 })),
    /app is missing; give the option or set APP; concurrency must.*password is missing/,
  );
  const identity: NodeOptions = { ...resolveNodeOptions({}, ENVIRONMENT), auditors: {} };
  const { name: _, ...unnamed } = identity as NodeOptions & { name: string };
  assert.equal(new ChangeReceiver({ ...unnamed, app: 'my app' }).name, 'my app:Change Receiver');
});

test('problems that a subclass finds are thrown together with the others', () => {
  const problems = new Problems();
  problems.add('colour', 'must be blue');
  assert.match(
    problemOf(() => resolveNodeOptions({}, ENVIRONMENT, problems)),
    /colour must be blue/,
  );
});

/** The work of ecs-entrypoint before the program starts, with a simulated Secrets Manager. */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import fc from 'fast-check';
import { EntryError, EXIT_CODES } from '../../src/entrypoint/entry-error.ts';
import { findProgram } from '../../src/entrypoint/find-program.ts';
import { parseIdentity } from '../../src/entrypoint/identity.ts';
import { prepare } from '../../src/entrypoint/prepare.ts';
import { fillTemplate } from '../../src/entrypoint/template.ts';
import { JsonAws, Refusal } from '../support/json-aws.ts';

const HIDDEN = 'hunter2-hunter2';
const none = new Set<string>();
/** A place in a template. */
const place = (name: string) => `\${${name}}`;

interface World extends AsyncDisposable {
  readonly aws: JsonAws;
  readonly directory: string;
  readonly regions: string[];
  start(environment: Readonly<Record<string, string>>, ...moreWords: string[]): ReturnType<typeof prepare>;
}

/** A table, a secret (or a refusal), and a directory with a program and a template. */
async function world(secret: string | Refusal, table?: string): Promise<World> {
  const [aws, directory] = [await JsonAws.start(), mkdtempSync(join(tmpdir(), 'entrypoint-'))];
  aws.actions = {
    GetSecretValue: () => {
      if (secret instanceof Refusal) throw secret;
      return { SecretString: secret };
    },
  };
  writeFileSync(join(directory, 'program'), '#!/bin/sh\n');
  chmodSync(join(directory, 'program'), 0o755);
  writeFileSync(
    join(directory, 'app.ini.tpl'),
    `password = ${place('PASSWORD')}\nhome = ${place('HOME')}\nprice = 5$$\n`,
  );
  const places = { from: join(directory, 'app.ini.tpl'), to: join(directory, 'app.ini') };
  const rows = {
    portal: { command: ['program', '--portal'] },
    indexer: { command: [join(directory, 'program')], templates: [places] },
    plain: { command: ['program'], identity: false },
    broken: { command: ['no-such-program'] },
  };
  writeFileSync(
    join(directory, 'table.yaml'),
    table ?? JSON.stringify({ mayBeEmpty: ['NOTHING'], programs: rows }),
  );
  const regions: string[] = [];
  return {
    ...{ aws, directory, regions },
    start: (environment, ...moreWords) =>
      prepare({
        environment: {
          PATH: directory,
          HOME: '/home/app',
          AWS_REGION: 'eu-west-1',
          IDENTITY: 'app',
          ...environment,
        },
        ...{ table: join(directory, 'table.yaml'), moreWords, signal: new AbortController().signal },
        connect: (region) => {
          regions.push(region);
          return new SecretsManagerClient({ ...aws.settings, region });
        },
      }),
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true });
      await aws[Symbol.asyncDispose]();
    },
  };
}

const secret = JSON.stringify({ PASSWORD: HIDDEN, PORT: 8080, NOTHING: '', HOME: '/srv' });
const type = (application_type: string) => ({ application_type });

test('the program that application_type selects gets the values of the secret in its environment', async () => {
  await using there = await world(secret);
  const { file, words, environment } = await there.start(type('portal'), '--more');
  assert.equal(file, join(there.directory, 'program'));
  assert.deepEqual(words, ['program', '--portal', '--more']);
  const { PASSWORD, PORT, NOTHING, HOME, IDENTITY } = environment;
  assert.deepEqual([PASSWORD, PORT, NOTHING, HOME, IDENTITY], [HIDDEN, '8080', '', '/srv', 'app']);
  assert.deepEqual(
    there.aws.calls.map(({ body }) => body),
    [{ SecretId: 'app' }],
  );
});

test('a template is filled with the values in a file that only the program can read, and the environment does not get them', async () => {
  await using there = await world(secret);
  const { environment } = await there.start(type('indexer'));
  const file = join(there.directory, 'app.ini');
  assert.equal(readFileSync(file, 'utf8'), `password = ${HIDDEN}\nhome = /srv\nprice = 5$\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(environment.PASSWORD, undefined);
  assert.equal(environment.HOME, '/home/app');
});

test('a program that needs no identity starts without one', async () => {
  await using there = await world(new Refusal('AccessDeniedException'));
  await there.start({ ...type('plain'), IDENTITY: '' });
  assert.deepEqual(there.aws.calls, []);
});

test('the region comes from the ARN, the environment, or the task, in this order', async () => {
  await using there = await world(secret);
  await there.start({ ...type('portal'), IDENTITY: 'arn:aws:secretsmanager:ap-south-1:1:secret:app-AbCdEf' });
  await there.start(type('portal'));
  await there.start({ ...type('portal'), AWS_REGION: '', AWS_DEFAULT_REGION: 'us-west-2' });
  assert.deepEqual(there.regions, ['ap-south-1', 'eu-west-1', 'us-west-2']);
  const metadata = there.aws.settings.endpoint;
  there.aws.actions = {
    ...there.aws.actions,
    undefined: () => ({ TaskARN: 'arn:aws:ecs:ca-central-1:1:task/c/1' }),
  };
  await there.start({ ...type('portal'), AWS_REGION: '', ECS_CONTAINER_METADATA_URI_V4: `${metadata}/v4/x` });
  assert.equal(there.regions[3], 'ca-central-1');
});

const failures: readonly [
  string,
  keyof typeof EXIT_CODES,
  RegExp,
  string | Refusal,
  Record<string, string>?,
][] = [
  [
    'application_type is unset',
    'type unset',
    /set it in the task definition to one of portal, indexer/,
    secret,
    {},
  ],
  [
    'application_type is unknown',
    'type unknown',
    /"portall", which is not in .*portal/,
    secret,
    type('portall'),
  ],
  [
    'the program is not in the image',
    'program missing',
    /no-such-program cannot be run/,
    secret,
    type('broken'),
  ],
  [
    'IDENTITY is unset',
    'identity unset',
    /set it in the task definition/,
    secret,
    { ...type('portal'), IDENTITY: '' },
  ],
  ['no region is known', 'region unknown', /set AWS_REGION/, secret, { ...type('portal'), AWS_REGION: '' }],
  [
    'there is no such secret',
    'secret missing',
    /has no secret app in eu-west-1/,
    new Refusal('ResourceNotFoundException'),
  ],
  [
    'the secret is to be deleted',
    'secret missing',
    /marked for deletion/,
    new Refusal('InvalidRequestException'),
  ],
  [
    'access is denied',
    'access denied',
    /allow the task role .*GetSecretValue/,
    new Refusal('AccessDeniedException'),
  ],
  ['decryption fails', 'decryption failed', /kms:Decrypt/, new Refusal('DecryptionFailure')],
  ['Secrets Manager fails', 'secrets manager', /start the task again/, new Refusal('InternalServiceError')],
  ['the secret is not JSON', 'not JSON', /is not JSON/, `{"PASSWORD": ${HIDDEN}`],
  ['the secret is a list', 'not a dictionary', /but not an object/, `["${HIDDEN}"]`],
  ['the secret has no key', 'not a dictionary', /is an empty object/, '{}'],
  ['a value is not text', 'not a dictionary', /"LIST", "MAP"/, `{"A": "${HIDDEN}", "LIST": [], "MAP": {}}`],
  ['a key is not a valid variable name', 'not a dictionary', /"A B"/, `{"A B": "${HIDDEN}"}`],
  [
    'values were not filled in',
    'placeholders',
    /: "KEY", "URL";/,
    `{"PASSWORD": "${HIDDEN}", "KEY": "", "URL": "XXX: ENTER VALUE"}`,
  ],
  [
    'a template has more than the secret',
    'template',
    /uses names that are neither .*: PASSWORD/,
    '{"A": "b"}',
    type('indexer'),
  ],
];

for (const [what, problem, message, answer, environment = type('portal')] of failures)
  test(`when ${what}, the error says what to do, and nothing starts`, async () => {
    await using there = await world(answer);
    const failure = await there.start(environment).then(
      () => assert.fail('it started'),
      (error: unknown) => error,
    );
    assert.ok(failure instanceof EntryError, String(failure));
    assert.equal(failure.problem, problem);
    assert.match(failure.message, message);
    assert.ok(!failure.message.includes(HIDDEN));
    assert.deepEqual(
      readdirSync(there.directory).filter((name) => name.startsWith('app.ini') && name !== 'app.ini.tpl'),
      [],
    );
  });

test('a program that the kernel cannot run is reported before it is executed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'programs-'));
  const program = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o755 });
  program('text', 'echo no first line\n');
  program('gone', '#!/no/such/interpreter -x\n');
  program('script', '#! /bin/sh -e\n');
  assert.throws(
    () => findProgram('text', directory),
    /text cannot be run: it is neither a program nor a script/,
  );
  assert.throws(
    () => findProgram('gone', directory),
    /first line names \/no\/such\/interpreter, which does not exist/,
  );
  assert.equal(findProgram('script', `/nowhere:${directory}`), join(directory, 'script'));
  assert.equal(findProgram(process.execPath), process.execPath);
  rmSync(directory, { recursive: true });
});

test('the error for an invalid table of programs says where it is wrong', async () => {
  const tables: readonly [string, RegExp][] = [
    ['[', /neither YAML nor JSON/],
    ['programs: {}', /has no program/],
    ['programs: { a: { command: x } }', /command for a that is not a list/],
    ['programs: { a: { command: [x], template: [] } }', /unknown key "template" in a/],
    ['programs: { a: { command: [x], templates: [{ from: y }] } }', /template for a that is not/],
  ];
  for (const [table, message] of tables) {
    await using there = await world(secret, table);
    await assert.rejects(there.start(type('a')), { problem: 'table', message });
  }
});

test('each problem has its own exit code', () => {
  const codes = Object.values(EXIT_CODES);
  assert.equal(new Set(codes).size, codes.length);
  assert.ok(codes.every((code) => code > 2 && code < 126));
});

test('no error message contains a value of the secret', () => {
  const value = fc
    .oneof(fc.constant(''), fc.constant('XXX'), fc.json(), fc.string())
    .map((text) => `${text}${HIDDEN}`);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.dictionary(fc.constantFrom('A', 'B C', '9'), value).map((map) => JSON.stringify(map)),
        value,
      ),
      (text) => {
        try {
          parseIdentity(text, 'app', none);
        } catch (error) {
          assert.ok(error instanceof EntryError && !error.message.includes(HIDDEN));
        }
      },
    ),
  );
});

test('a value that looks like a placeholder is not replaced again', () => {
  assert.equal(
    fillTemplate(`a ${place('A')} $$ $ $1`, { A: `${place('B')} $$` }, 't'),
    `a ${place('B')} $$ $ $ $1`,
  );
});

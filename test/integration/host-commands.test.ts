/** An operator's commands on a host: what the host lacks, and how it is configured. */

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { OWN_SECRET, SENTRY_KEY } from '../support/secrets.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());

interface Answer {
  readonly code: number | string;
  readonly text: string;
}

/** Runs a command like an operator in a root shell, where no setting is given except the locations of the files. */
async function ask(root: string, ...words: string[]): Promise<Answer> {
  const program = host.start({ env: { ROOT: root, APP_ENV: '' }, arguments: words });
  const code = await program.ended();
  return { code, text: program.log() };
}

/** The settings of an installed service. */
function install(root: string, lines: readonly string[]): void {
  const directory = join(root, 'etc/ecs-host-service');
  mkdirSync(join(directory, 'credentials'), { recursive: true });
  writeFileSync(join(directory, 'environment'), `${lines.join('\n')}\n`, { mode: 0o600 });
  const secret = join(directory, 'credentials/WEBSERVER_AUTH_SECRET');
  writeFileSync(secret, `${OWN_SECRET}\n`);
  chmodSync(secret, 0o600);
}

const SOUND = [
  ...['# Of a host.', '; APP_ENV=production', 'APP_ENV=dev'],
  ...['WEBSERVER_URL="https://webserver.test/#there"', 'USE_PROD_LOGGING=no'],
];

test('the settings of the installed service are shown with their origins, and without secrets', async () => {
  const root = host.newRoot();
  install(root, [...SOUND, `SENTRY_DSN=https://${SENTRY_KEY}@sentry.test/1`]);
  const { code, text } = await ask(root, 'settings', '--json');
  assert.equal(code, 0, text);
  const settings: { readonly name: string }[] = JSON.parse(text);
  const about = (name: string) => {
    const {
      meaning,
      default: _,
      ...rest
    } = settings.find((one) => one.name === name) as Record<string, string>;
    assert.ok(meaning);
    return rest;
  };
  assert.deepEqual(about('APP_ENV'), { name: 'APP_ENV', value: 'dev', source: 'environment' });
  const url = { name: 'WEBSERVER_URL', value: 'https://webserver.test/#there', source: 'environment' };
  assert.deepEqual(about('WEBSERVER_URL'), url);
  assert.deepEqual(about('LISTEN_ADDRESS'), { name: 'LISTEN_ADDRESS', value: '0.0.0.0', source: 'default' });
  assert.deepEqual(about('SENTRY_DSN'), { name: 'SENTRY_DSN', value: '[secret]', source: 'environment' });
  assert.deepEqual(about('WEBSERVER_AUTH_SECRET'), {
    name: 'WEBSERVER_AUTH_SECRET',
    value: '[secret]',
    source: join(root, 'etc/ecs-host-service/credentials/WEBSERVER_AUTH_SECRET'),
  });
  const forPeople = (await ask(root, 'settings')).text;
  assert.match(forPeople, /^APP_ENV +dev +environment\n {4}The environment: .* Default: must be given\.$/m);
  for (const secret of [OWN_SECRET, SENTRY_KEY]) assert.ok(!(text + forPeople).includes(secret));
});

test('doctor names what the host and its settings lack, and what to do', async () => {
  const root = host.newRoot();
  install(root, ['APP_ENV=dev', 'LISTEN_PORT=0']);
  const { code, text } = await ask(root, 'doctor');
  assert.equal(code, 1);
  const problems = [
    /^error +settings +LISTEN_PORT: must be a port from 1 to 65535; got "0"\n +→ run "ecs-host-service settings"/m,
    /^error +settings +WEBSERVER_URL: must be given/m,
    ...(existsSync('/dev/uinput')
      ? []
      : [/^error +uinput +there is no \/dev\/uinput; run "modprobe uinput"\n +→ .*INPUT_DEVICES=optional/m]),
    /^ok +docker +20\.|^ok +docker +2\d\./m,
    /^ok +run directory +.*\/run is a tmpfs$/m,
    /^warning +metadata guard/m,
    /^the ECS agent does not answer/m,
  ];
  for (const problem of problems) assert.match(text, problem);
});

test('on request, doctor checks only the host, not the settings, and prints JSON', async () => {
  const { code, text } = await ask(host.newRoot(), 'doctor', '--host', '--json');
  const { findings, agent } = JSON.parse(text) as {
    findings: { check: string; grade: string; advice?: string }[];
    agent: string[];
  };
  assert.deepEqual(agent, []);
  assert.ok(!findings.some(({ check }) => check === 'settings'));
  const errors = findings.filter(({ grade }) => grade === 'error');
  assert.equal(code, errors.length > 0 ? 1 : 0);
  assert.ok(findings.every(({ grade, advice }) => (grade === 'ok') === (advice === undefined)));
});

test('a host without Docker is distinguished from a healthy one', async () => {
  const root = host.newRoot();
  install(root, [...SOUND, 'DOCKER_HOST=unix:///run/test/nobody.sock']);
  const { code, text } = await ask(root, 'doctor');
  assert.equal(code, 1);
  assert.match(text, /^error +docker +Docker does not answer at \/run\/test\/nobody\.sock/m);
  assert.match(text, /^ok +settings +all are valid$/m);
});

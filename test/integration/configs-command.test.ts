/** The commands for stored configs, as an operator runs them. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openConfigHost } from '../support/config-host.ts';
import { SECRET } from '../support/secrets.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const never = new AbortController().signal;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function open(t: TestContext) {
  const { s3, host } = await openConfigHost(t);
  const run = (words: readonly string[], settings: NodeJS.ProcessEnv = s3.settings) =>
    new Promise<Ran>((resolve) => {
      const env = {
        PATH: process.env.PATH,
        APP_ENV: 'dev',
        WEBSERVER_AUTH_SECRET: SECRET,
        AWS_EC2_METADATA_DISABLED: 'true',
        ...settings,
      };
      execFile(process.execPath, [PROGRAM, ...words], { env }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
  /** A session that leaves a file with this text. */
  const leave = async (text: string) => {
    const container = await host.begin();
    container.write({ file: text });
    await container.session.save(never);
    await host.arrived();
  };
  const find = async () => {
    const { files } = await host.begin();
    return readdirSync(files).length > 0 ? readFileSync(join(files, 'file'), 'utf8') : undefined;
  };
  return { s3, host, run, leave, find };
}

/** The first words of the rows. */
function versionsIn(table: string): string[] {
  return table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(' ')[0] as string);
}

test('configs list shows the latest save first, and configs restore restores an earlier version', async (t) => {
  const { s3, run, leave, find } = await open(t);
  await leave('first');
  await leave('second');
  const { code, stdout } = await run(['configs', 'list', 'user', 'app']);
  assert.equal(code, 0);
  const [head, latest, first] = stdout.split('\n') as [string, string, string];
  assert.match(head, /^version +stored +bytes +what$/);
  assert.match(
    latest,
    /^\d{8}T\d{6}Z-[0-9a-f]{16}-1 +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ +\d+ +all files, current$/,
  );
  assert.match(first, / all files$/);
  const [, earlier] = versionsIn(stdout) as [string, string];
  const restored = await run(['configs', 'restore', 'user', 'app', earlier]);
  assert.deepEqual([restored.code, restored.stderr], [0, '']);
  assert.match(restored.stdout, /The next container of user "user", app "app", starts with /);
  assert.equal(await find(), 'first');
  const without = await run(['configs', 'restore', 'user', 'app', latest.split(' ')[0] as string], {
    ...s3.settings,
    WEBSERVER_AUTH_SECRET: '',
  });
  assert.equal(without.code, 1);
  assert.match(without.stderr, /WEBSERVER_AUTH_SECRET: must be given/, 'hosts would report it as a rollback');
});

test('changes and saves that were set aside can be restored', async (t) => {
  const { s3, host, run, leave, find } = await open(t);
  await leave('first');
  await s3.turn('deny', { only: ['GetObject'] });
  const aside = await host.begin();
  await s3.turn('none');
  aside.write({ file: 'made aside' });
  await aside.session.checkpoint(never);
  aside.write({ file: 'changed aside' });
  await aside.session.checkpoint(never);
  await host.arrived();
  const { stdout } = await run(['configs', 'list', 'user', 'app']);
  const word = versionsIn(stdout).find((one) => one.startsWith('aside/') && one.includes('+'));
  assert.match(stdout, /changes, kept aside$/m);
  assert.equal((await run(['configs', 'restore', 'user', 'app', word as string])).code, 0);
  assert.equal(await find(), 'changed aside');
});

test('a container that was in use during a restore does not replace the restored version', async (t) => {
  const { host, run, leave, find } = await open(t);
  await leave('first');
  await leave('second');
  const used = await host.begin();
  const [, earlier] = versionsIn((await run(['configs', 'list', 'user', 'app'])).stdout) as [string, string];
  await run(['configs', 'restore', 'user', 'app', earlier]);
  used.write({ file: 'third' });
  await used.session.save(never);
  await host.arrived();
  assert.equal(await find(), 'first');
});

test('for a missing version, an unreachable store and a missing setting, the error says what to do', async (t) => {
  const { s3, run } = await open(t);
  const list = ['configs', 'list', 'user', 'app'];
  assert.match((await run(list)).stdout, /^Nothing is stored for user "user", app "app"/);
  const unknown = await run(['configs', 'restore', 'user', 'app', 'v1']);
  assert.deepEqual([unknown.code, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /there is no stored version v1; "configs list" shows the stored versions/);
  assert.match(
    (await run(list, { ...s3.settings, USER_CONFIG_BUCKET: 'none' })).stderr,
    /USER_CONFIG_BUCKET: must be given/,
  );
  assert.match(
    (await run(list, { ...s3.settings, AWS_REGION: 'mars' })).stderr,
    /AWS_REGION: must be a region/,
  );
  await s3.turn('deny');
  const denied = await run(list);
  assert.deepEqual([denied.code, denied.stdout], [1, '']);
  assert.match(denied.stderr, /could not list its objects: .*check that this host can reach S3/);
});

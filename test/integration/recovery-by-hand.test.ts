/** A person with docs/user-config-format.md, a token and the bucket recovers the files with the commands of that page only. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openConfigHost } from '../support/config-host.ts';
import type { S3 } from '../support/s3.ts';
import { TOKEN } from '../support/secrets.ts';

const never = new AbortController().signal;
const PAGE = readFileSync(join(import.meta.dirname, '../../docs/user-config-format.md'), 'utf8');
const NOBODY = 65_534;

/** The commands in a section of the page. */
function commandsIn(title: string): string {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(title)) ?? '';
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map(([, commands]) => commands).join('\n');
}

const SCRIPTS = [...PAGE.matchAll(/Save this as `([\w.-]+)`.*?```js\n(.*?)```/gs)];

/** Plays AWS's command `s3 cp` for a bucket that is a directory. */
const AWS = `#!/bin/bash
[ "$1 $2" = "s3 cp" ] && shift 2
[ "$1" != --recursive ] || shift
cp --recursive "$BUCKETS/\${1#s3://}" "$2"
`;

interface Whose {
  readonly user: string;
  readonly app: string;
}

/** An ordinary user follows the page in an empty directory. @returns that directory */
async function recover(t: TestContext, s3: S3, { user, app }: Whose, commands: string): Promise<string> {
  const desk = mkdtempSync(join(tmpdir(), 'by-hand-'));
  t.after(() => rmSync(desk, { recursive: true }));
  const [own, bucket] = [join(desk, 'own'), join(desk, 'buckets', s3.bucket)];
  for (const key of await s3.keys()) {
    mkdirSync(dirname(join(bucket, key)), { recursive: true });
    writeFileSync(join(bucket, key), await s3.read(key));
  }
  mkdirSync(own);
  for (const [, name = '', text = ''] of SCRIPTS) writeFileSync(join(own, name), text);
  writeFileSync(join(desk, 'aws'), AWS, { mode: 0o755 });
  chownSync(own, NOBODY, NOBODY);
  chmodSync(desk, 0o755);
  const words = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'bash', '-e', '-c', commands];
  const names = { BUCKET: s3.bucket, USER_ID: user, APP: app, BUCKETS: join(desk, 'buckets') };
  const env = { PATH: `${desk}:${dirname(process.execPath)}:${process.env.PATH}`, ...names, TOKEN };
  execFileSync('setpriv', words, {
    cwd: own,
    env,
    input: `${TOKEN}\n`,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  return own;
}

for (const whose of [
  { user: 'user@example.com', app: 'browsers/chrome' },
  { user: '.ünï "x"\\ \n', app: `~${'a/'.repeat(200)}` },
]) {
  test(`with the page and the token, the files of ${JSON.stringify(whose.user)} can be recovered by hand`, async (t) => {
    const { s3, host } = await openConfigHost(t);
    const container = await host.begin({ userId: whose.user, appName: whose.app });
    mkdirSync(join(container.files, 'profile'));
    const large = Buffer.alloc(2 ** 20, 'large ');
    container.write({ large, 'profile/a': 'first', 'profile/b': 'goes', 'profile/c': 'becomes a link' });
    await host.tick();
    await container.session.checkpoint(never);
    await host.arrived();
    const base = await recover(t, s3, whose, commandsIn('Recovering files by hand'));
    execFileSync('diff', ['-r', '--no-dereference', container.files, join(base, 'recovered/tree')]);
    assert.ok(!readdirSync(base).includes('changes.age'));

    for (const name of ['profile/b', 'profile/c']) rmSync(join(container.files, name));
    symlinkSync('a', join(container.files, 'profile/c'));
    container.write({ 'profile/a': 'second', new: '' });
    await container.session.checkpoint(never);
    await host.arrived();
    const changed = await recover(t, s3, whose, commandsIn('Recovering files by hand'));
    assert.ok(readdirSync(changed).includes('changes.age'));
    execFileSync('diff', ['-r', '--no-dereference', container.files, join(changed, 'recovered/tree')]);
  });
}

test("files in the predecessor's format can be recovered by hand too", async (t) => {
  const { s3 } = await openConfigHost(t);
  const files = mkdtempSync(join(tmpdir(), 'old-'));
  t.after(() => rmSync(files, { recursive: true }));
  writeFileSync(join(files, 'a'), 'old');
  const command = `tar -C ${files} -cf - . | lz4 -q -c | openssl enc -aes-256-cbc -pbkdf2 -pass env:TOKEN`;
  const old = execFileSync('bash', ['-c', command], { env: { PATH: process.env.PATH, TOKEN } });
  await s3.write('user@example.com/browsers/chrome/fractal-app-config.tar.lz4.enc', old);
  const whose = { user: 'user@example.com', app: 'browsers/chrome' };
  const own = await recover(t, s3, whose, commandsIn('The format of the predecessor'));
  execFileSync('diff', ['-r', files, join(own, 'recovered')]);
});

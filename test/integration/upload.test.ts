import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { S3 } from '../support/s3.ts';

const UPLOAD = join(import.meta.dirname, '../../scripts/upload.ts');
const TARBALL = 'ecs-host-service-0.1.0-linux-x64.tar.gz';
/** Bytes, for more than one part. */
const LENGTH = 12_000_000;

let s3: S3;
let checkout = '';
let commit = '';
const executable = randomBytes(LENGTH);

before(async () => {
  s3 = await S3.open({ bucket: 'fractal-ecs-host-service' });
});
after(() => s3[Symbol.asyncDispose]());

function git(...words: string[]): string {
  const who = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
  return execFileSync('git', [...who, ...words], { cwd: checkout, encoding: 'utf8' }).trim();
}

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'upload-'));
  git('init', '--quiet', '--initial-branch', 'feature/a+b');
  writeFileSync(join(checkout, '.gitignore'), 'build-*\n');
  git('add', '.');
  git('commit', '--quiet', '--message', 'one');
  commit = git('rev-parse', 'HEAD');
  writeFileSync(join(checkout, 'build-executable'), executable);
  writeFileSync(join(checkout, `build-${TARBALL}`), 'a tarball');
});
afterEach(() => rmSync(checkout, { recursive: true }));

async function upload(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [UPLOAD, 'build-executable', `build-${TARBALL}`], {
    cwd: checkout,
    env: {
      PATH: process.env.PATH,
      ...s3.settings,
      COMMIT: commit,
      BRANCH: 'feature/a+b',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...env,
    },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data));
  const [code] = await once(child, 'close');
  return { code, said };
}

test('the executable is uploaded under the branch, and with the tarball under the commit', async () => {
  const { code, said } = await upload();
  assert.equal(code, 0, said);
  const keys = [`commits/${commit}/build-${TARBALL}`, `commits/${commit}/build-executable`, 'feature/a+b'];
  assert.deepEqual(await s3.keys(), keys);
  const sha256 = createHash('sha256').update(executable).digest('hex');
  for (const Key of [keys[1], keys[2]]) {
    assert.ok((await s3.read(Key as string)).equals(executable));
    const { Metadata } = await s3.client().send(new HeadObjectCommand({ Bucket: s3.bucket, Key }));
    assert.deepEqual(Metadata, { commit, branch: 'feature%2Fa%2Bb', sha256 });
    assert.ok(said.includes(`s3://${s3.bucket}/${Key}  sha256 ${sha256}\n`), said);
  }
  assert.equal((await s3.read(keys[0] as string)).toString(), 'a tarball');
});

test('uncommitted changes are uploaded only on request, and not under the commit', async () => {
  writeFileSync(join(checkout, 'new'), '');
  const before = await s3.keys();
  const refused = await upload();
  assert.equal(refused.code, 1);
  assert.match(refused.said, /set UPLOAD_DIRTY=yes:\n\?\? new\n$/);
  assert.deepEqual(await s3.keys(), before);
  const { code, said } = await upload({ UPLOAD_DIRTY: 'yes' });
  assert.equal(code, 0, said);
  assert.ok((await s3.keys()).includes(`commits/${commit}-dirty/build-executable`));
});

for (const [what, env, words] of [
  ['no commit', { COMMIT: 'unknown' }, /no checkout of git/],
  ['no branch', { BRANCH: '' }, /no branch is checked out/],
  ['no bucket', { UPLOAD_BUCKET: 'another' }, /to another: .*bucket/i],
] as const) {
  test(`with ${what} nothing is uploaded, and the error says what to do`, async () => {
    const { code, said } = await upload(env);
    assert.equal(code, 1);
    assert.match(said, words);
  });
}

test('an upload that S3 refuses leaves no part behind', async () => {
  await s3.turn('deny', { only: ['UploadPart'] });
  const { code, said } = await upload();
  await s3.turn('none');
  assert.equal(code, 1);
  assert.match(said, /^Not uploaded to fractal-ecs-host-service: /);
  assert.equal(s3.openUploads, 0);
});

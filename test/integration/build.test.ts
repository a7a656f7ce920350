import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const FETCHED = 'build/docker-seccomp.json';
/** Properties of the building machine: none of them may be in the result. */
const SECRETS = {
  AWS_SECRET_ACCESS_KEY: 'secret+of+the+build/0001',
  WEBSERVER_AUTH_SECRET: 'secret+of+the+build/0002',
  SENTRY_DSN: 'https://secret-of-the-build-0003@sentry.test/1',
  LOGZIO_SHIPPING_TOKEN: 'secret+of+the+build/0004',
  NPM_TOKEN: 'secret+of+the+build/0005',
};

let work = '';
before(() => {
  work = mkdtempSync(join(tmpdir(), 'build-'));
});
after(() => rmSync(work, { recursive: true }));

/** Builds a copy of this checkout in a directory of that name. @returns the directory of the build */
function build(name: string): string {
  const copy = join(work, name);
  const left = ['.git', 'build'];
  for (const entry of readdirSync(ROOT).filter((one) => !left.includes(one))) {
    cpSync(join(ROOT, entry), join(copy, entry), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
  }
  // Downloaded inputs, which this host cannot reach.
  cpSync(join(ROOT, FETCHED), join(copy, FETCHED), { preserveTimestamps: true });
  const env = { ...process.env, ...SECRETS, COMMIT, BRANCH: 'a/branch', SOURCE_DATE_EPOCH: '1700000000' };
  const { status, stderr } = spawnSync('make', ['build'], { cwd: copy, env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return join(copy, 'build');
}

test('the same commit produces the same bytes wherever it is built, without any secret of the builder', () => {
  const [one, another] = [build('one'), build('another-directory')];
  const arch = process.arch;
  for (const name of ['ecs-host-service', `ecs-host-service-0.1.0-linux-${arch}.tar.gz`]) {
    const bytes = readFileSync(join(one, name));
    assert.ok(bytes.equals(readFileSync(join(another, name))), `${name} differs`);
    for (const what of [...Object.values(SECRETS), work])
      assert.ok(!bytes.includes(what), `${name} has ${what}`);
  }
  const into = join(work, 'unpacked');
  cpSync(join(one, `ecs-host-service-0.1.0-linux-${arch}.tar.gz`), join(into, 'tarball'));
  execFileSync('tar', ['--extract', '--file', join(into, 'tarball'), '--directory', into]);
  const there = join(into, `ecs-host-service-0.1.0-linux-${arch}`);
  assert.equal(
    readFileSync(join(there, 'VERSION'), 'utf8'),
    `version 0.1.0\ncommit ${COMMIT}\nbranch a/branch\nplatform linux-${arch}\n`,
  );
  assert.ok(
    readFileSync(join(there, 'ecs-host-service')).equals(readFileSync(join(one, 'ecs-host-service'))),
  );
  assert.equal(statSync(join(there, 'ecs-host-service')).mode & 0o777, 0o755);
  for (const unit of [
    'ecs-host-service.service',
    'ecs-host-service-wait.service',
    'seccomp.json',
    'completion.bash',
    'completion.zsh',
    'install.sh',
  ]) {
    assert.ok(existsSync(join(there, unit)), unit);
  }
  assert.match(
    readFileSync(join(there, 'licences/packages.txt'), 'utf8'),
    /^fastify 5\.\d+\.\d+: MIT\n\nMIT License/m,
  );
});

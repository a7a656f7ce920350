/** The files that the installer writes, below a directory. The tests in the guest check that the system accepts them. */

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

const PACKAGING = join(import.meta.dirname, '../../packaging');
const UNITS = ['ecs-host-service', 'ecs-host-service-wait', 'ecs-host-service-metadata-guard'];
const SETTINGS = 'etc/ecs-host-service';
const DAEMON = 'etc/docker/daemon.json';

let work = '';
let tarball = '';
let host = '';

before(() => {
  work = mkdtempSync(join(tmpdir(), 'install-'));
});
after(() => rmSync(work, { recursive: true }));

beforeEach(() => {
  tarball = mkdtempSync(join(work, 'tarball-'));
  host = mkdtempSync(join(work, 'host-'));
  cpSync(PACKAGING, tarball, { recursive: true });
  mkdirSync(join(tarball, 'licences'));
  writeFileSync(join(tarball, 'licences/node.txt'), 'a licence');
  writeFileSync(join(tarball, 'ecs-host-service'), 'a program', { mode: 0o755 });
  writeFileSync(join(tarball, 'seccomp.json'), '{}');
  for (const shell of ['bash', 'zsh']) writeFileSync(join(tarball, `completion.${shell}`), shell);
  writeFileSync(join(tarball, 'VERSION'), 'version 1.2.3\n');
});

/** @param systemd its version on the host */
function install({ systemd = 252, from = tarball, words = [] as string[] } = {}): SpawnSyncReturns<string> {
  const bin = join(work, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\necho 'systemd ${systemd} (${systemd}.1-1)'\n`, {
    mode: 0o755,
  });
  const env = { PATH: `${bin}:${process.env.PATH}`, DESTDIR: host };
  const found = spawnSync(join(from, 'install.sh'), words, { env, encoding: 'utf8' });
  if (words.length === 0) assert.equal(found.status, 0, found.stderr);
  return found;
}

function read(path: string): string {
  return readFileSync(join(host, path), 'utf8');
}

function modeOf(path: string): string {
  return (statSync(join(host, path)).mode & 0o777).toString(8);
}

test('each file is installed where the system looks for it', () => {
  install();
  const places = {
    '69-fractal-input.rules': 'etc/udev/rules.d/69-fractal-input.rules',
    '90-fractal-input.rules': 'etc/udev/rules.d/90-fractal-input.rules',
    '60-ecs-host-service.conf': 'etc/sysctl.d/60-ecs-host-service.conf',
    'modules-load.conf': 'etc/modules-load.d/ecs-host-service.conf',
    'logrotate.conf': 'etc/logrotate.d/ecs-host-service',
    'logind.conf': 'etc/systemd/logind.conf.d/ecs-host-service.conf',
    'system.conf': 'etc/systemd/system.conf.d/ecs-host-service.conf',
    'seccomp.json': 'etc/docker/ecs-host-service-seccomp.json',
    'completion.bash': 'usr/share/bash-completion/completions/ecs-host-service',
    'completion.zsh': 'usr/local/share/zsh/site-functions/_ecs-host-service',
    'daemon.json': DAEMON,
    ...Object.fromEntries(UNITS.map((unit) => [`${unit}.service`, `etc/systemd/system/${unit}.service`])),
  };
  for (const [source, target] of Object.entries(places)) {
    assert.equal(read(target), readFileSync(join(tarball, source), 'utf8'), target);
    assert.equal(modeOf(target), '644', target);
  }
  assert.equal(read('opt/ecs-host-service/licences/node.txt'), 'a licence');
  assert.equal(modeOf('opt/ecs-host-service/ecs-host-service'), '755');
  assert.equal(modeOf('opt/ecs-host-service/install.sh'), '755');
});

test('only root can read settings and secrets', () => {
  install();
  assert.deepEqual([SETTINGS, `${SETTINGS}/credentials`, `${SETTINGS}/environment`].map(modeOf), [
    '700',
    '700',
    '600',
  ]);
});

test('installing again changes nothing, also from the installed location', () => {
  install();
  const unit = 'etc/systemd/system/ecs-host-service.service';
  const { ino } = statSync(join(host, unit));
  for (const from of [tarball, join(host, 'opt/ecs-host-service')]) {
    assert.equal(install({ from }).stderr, 'Installing 1.2.3 …\n');
    assert.equal(statSync(join(host, unit)).ino, ino);
  }
});

test('an upgrade replaces files that may be in use as a whole, and keeps the operator’s files', () => {
  install();
  const program = join(host, 'opt/ecs-host-service/ecs-host-service');
  const { ino } = statSync(program);
  writeFileSync(join(host, SETTINGS, 'environment'), 'APP_ENV=dev\n');
  writeFileSync(join(host, DAEMON), '{"live-restore": true}');
  writeFileSync(join(tarball, 'ecs-host-service'), 'a newer program');
  writeFileSync(join(tarball, 'VERSION'), 'version 1.2.4\n');
  assert.equal(
    install().stderr,
    'Installing 1.2.4 …\n  /opt/ecs-host-service/VERSION\n  /opt/ecs-host-service/ecs-host-service\n',
  );
  assert.equal(readFileSync(program, 'utf8'), 'a newer program');
  assert.notEqual(statSync(program).ino, ino, 'the running program was overwritten in place');
  assert.equal(read(`${SETTINGS}/environment`), 'APP_ENV=dev\n');
  assert.equal(read(DAEMON), '{"live-restore": true}');
});

const DROP_INS = UNITS.slice(0, 2).map((unit) => `etc/systemd/system/${unit}.service.d/credentials.conf`);

test('the units get a secret in a file as a credential, and only root can read the file', () => {
  install();
  for (const dropIn of DROP_INS) assert.equal(read(dropIn), '[Service]\n');
  const secret = `${SETTINGS}/credentials/WEBSERVER_AUTH_SECRET`;
  writeFileSync(join(host, secret), 'a secret');
  chmodSync(join(host, secret), 0o644);
  const { stderr } = install();
  assert.equal(modeOf(secret), '600');
  for (const dropIn of DROP_INS) {
    assert.equal(read(dropIn), `[Service]\nLoadCredential=WEBSERVER_AUTH_SECRET:/${secret}\n`);
    assert.equal(modeOf(dropIn), '644');
    assert.ok(!(read(dropIn) + stderr).includes('a secret'));
  }
});

test('if systemd does not support credentials, the service reads the files', () => {
  mkdirSync(join(host, SETTINGS, 'credentials'), { recursive: true });
  const secret = `${SETTINGS}/credentials/SENTRY_DSN`;
  writeFileSync(join(host, secret), 'a secret', { mode: 0o644 });
  install({ systemd: 246 });
  assert.equal(modeOf(secret), '600');
  for (const dropIn of DROP_INS)
    assert.equal(read(dropIn), `[Service]\nEnvironment=CREDENTIALS_DIRECTORY=/${SETTINGS}/credentials\n`);
  rmSync(join(host, secret));
  install({ systemd: 247 });
  for (const dropIn of DROP_INS) assert.equal(read(dropIn), '[Service]\n');
});

test('invalid arguments are refused, and the error shows valid ones', () => {
  for (const words of [
    ['--all'],
    ['uninstall', '--force'],
    ['--force', '--force'],
    ['uninstall', '--purge', 'more'],
  ]) {
    const { status, stderr } = install({ words });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^install\.sh: usage: install\.sh \[--force\] \| install\.sh uninstall \[--purge\]$/m,
    );
  }
});

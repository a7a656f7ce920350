/**
 * The installer on a host as an operator uses it: the installation before the tests, an upgrade, a removal, and a new
 * installation.
 */

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { OWN_SECRET } from '../support/secrets.ts';
import { GuestHost, type InputContainer } from './guest-host.ts';
import { show, type UnitService } from './unit-service.ts';

const OPT = '/opt/ecs-host-service';
const SETTINGS = '/etc/ecs-host-service';
/** The unpacked tarball of another version. */
const NEWER = '/root/newer';
const UNITS = ['', '-wait', '-metadata-guard'].map((name) => `ecs-host-service${name}.service`);
/**
 * systemd's rating of what the service may do, from 0 (safe) to 10. The service mounts filesystems, makes input devices
 * and uses Docker.
 */
const EXPOSURE = 5;

const host = await GuestHost.open();
let service: UnitService;
let container: InputContainer;

before(() => {
  cpSync(OPT, NEWER, { recursive: true });
  writeFileSync(`${NEWER}/VERSION`, 'version 99.0.0\n');
  appendFileSync(`${NEWER}/ecs-host-service`, 'other bytes');
  appendFileSync(`${NEWER}/ecs-host-service.service`, '# Of the newer version.\n');
});
after(() => host[Symbol.asyncDispose]());

function run(program: string, ...words: string[]): SpawnSyncReturns<string> {
  return spawnSync(program, words, { encoding: 'utf8' });
}

function succeed(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = run(program, ...words);
  assert.equal(status, 0, `${program} ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

test('after an installation, the host lacks nothing that the installer can provide', () => {
  const found = run('ecs-host-service', 'doctor', '--host', '--json');
  assert.equal(found.status, 0, found.stdout);
  const { findings }: { findings: { check: string; grade: string }[] } = JSON.parse(found.stdout);
  assert.ok(findings.some(({ check, grade }) => check === 'login prompts' && grade === 'ok'));
  // Nothing synchronizes the guest's clock, and quotas can be enabled only on an unmounted file system.
  const others = ['clock', 'disk quotas'];
  const lacks = findings.filter(({ check, grade }) => grade !== 'ok' && !others.includes(check));
  assert.deepEqual(lacks, []);
});

test('systemd accepts the units, and rates their exposure below a limit', () => {
  assert.equal(
    succeed('systemd-analyze', 'verify', ...UNITS.map((unit) => `/etc/systemd/system/${unit}`)),
    '',
  );
  for (const unit of UNITS) succeed('systemd-analyze', 'security', `--threshold=${10 * EXPOSURE}`, unit);
});

test('udev accepts the rules', async () => {
  service = await host.start();
  container = await host.hostClaimed(service);
  const [pointer] = container.numbers;
  const told = succeed('udevadm', 'test', `/sys/class/input/event${pointer}`);
  assert.match(told, /^Reading rules file: \/etc\/udev\/rules\.d\/90-fractal-input\.rules$/m);
  assert.doesNotMatch(told, /fractal-input\.rules:\d+/, 'udev complains about a line');
  assert.match(told, /^ID_INPUT_MOUSE=1$/m);
  assert.doesNotMatch(told, /^ID_INPUT_TABLET=1/m);
});

test('an upgrade does not affect the running service and its containers, and takes effect at the next start', async () => {
  const { pid } = service;
  const settings = readFileSync(`${SETTINGS}/environment`, 'utf8');
  assert.match(succeed(`${NEWER}/install.sh`), /^The service still runs the previous version\./m);
  assert.equal(service.pid, pid);
  assert.equal(readFileSync(`${OPT}/VERSION`, 'utf8'), 'version 99.0.0\n');
  assert.equal(readFileSync(`${SETTINGS}/environment`, 'utf8'), settings);
  assert.equal((await service.get('/healthz')).status, 200);
  assert.equal(await container.program.say('connect'), '3');
  await host.remove(service, container);
  assert.equal(await service.stop(), 0);
  service = await host.start();
  assert.equal(await service.stop(), 0);
});

test('a secret in a file reaches the service as a systemd credential', async () => {
  const secret = `${SETTINGS}/credentials/WEBSERVER_AUTH_SECRET`;
  writeFileSync(secret, `${OWN_SECRET}\n`, { mode: 0o644 });
  succeed(`${OPT}/install.sh`);
  service = await host.start({ APP_ENV: 'dev', WEBSERVER_AUTH_SECRET: '' });
  const { status } = await service.put('/set_container_start_values', { auth_secret: OWN_SECRET });
  assert.notEqual(status, 401, 'the service has the secret');
  assert.equal((await service.put('/set_container_start_values', { auth_secret: 'another' })).status, 401);
  const { report } = await service.die('SIGKILL');
  assert.equal(report, 'the service died: killed by SIGKILL', 'bury has the secret too');
  service = await host.start({ APP_ENV: 'dev', WEBSERVER_AUTH_SECRET: '' });
  assert.equal(await service.stop(), 0);
  rmSync(secret);
  succeed(`${OPT}/install.sh`);
});

test('the uninstaller refuses to run while the service runs or users’ files wait', async () => {
  service = await host.start();
  const refused = run(`${OPT}/install.sh`, 'uninstall');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /ecs-host-service\.service runs; "systemctl stop ecs-host-service\.service"/);
  assert.equal(await service.stop(), 0);
  const waiting = '/var/lib/ecs-host-service/spool/waiting';
  mkdirSync('/var/lib/ecs-host-service/spool', { recursive: true });
  writeFileSync(waiting, '');
  assert.match(run(`${OPT}/install.sh`, 'uninstall', '--purge').stderr, /wait for S3; start the service/);
  rmSync(waiting);
  assert.ok(existsSync(`${OPT}/ecs-host-service`));
});

test('uninstalling removes everything but the operator’s files, and installing restores it', async () => {
  const hostId = readFileSync('/var/lib/ecs-host-service/host-id', 'utf8');
  succeed(`${OPT}/install.sh`, 'uninstall');
  const installed = [
    OPT,
    '/usr/local/bin/ecs-host-service',
    '/etc/docker/daemon.json',
    '/etc/docker/ecs-host-service-seccomp.json',
    '/etc/udev/rules.d/69-fractal-input.rules',
    '/etc/udev/rules.d/90-fractal-input.rules',
    '/etc/sysctl.d/60-ecs-host-service.conf',
    '/etc/modules-load.d/ecs-host-service.conf',
    '/etc/systemd/system.conf.d/ecs-host-service.conf',
    '/etc/systemd/logind.conf.d/ecs-host-service.conf',
    '/usr/share/bash-completion/completions/ecs-host-service',
    '/usr/local/share/zsh/site-functions/_ecs-host-service',
    '/etc/systemd/system/getty@.service',
    '/etc/systemd/system/autovt@.service',
    '/var/lib/ecs-host-service/program',
    ...UNITS.map((unit) => `/etc/systemd/system/${unit}`),
  ];
  assert.deepEqual(
    installed.filter((path) => existsSync(path)),
    [],
  );
  assert.doesNotMatch(succeed('iptables', '--list-rules', 'DOCKER-USER'), /DROP/);
  assert.equal(readFileSync('/var/lib/ecs-host-service/host-id', 'utf8'), hostId);
  assert.ok(existsSync(`${SETTINGS}/environment`));
  assert.match(succeed(`${NEWER}/install.sh`), /^ {2}1\. Write the settings into/m);
  assert.deepEqual(
    installed.slice(0, 4).filter((path) => !existsSync(path)),
    [],
  );
  assert.equal(show('UnitFileState'), 'enabled');
  for (const unit of ['getty@tty1.service', 'autovt@tty2.service']) {
    assert.equal(show('LoadState', unit), 'masked');
  }
  assert.notEqual(show('LoadState', 'serial-getty@ttyS0.service'), 'masked');
  service = await host.start();
  assert.equal(await service.stop(), 0);
  await host.finish();
});

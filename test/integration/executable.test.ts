import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  globSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { claim, host as hostContainer } from '../support/callers.ts';
import { end, KILLED, running, until } from '../support/site.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { TestHost } from '../support/test-host.ts';

const EXECUTABLE = join(import.meta.dirname, '../../build/ecs-host-service');
/** The oldest C library of a supported host: those of Ubuntu 20.04 and Amazon Linux 2023 are newer. */
const NEWEST_SYMBOLS = 2.28;

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

function say(env: Record<string, string>, user = 0) {
  const options = { cwd: '/', encoding: 'utf8', env, uid: user, gid: user } as const;
  const { stdout, stderr, status } = spawnSync(EXECUTABLE, ['version'], options);
  assert.deepEqual([status, stdout, stderr], [0, '0.1.0\n', '']);
}

test('the executable needs no other file, and unpacks its content for root alone', () => {
  const ROOT = host.newRoot();
  say({ ROOT });
  const [program = '', ...others] = globSync(join(ROOT, 'var/lib/ecs-host-service/program/*'));
  assert.deepEqual(others, []);
  for (const path of [program, join(program, '..')]) assert.equal(statSync(path).mode & 0o777, 0o700);
  const made = statSync(program).ino;
  say({ ROOT });
  assert.equal(statSync(program).ino, made, 'the unpacked files are used again');
  assert.notDeepEqual(readdirSync(join(program, 'compiled')), [], 'the compiled code is kept');
  rmSync(ROOT, { recursive: true });
});

test('changed unpacked files are unpacked again', () => {
  const ROOT = host.newRoot();
  say({ ROOT });
  const [main = ''] = globSync(join(ROOT, 'var/lib/ecs-host-service/program/*/main.cjs'));
  const good = readFileSync(main);
  appendFileSync(main, "process.stdout.write('something else');");
  say({ ROOT });
  assert.deepEqual(readFileSync(main), good);
  writeFileSync(main, good.toString().toUpperCase());
  say({ ROOT });
  assert.deepEqual(readFileSync(main), good, 'a change that keeps the size');
  rmSync(join(main, '../ecs-host-service.mjs'));
  say({ ROOT });
  assert.deepEqual(readdirSync(join(main, '../..')).length, 1, 'no failed attempt leaves a file');
  rmSync(ROOT, { recursive: true });
});

test('for users other than root, the executable leaves nothing behind', () => {
  const TMPDIR = host.newRoot();
  chmodSync(TMPDIR, 0o777);
  say({ TMPDIR }, 1000);
  assert.deepEqual(readdirSync(TMPDIR), []);
  rmSync(TMPDIR, { recursive: true });
});

test("no environment variable passes options to the executable's Node", () => {
  const ROOT = host.newRoot();
  say({ ROOT, NODE_OPTIONS: '--require /not/there' });
  rmSync(ROOT, { recursive: true });
});

test('the executable hosts containers, and provides bury and wait itself', async () => {
  const executable = EXECUTABLE;
  const root = host.newRoot();
  const env = { ROOT: root };
  const service = await host.start({ executable, arguments: ['run'], env }).ready();
  await hostContainer(service);
  const claimed = await hostContainer(service);
  await claim(service, await host.hostPort(claimed));
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  const bury = host.start({ executable, arguments: ['bury'], env: { ...env, ...KILLED } });
  assert.equal(await bury.ended(), 0, bury.log());
  assert.deepEqual(await running(host), [claimed]);
  await end(host, claimed);
  await until(
    'nobody waits',
    () => !readdirSync(root).includes('run') || readdirSync(join(root, 'run')).length === 0,
  );
  rmSync(join(root, 'var/lib/ecs-host-service/program'), { recursive: true });
});

test('the executable supports the shell on the host', async () => {
  const root = host.newRoot();
  const env = { ROOT: root, HOST_SHELL_USER: 'root', HOST_SHELL_AS_ROOT: 'yes' };
  const service = await host.start({ executable: EXECUTABLE, arguments: ['run'], env }).ready();
  using shell = await TerminalClient.open(root, '/host/terminal');
  shell.type('exit 42\r');
  assert.deepEqual(await shell.ended(), { type: 'ended', exitCode: 42 });
  assert.equal(await service.stop(), 0, service.log());
  rmSync(join(root, 'var/lib/ecs-host-service/program'), { recursive: true });
});

test('each program in the executable runs with a C library as old as 2.28', () => {
  const ROOT = host.newRoot();
  say({ ROOT });
  for (const path of [EXECUTABLE, ...globSync(join(ROOT, 'var/lib/ecs-host-service/program/*/*.node'))]) {
    const versions = execFileSync('readelf', ['--version-info', '--wide', path], { encoding: 'utf8' });
    const needed = [...versions.matchAll(/\bGLIBC_2\.(\d+)/g)].map(([, minor]) =>
      Number(`2.${minor?.padStart(2, '0')}`),
    );
    assert.ok(needed.length > 0 && Math.max(...needed) <= NEWEST_SYMBOLS, `${path}: ${Math.max(...needed)}`);
  }
  rmSync(ROOT, { recursive: true });
});

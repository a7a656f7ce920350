/** The command line with a running service: on its unix socket, and from another host. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer } from '../support/callers.ts';
import { call, type Reply } from '../support/https.ts';
import { NEXT_OPERATOR_TOKEN, OPERATOR_TOKEN, SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Said {
  readonly code: number | string;
  readonly text: string;
}

async function say(root: string, words: readonly string[], env: Record<string, string> = {}): Promise<Said> {
  const program = host.start({ env: { ROOT: root, APP_ENV: '', ...env }, arguments: words });
  const code = await program.ended();
  return { code, text: program.log() };
}

test('an operator lists containers, stops one and reads its receipt in tables', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  const port = await host.hostPort(dockerId);
  const listed = await say(root, ['ps', '--app', 'demo']);
  assert.equal(listed.code, 0, listed.text);
  const [heads, row, ...others] = listed.text.trimEnd().split('\n');
  assert.match(heads ?? '', /^CONTAINER +DOCKER +STATE +FOR +HEALTH +APP +PORT +TTY +TASK$/);
  assert.deepEqual(others, []);
  const tty = readFileSync(join(root, 'fractal', id, 'containerResourceMappings/tty'), 'utf8');
  const [container, docker, state, ...rest] = row?.split(/ +/) ?? [];
  assert.deepEqual([container, docker, state], [id.slice(0, 12), dockerId.slice(0, 12), 'running']);
  assert.deepEqual(rest.slice(-4), ['demo', String(port), tty, '-']);
  assert.equal((await say(root, ['ps', '--state', 'ready'])).text.trimEnd().split('\n').length, 1);

  const capacity = await say(root, ['capacity']);
  assert.match(
    capacity.text,
    /^Room for \d+ more containers; consoles run out first\.\nRESOURCE +SIZE +HELD/,
  );
  assert.match(capacity.text, /^consoles +\d+ +1 +0 +1 +\d+$/m);

  const stopped = await say(root, ['stop', id.slice(0, 8)]);
  assert.equal(stopped.code, 0, stopped.text);
  const head = `^${id} \\(demo\\)\\n  docker id +${dockerId}\\n  began .*\\n  ended .*: an operator stopped it\\n`;
  assert.match(stopped.text, new RegExp(head));
  assert.match(stopped.text, /^ {2}tty +\d+ +\d+ s +its container is exited, code \d+$/m);
  assert.equal((await say(root, ['receipt', id])).text, stopped.text);

  const again = await say(root, ['stop', id.slice(0, 8), 'abcd']);
  assert.equal(again.code, 1);
  assert.equal(again.text.match(/container\.unknown: no container of this host has an id/g)?.length, 2);
  assert.equal(await service.stop(), 0);
});

test('the command line makes a container with everything that was requested', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ALLOWED_MOUNTS: '/srv' } }).ready();
  const file = join(host.newRoot(), 'env');
  writeFileSync(file, 'A=from the file\nHIDDEN=in the file\n');
  const words = ['create', IMAGE, '--app', 'demo', '--env', 'A=b=c', '--env', 'EMPTY=', '--label', 'x=y'];
  const limits = ['--cpus', '0.5', '--memory', '128MiB', '--pids', '64', '--timeout', '-1'];
  const rest = ['--publish', '8080', '--publish', '30053:53/udp', '--mount', '/srv:/srv'];
  const idle = ['--idle-timeout', '60'];
  const all = [...words, '--env-from', file, ...limits, ...rest, ...idle];
  const room = await say(root, [...all, '--dry-run']);
  assert.match(room.text, /^Room for \d+ more containers; .*\n(.*\n)+memory +\d+/);
  const made = await say(root, [...all, '--json']);
  assert.equal(made.code, 0, made.text);
  const { docker, ports, app, idleTimeout } = JSON.parse(made.text);
  const { Config, HostConfig } = await host.docker.getContainer(docker).inspect();
  assert.ok(app === 'demo' && Config.Env.includes('A=b=c') && Config.Env.includes('EMPTY='));
  assert.ok(Config.Env.includes('HIDDEN=in the file'));
  assert.deepEqual([Config.Labels.x, HostConfig.Memory, HostConfig.PidsLimit], ['y', 2 ** 27, 64]);
  assert.ok(ports['8080/tcp'] > 0 && idleTimeout === 60);
  for (const [more, text] of [
    [['--env', 'A'], /--env expects NAME=VALUE; got "A"/],
    [['--env-from', '/nowhere'], /--env-from \/nowhere cannot be used: ENOENT/],
    [['--publish', 'x'], /--publish expects/],
    [['--mount', 'x:/y'], /--mount expects/],
    [['--memory', 'much'], /--memory expects a size such as 500MiB or 4GiB; got "much"/],
    [['--pull', 'often'], /--pull expects missing, always or never; got "often"/],
    [['--pids', '0'], /--pids is not valid: it must be >= 1/],
    [['--publish', '99999:80'], /--publish is not valid: .*must be <= 65535/],
    [['--label', 'ecs-host-service.x=y'], /--label is not valid/],
    [['--cpus', 'all'], /--cpus expects a number/],
    [['--idle-timeout', 'never'], /--idle-timeout expects a number/],
    [['--mount', '/etc:/etc'], /create\.mount_not_allowed: .*ALLOWED_MOUNTS/],
  ] as const) {
    const said = await say(root, ['create', IMAGE, '--app', 'demo', ...more]);
    assert.deepEqual([said.code, text.test(said.text)], [1, true], said.text);
  }
  for (const wrong of [
    ['create', IMAGE],
    ['create', '--app', 'demo'],
    ['ps', '--gpu'],
    ['ps', 'more'],
    ['stop'],
  ]) {
    assert.equal((await say(root, wrong)).code, 2, wrong.join(' '));
  }
  assert.equal(await service.stop(), 0);
});

test("with --json, commands print the service's answers, and events prints lines until the service ends", async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, HEALTH_PROBE_SECONDS: 'none' } }).ready();
  const follower = host.start({
    env: { ROOT: root, APP_ENV: '' },
    arguments: ['events', '--json', '--after', 'another-1'],
  });
  await follower.line(({ missed }) => missed === true);
  const dockerId = await hostContainer(service);
  const [only, ...others] = JSON.parse((await say(root, ['ps', '--json'])).text);
  assert.deepEqual([only.docker, others], [dockerId, []]);
  assert.equal(JSON.parse((await say(root, ['capacity', '--json'])).text).short, 'consoles');
  const drained = await say(root, ['drain', '--json']);
  assert.deepEqual(JSON.parse(drained.text), { containers: 1 });
  assert.match(
    (await say(root, ['drain'])).text,
    /accepts no more containers\. The service exits when the last 1 have ended/,
  );
  await say(root, ['stop', dockerId]);
  assert.equal(await service.ended(), 0);
  assert.equal(await follower.ended(), 0);
  const codes = follower.lines.map(({ code }) => code);
  assert.deepEqual(codes, [undefined, 'begun', 'created', 'started', 'operator', 'released']);
});

test('from another host, commands use the token and the certificate, and send nothing to a host with another certificate', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, OPERATOR_TOKEN } }).ready();
  const certificate = new X509Certificate(readFileSync(join(root, 'fractalprivate/cert.pem')));
  const away = ['--host', `https://127.0.0.1:${service.port}`];
  const pinned = [...away, '--fingerprint', certificate.fingerprint256];
  const token = { OPERATOR_TOKEN };
  assert.deepEqual(JSON.parse((await say(host.newRoot(), ['ps', '--json', ...pinned], token)).text), []);
  const lines = service.lines.length;
  for (const [words, env, code, text] of [
    [
      [...away, '--fingerprint', 'ab'.repeat(32)],
      token,
      3,
      /no service answers .*its certificate has the fingerprint/,
    ],
    [away, token, 3, /no service answers .*self-signed/],
    [['--host', 'http://127.0.0.1'], token, 1, /--host must be like https/],
    [[...away, '--fingerprint', 'abcd'], token, 1, /64 hex digits/],
    [pinned, {}, 1, /OPERATOR_TOKEN or OPERATOR_TOKEN_FILE must be given/],
  ] as const) {
    const said = await say(host.newRoot(), ['ps', ...words], env);
    assert.deepEqual([said.code, text.test(said.text)], [code, true], said.text);
  }
  assert.ok(!service.lines.slice(lines).some(({ msg }) => msg === 'answered'), 'a request was sent');
  const wrong = await say(host.newRoot(), ['ps', ...pinned], { OPERATOR_TOKEN: NEXT_OPERATOR_TOKEN });
  assert.deepEqual([wrong.code, /request.no_operator: /.test(wrong.text)], [1, true]);
  assert.equal(await service.stop(), 0);
});

test('a command ends quietly when its reader stops reading, and the error for an invalid command repeats only its name', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const follower = host.start({ env: { ROOT: root, APP_ENV: '' }, arguments: ['events', '--after', 'x-1'] });
  await follower.wroteLike(/Some earlier events are no longer available/);
  follower.child.stdout?.destroy();
  await hostContainer(service);
  assert.equal(await follower.ended(), 0);
  assert.deepEqual(follower.other, ['Some earlier events are no longer available.']);
  const { code, text } = await say(root, ['create', '--env', 'PASSWORD=hidden']);
  assert.ok(
    code === 2 && text.startsWith('This command line is not valid: create …\n') && !text.includes('hidden'),
    text,
  );
  assert.equal(await service.stop(), 0);
});

test('if no service runs, a command says so and exits with its own code', async () => {
  const root = host.newRoot();
  const { code, text } = await say(root, ['ps']);
  assert.equal(code, 3);
  assert.match(text, /no service answers at .*api\.sock: .*ENOENT.*; check that it runs/);
});

const ask = (service: ServiceProcess, authorization?: string): Promise<Reply> =>
  call({
    port: service.port,
    method: 'GET',
    path: '/v1/host',
    headers: authorization === undefined ? {} : { authorization },
  });

test('over HTTPS, only the right token gives access, and a new one is valid as soon as its file exists', async () => {
  const file = join(host.newRoot(), 'token');
  const write = (token: string) => {
    writeFileSync(`${file}.new`, `${token}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  write(OPERATOR_TOKEN);
  const service = await host.start({ env: { OPERATOR_TOKEN_FILE: file } }).ready();
  const statusOf = async (authorization?: string) => (await ask(service, authorization)).status;
  assert.equal(await statusOf(`Bearer ${OPERATOR_TOKEN}`), 200);
  for (const wrong of [undefined, 'Bearer', `Bearer ${SECRET}`, `Basic ${OPERATOR_TOKEN}`, OPERATOR_TOKEN]) {
    assert.equal(await statusOf(wrong), 401, wrong);
  }
  write(NEXT_OPERATOR_TOKEN);
  assert.equal(await statusOf(`Bearer ${NEXT_OPERATOR_TOKEN}`), 200);
  assert.equal(await statusOf(`Bearer ${OPERATOR_TOKEN}`), 401);
  write('too short');
  assert.equal(await statusOf('Bearer too short'), 401);
  await service.line(({ level, why }) => level === 'error' && /at least 32 printable/.test(String(why)));
  write(OPERATOR_TOKEN);
  for (let i = 0; i < 20; i++) await statusOf('Bearer guessed');
  assert.equal(await statusOf('Bearer guessed'), 429);
  assert.equal(await statusOf(`Bearer ${OPERATOR_TOKEN}`), 200);
  assert.equal(await service.stop(), 0);
});

test('without a configured token, nobody gets access over HTTPS', async () => {
  const service = await host.start().ready();
  for (const given of [undefined, 'Bearer ', 'Bearer undefined', `Bearer ${SECRET}`]) {
    const { status, type, body } = await ask(service, given);
    assert.deepEqual(
      [status, type, JSON.parse(body).title],
      [401, 'application/problem+json; charset=utf-8', 'request.no_operator'],
    );
  }
  const metrics = await call({ port: service.port, method: 'GET', path: '/metrics' });
  assert.deepEqual([metrics.status, JSON.parse(metrics.body).title], [401, 'request.no_operator']);
  assert.equal(await service.stop(), 0);
});

/** Any client of Docker works through the proxy as it does without it, for example Docker's own command line. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { IMAGE } from '../../scripts/image.ts';
import { DockerCli, importShell, type Said, SHELL } from '../support/docker-cli.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const ENGINE = '/run/docker.sock';

let host: TestHost;
let service: ServiceProcess;
let proxy: string;
let cli: DockerCli;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
  const ROOT = host.newRoot();
  service = await host.start({ env: { ROOT } }).ready();
  proxy = pathsBelow(ROOT).dockerProxy;
  cli = new DockerCli(proxy);
});
after(async () => {
  assert.equal(await service.stop(), 0);
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
  await host.finish();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  for (const { Id } of await host.docker.listContainers({ all: true })) {
    await host.docker.getContainer(Id).remove({ force: true });
  }
});

/** A new directory with a file of random bytes. */
function files(): { readonly directory: string; readonly bytes: Buffer } {
  const directory = mkdtempSync('/run/test/files-');
  const bytes = randomBytes(3_000_000);
  writeFileSync(join(directory, 'file'), bytes);
  return { directory, bytes };
}

/** The whole answer of a socket to one request, without its date. */
async function answerOf(socket: string, request: string): Promise<string> {
  const connection = connect(socket);
  connection.write(request.replaceAll('\n', '\r\n'));
  const answer = await buffer(connection);
  return answer.toString('latin1').replace(/^Date: .*$/m, '');
}

test('read-only commands show the same through the proxy as without it', async () => {
  await cli.ok(
    'run',
    '-d',
    '--name',
    'one',
    '-p',
    '8080:80',
    SHELL,
    'sh',
    '-c',
    'echo out; echo err >&2; sleep 600',
  );
  const direct = new DockerCli(ENGINE);
  const asked = [
    ['version'],
    ['info', '-f', '{{.ID}} {{.Containers}} {{.Images}} {{.Driver}} {{.ServerVersion}}'],
    ['images', 'tests/shell', '--format', '{{.ID}} {{.Repository}} {{.Tag}} {{.Size}}'],
    ['ps', '-a', '--format', '{{.ID}} {{.Names}} {{.Ports}} {{.Mounts}} {{.Labels}}'],
    ['inspect', 'one'],
    ['inspect', SHELL],
    ['history', SHELL, '--format', '{{.ID}} {{.CreatedBy}} {{.Size}}'],
    ['port', 'one'],
    ['top', 'one', '-o', 'pid,args'],
    ['diff', 'one'],
    ['logs', 'one'],
    ['network', 'inspect', 'bridge'],
    ['volume', 'ls'],
    ['inspect', 'nothing'],
    ['rmi', SHELL],
  ];
  for (const words of asked) {
    const expected: Said = await direct.run(...words);
    assert.deepEqual(await cli.run(...words), expected, words.join(' '));
  }
});

test('answers arrive byte for byte as Docker sent them', async () => {
  const id = await cli.ok('run', '-d', SHELL);
  const requests = [
    `GET /v1.41/containers/${id}/json HTTP/1.1`,
    `GET /v1.24/images/${SHELL}/json HTTP/1.1`,
    'GET /version HTTP/1.1',
    'HEAD /_ping HTTP/1.1',
    'GET /v9.99/version HTTP/1.1',
    'GET /containers/nothing/json HTTP/1.0',
    'PATCH /nowhere HTTP/1.1',
  ];
  for (const request of requests) {
    const whole = `${request}\nHost: docker\nConnection: close\n\n`;
    const expected = await answerOf(ENGINE, whole);
    assert.match(expected, /^HTTP\/1\.[01] \d{3} /);
    assert.equal(await answerOf(proxy, whole), expected, request);
  }
});

test('input is passed on until its end, output is complete, and the exit code is preserved', async () => {
  const bytes = randomBytes(2_000_000);
  const piped = await cli
    .start('run', '--rm', '-i', SHELL, 'sh', '-c', 'cat; echo over >&2; exit 7')
    .finish(bytes);
  assert.ok(piped.bytes.equals(bytes), `${piped.bytes.length} bytes were received`);
  assert.deepEqual([piped.code, piped.err], [7, 'over\n']);
  await cli.ok('run', '-d', '--name', 'one', SHELL);
  const inside = await cli.start('exec', '-i', 'one', 'sh', '-c', 'cat; exit 8').finish(bytes);
  assert.ok(inside.bytes.equals(bytes), `${inside.bytes.length} bytes were received`);
  assert.equal(inside.code, 8);
});

test('terminals work in a container and in programs that exec runs in it', async () => {
  const script = 'test -t 0 && echo "ask"; read line; echo "got $line"; exit 9';
  await cli.ok('run', '-d', '--name', 'one', SHELL);
  for (const words of [
    ['run', '--rm', '-it', SHELL],
    ['exec', '-it', 'one'],
  ]) {
    const terminal = cli.onTerminal(...words, 'sh', '-c', script);
    await terminal.wrote('ask');
    terminal.child.stdin.write('answer\n');
    await terminal.wrote('got answer');
    assert.equal((await terminal.finish()).code, 9, words.join(' '));
  }
});

test('a log can be followed while it is written, and an attached client is connected to the container', async () => {
  const script = 'echo first; read line; echo "then $line"; read line; exit 4';
  await cli.ok('run', '-di', '--name', 'one', SHELL, 'sh', '-c', script);
  const log = cli.start('logs', '-f', 'one');
  await log.wrote('first');
  const attached = cli.start('attach', 'one');
  attached.child.stdin.write('this\n');
  await attached.wrote('then this');
  await log.wrote('then this');
  const waiting = cli.start('wait', 'one');
  assert.equal((await attached.finish('end\n')).code, 4);
  assert.deepEqual([(await log.ended()).out, (await waiting.ended()).out], ['first\nthen this\n', '4\n']);
});

test('live events arrive as they happen, and past ones as Docker keeps them', async () => {
  const since = String(Math.floor(Date.now() / 1000));
  const format = ['--filter', 'type=container', '--format', '{{.Actor.Attributes.name}} {{.Action}}'];
  const live = cli.start('events', '--since', since, ...format);
  await cli.ok('run', '--rm', '--name', 'short', SHELL, 'sh', '-c', 'exit 0');
  for (const action of ['create', 'attach', 'start', 'die', 'destroy']) await live.wrote(`short ${action}`);
  await live.kill();
  const past = ['events', '--since', since, '--until', String(Math.ceil(Date.now() / 1000)), ...format];
  const [told, expected] = [await cli.ok(...past), await new DockerCli(ENGINE).ok(...past)];
  assert.match(told, /^short create$/m);
  assert.equal(told, expected);
});

test('images can be built, saved, loaded, exported and imported, and files copied, without loss', async () => {
  const { directory, bytes } = files();
  writeFileSync(
    join(directory, 'Dockerfile'),
    `FROM ${SHELL}\nCOPY file /file\nRUN ["sh", "-c", "cat /file > /copy"]\n`,
  );
  await cli.ok('build', '-t', 'tests/built', directory);
  const archive = join(directory, 'image.tar');
  const saved = await cli.start('save', 'tests/built').finish();
  writeFileSync(archive, saved.bytes);
  await cli.ok('rmi', 'tests/built');
  assert.match(await cli.ok('load', '-i', archive), /Loaded image: tests\/built/);

  await cli.ok('create', '--name', 'one', 'tests/built');
  const out = join(directory, 'out');
  await cli.ok('cp', 'one:/copy', out);
  assert.ok(readFileSync(out).equals(bytes), `${statSync(out).size} bytes were copied out`);
  await cli.ok('cp', out, 'one:/back');
  const exported = await cli.start('export', 'one').finish();
  await cli.start('import', '-', 'tests/imported').finish(exported.bytes);
  const back = await cli.start('run', '--rm', 'tests/imported', 'cat', '/back').finish();
  assert.ok(back.bytes.equals(bytes), `${back.bytes.length} bytes came back`);
  await cli.ok('rm', 'one');
  await cli.ok('rmi', 'tests/built', 'tests/imported');
});

test('changes to containers, networks and volumes work as without the proxy', async () => {
  await cli.ok('network', 'create', 'net');
  await cli.ok('volume', 'create', 'vol');
  await cli.ok('run', '-d', '--name', 'one', '--network', 'net', '-v', 'vol:/vol', SHELL);
  assert.match(await cli.ok('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}'), /^one 1$/);
  await cli.ok('rename', 'one', 'other');
  await cli.ok('pause', 'other');
  await cli.ok('unpause', 'other');
  await cli.ok('update', '--restart', 'on-failure:2', '--memory', '64m', '--memory-swap', '64m', 'other');
  await cli.ok('network', 'connect', 'bridge', 'other');
  const form = '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}} {{len .NetworkSettings.Networks}}';
  assert.equal(await cli.ok('inspect', '-f', form, 'other'), `on-failure ${64 * 2 ** 20} 2`);
  await cli.ok('restart', '-t', '0', 'other');
  await cli.ok('commit', 'other', 'tests/commit');
  await cli.ok('kill', 'other');
  assert.equal(await cli.ok('wait', 'other'), '137');
  await cli.ok('start', 'other');
  await cli.ok('rm', '-f', 'other');
  await cli.ok('rmi', 'tests/commit');
  await cli.ok('network', 'rm', 'net');
  await cli.ok('volume', 'rm', 'vol');
});

test('a create without the label and the placeholder makes no hosted container, whatever else it asks for', async () => {
  await cli.ok('run', '-d', '--name', 'one', '--network', 'host', '--restart', 'always', SHELL);
  await cli.ok('run', '-d', '--name', 'two', '--label', 'ecs-host-service.interactive=false', IMAGE);
  const [one, two] = JSON.parse(await cli.ok('inspect', 'one', 'two'));
  assert.deepEqual(one.Config.Labels, {});
  assert.deepEqual([one.HostConfig.RestartPolicy.Name, one.HostConfig.NetworkMode], ['always', 'host']);
  assert.deepEqual(two.HostConfig.PortBindings, {});
  assert.deepEqual(service.heldByContainers(), []);
});

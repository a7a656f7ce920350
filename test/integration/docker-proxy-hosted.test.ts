/** Containers that other clients of Docker make interactive are hosted like those that the service makes. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { PLACEHOLDER } from '../../container/creation/create-body.ts';
import { IMAGE } from '../../scripts/image.ts';
import { askTcp, OK, startValues, token } from '../support/callers.ts';
import { DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LABEL = ['--label', 'ecs-host-service.interactive=true'];
const MAPPINGS = '/fractal/resourceMappings';

let host: TestHost;
let service: ServiceProcess;
let root: string;
let proxy: string;
let cli: DockerCli;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
  root = host.newRoot();
  service = await host.start({ env: { ROOT: root } }).ready();
  proxy = join(root, 'run/ecs-host-service/docker.sock');
  cli = new DockerCli(proxy);
});
after(async () => {
  assert.equal(await service.stop(), 0);
  await host.finish();
  await host[Symbol.asyncDispose]();
});
afterEach(assertNothingIsLeft);

async function assertNothingIsLeft(): Promise<void> {
  await until('nothing is held', () => service.heldByContainers().length === 0);
  await until(
    'Docker has no containers',
    async () => (await host.docker.listContainers({ all: true })).length === 0,
  );
  assert.deepEqual(readdirSync(join(root, 'fractal')), ['temp']);
  assert.deepEqual(readdirSync(join(root, 'fractal/temp')), []);
  await assertNoLeaks();
}

async function assertNoLeaks(): Promise<void> {
  const doctor = host.start({ env: { ROOT: root }, arguments: ['doctor', '--leaks'] });
  assert.equal(await doctor.ended(), 0, doctor.log());
}

/** Runs a container from its creation. @returns its container id and its docker id */
async function run(...words: string[]): Promise<{ readonly id: string; readonly dockerId: string }> {
  const dockerId = await cli.ok('run', '-d', ...LABEL, ...words, IMAGE);
  return { id: await host.containerIdOf(dockerId), dockerId };
}

function receiptOf(id: string) {
  return JSON.parse(readFileSync(join(root, 'var/lib/ecs-host-service/receipts', `${id}.json`), 'utf8'));
}

/** Resolves when the container whose creation began after log line `from` is gone. */
async function goneSince(from: number): Promise<void> {
  const { container } = await service.line(
    ({ msg, to }) => msg === 'container is gone' && to === 'gone',
    from,
  );
  await service.gone(container as string);
}

test('the label alone makes a container a hosted one, which serves, is stopped, and leaves a receipt', async () => {
  const { id, dockerId } = await run('--name', 'one', '-p', '8080:80', '-p', '32262:32262');
  const port = await host.hostPort(dockerId);
  assert.deepEqual([port, await host.hostPort(dockerId, '80/tcp')], [32262, 8080]);
  for (const other of ['32263/udp', '32273/tcp']) assert.ok((await host.hostPort(dockerId, other)) > 0);
  const mappings = join(root, 'fractal', id, 'containerResourceMappings');
  assert.equal(readFileSync(join(mappings, 'hostPort_for_my_32262_tcp'), 'utf8'), String(port));
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
  const found = await askTcp(port);
  assert.deepEqual([found.dpi, found.port], ['96', String(port)]);
  assert.equal(await cli.ok('stop', 'one'), 'one');
  await service.gone(id);
  await until('its receipt exists', () =>
    existsSync(join(root, 'var/lib/ecs-host-service/receipts', `${id}.json`)),
  );
  const { role, app, docker, resources } = receiptOf(id);
  assert.deepEqual([role, app, docker], ['docker', 'demo', dockerId]);
  assert.ok(
    resources.some(({ kind, what }: Record<string, string>) => kind === 'port' && what === 'tcp 8080'),
  );
  await cli.ok('rm', 'one');
});

test("a container's port and console are set before its program runs, its terminal works, and --rm leaves nothing", async () => {
  const script = `cat ${MAPPINGS}/hostPort_for_my_32262_tcp; echo; cat ${MAPPINGS}/tty; exit 5`;
  const { code, out, err } = await cli.run('run', '--rm', ...LABEL, SHELL, 'sh', '-c', script);
  assert.match(out, /^\d{4,5}\n\d\d$/, err);
  assert.equal(code, 5);
  const terminal = cli.onTerminal(
    'run',
    '--rm',
    '-it',
    ...LABEL,
    SHELL,
    'sh',
    '-c',
    'read line; echo "got $line"',
  );
  terminal.child.stdin.write('this\n');
  await terminal.wrote('got this');
  assert.equal((await terminal.finish()).code, 0);
});

test('a container with the label ecs-host-service.console=none gets no console', async () => {
  const words = ['--label', 'ecs-host-service.console=none', SHELL, 'sh', '-c', 'read line'];
  const dockerId = await cli.ok('run', '-d', '-i', ...LABEL, ...words);
  const id = await host.containerIdOf(dockerId);
  assert.equal(existsSync(join(root, 'fractal', id, 'containerResourceMappings/tty')), false);
  const { HostConfig } = await host.docker.getContainer(dockerId).inspect();
  assert.doesNotMatch(JSON.stringify(HostConfig.DeviceCgroupRules), /c 4:/);
  assert.ok(!service.heldByContainers().some((held) => /tty/.test(JSON.stringify(held))));
  await cli.ok('rm', '-f', dockerId);
});

test('the placeholder in Binds and in Mounts is replaced with the container id', async () => {
  const api = new Dockerode({ socketPath: proxy });
  const made = await api.createContainer({
    Image: IMAGE,
    HostConfig: {
      Binds: [`${root}/fractal/${PLACEHOLDER}/containerResourceMappings:${MAPPINGS}:ro`],
      Mounts: [
        {
          Type: 'bind',
          Source: `${root}/fractal/temp/${PLACEHOLDER}/sockets`,
          Target: '/tmp/sockets',
        } as never,
      ],
      PortBindings: { '32262/tcp': [{ HostPort: '0' }] },
    },
  });
  const id = await host.containerIdOf(made.id);
  const { Mounts, HostConfig } = await made.inspect();
  const sources = new Map(Mounts.map(({ Source, Destination }) => [Destination, Source]));
  assert.equal(sources.get(MAPPINGS), join(root, 'fractal', id, 'containerResourceMappings'));
  assert.equal(sources.get('/tmp/sockets'), join(root, 'fractal/temp', id, 'sockets'));
  assert.deepEqual(Object.keys(HostConfig.PortBindings), ['32262/tcp']);
  await made.start();
  const port = await host.hostPort(made.id);
  assert.deepEqual(await startValues(service, port), OK);
  await made.remove({ force: true });
  await service.gone(id);
});

test('containers that are created at once get different resources, which are released when Docker removes them', async () => {
  const [one, two] = await Promise.all([run('--rm', '--name', 'one'), run('--rm', '--name', 'two')]);
  const ports = await Promise.all([host.hostPort(one.dockerId), host.hostPort(two.dockerId)]);
  assert.notEqual(ports[0], ports[1]);
  for (const port of ports) {
    assert.deepEqual(await token(service, port), OK);
    assert.deepEqual(await startValues(service, port), OK);
  }
  const consoles = await Promise.all(ports.map(async (port) => (await askTcp(port)).tty));
  assert.notEqual(consoles[0], consoles[1]);
  await cli.ok('stop', 'one', 'two');
  await Promise.all([service.gone(one.id), service.gone(two.id)]);
  await until(
    'Docker has removed both',
    async () => (await host.docker.listContainers({ all: true })).length === 0,
  );
});

test('names and short ids work; a hosted container can be started once, and neither a call nor Docker can restart it', async () => {
  const dockerId = await cli.ok('create', '--name', 'one', ...LABEL, IMAGE);
  const id = await host.containerIdOf(dockerId);
  // As in Docker, all but the first change nothing.
  await Promise.all(['one', dockerId.slice(0, 10), dockerId].map((ref) => cli.ok('start', ref)));
  await cli.ok('start', 'one');
  assert.match(await cli.fails('restart', 'one'), /cannot be restarted: .*; make a new one/);
  assert.match(
    await cli.fails('update', '--restart', 'always', 'one'),
    /restart policy "always".*leave the policy out/,
  );
  await cli.ok('update', '--memory', '64m', '--memory-swap', '64m', 'one');
  await cli.ok('pause', 'one');
  await cli.ok('unpause', 'one');
  assert.ok((await host.docker.getContainer('one').inspect()).State.Running);
  await cli.ok('kill', 'one');
  await service.gone(id);
  for (const ref of ['one', dockerId])
    assert.match(await cli.fails('start', ref), new RegExp(`${id} has ended`));
  await cli.ok('rm', 'one');
});

test("a request that would break a container's isolation is refused, and no container is made", async () => {
  const refused: readonly [readonly string[], RegExp][] = [
    [['--privileged'], /must not be privileged/],
    [['--network', 'host'], /network mode "host"/],
    [['--network', 'none'], /network mode "none"/],
    [['--restart', 'always'], /restart policy "always"/],
    [['--device', '/dev/tty0:/dev/x'], /may not ask for HostConfig\.Devices.*"\/dev\/tty0"/],
    [['--device-cgroup-rule', 'c 4:* rwm'], /may not ask for HostConfig\.DeviceCgroupRules/],
    [['-v', '/:/host'], /may not ask for HostConfig\.Binds\[0\] "\/"/],
  ];
  for (const [words, why] of refused) {
    assert.match(await cli.fails('run', '-d', ...LABEL, ...words, IMAGE), why, words.join(' '));
  }
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
});

test('a container that was never started is released when it is removed', async () => {
  const dockerId = await cli.ok('create', ...LABEL, IMAGE);
  const id = await host.containerIdOf(dockerId);
  assert.ok(service.heldByContainers().length > 0);
  await cli.ok('rm', dockerId);
  await service.gone(id);
});

test("if Docker refuses a request, the client receives Docker's words, and everything is released", async () => {
  const from = service.lines.length;
  const missing = ['create', '--pull=never', ...LABEL, 'nothing:here'];
  const said = await new DockerCli('/run/docker.sock').run(...missing);
  assert.match(said.err, /No such image/);
  assert.deepEqual(await cli.run(...missing), said);
  await goneSince(from);

  const other = createServer().listen(8099).unref();
  await once(other, 'listening');
  for (const [words, why] of [
    [['-p', '8099:80', IMAGE], /address already in use/],
    [[SHELL, '/nowhere'], /no such file or directory/],
  ] as const) {
    const start = service.lines.length;
    assert.match(await cli.fails('run', '-d', '--name', 'one', ...LABEL, ...words), why);
    await goneSince(start);
    await assertNothingIsLeft();
  }
  other.close();
});

/** A connection that has requested a container. */
function asking(target = '/v1.41/containers/create'): Socket {
  const body = JSON.stringify({ Image: IMAGE, Labels: { 'ecs-host-service.interactive': 'true' } });
  const head = [`POST ${target} HTTP/1.1`, 'Host: docker', 'Content-Type: application/json'];
  const socket = connect(proxy);
  socket.write([...head, `Content-Length: ${body.length}`, '', body].join('\r\n'));
  return socket;
}

test('a container is hosted however the path of its create is written', async () => {
  for (const target of ['/v1.41/containers/%63reate', 'http://docker/containers%2fcreate']) {
    const from = service.lines.length;
    const socket = asking(target);
    const [answer] = await once(socket, 'data');
    const [, dockerId] = /^HTTP\/1\.1 201 .*"Id":"(\w+)"/s.exec(String(answer)) ?? [];
    assert.ok(dockerId && (await host.containerIdOf(dockerId)), String(answer));
    await cli.ok('rm', dockerId);
    await goneSince(from);
    socket.destroy();
  }
});

test('a client that disconnects while its container is created leaves nothing behind', async () => {
  const moments: readonly ((from: number) => Promise<unknown>)[] = [
    async () => {},
    (from) => service.line(({ msg, kind }) => msg === 'taken' && kind === 'tty', from),
  ];
  for (const moment of moments) {
    const from = service.lines.length;
    const socket = asking();
    await once(socket, 'connect');
    await moment(from);
    socket.destroySoon();
    await goneSince(from);
    await assertNothingIsLeft();
  }
});

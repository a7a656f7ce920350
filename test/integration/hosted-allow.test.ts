/** Attackers' requests to Docker for hosted containers, in their own words: through Docker's API, command line and Compose. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { PLACEHOLDER } from '../../container/creation/create-body.ts';
import { IMAGE } from '../../scripts/image.ts';
import { Cli, DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import { callProxy } from '../support/proxy-call.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LABEL = '"ecs-host-service.interactive":"true"';
const ALLOWED = 'CapAdd=SYS_PTRACE,Binds=/usr/share';

let host: TestHost;
let service: ServiceProcess;
let root: string;
let proxy: string;
let cli: DockerCli;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
  root = host.newRoot();
  service = await host.start({ env: { ROOT: root, HOSTED_ALLOW: ALLOWED } }).ready();
  proxy = join(root, 'run/ecs-host-service/docker.sock');
  cli = new DockerCli(proxy);
});
after(async () => {
  try {
    assert.equal(await service.stop(), 0, service.log());
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});
afterEach(async () => {
  for (const { Id } of await host.docker.listContainers({ all: true })) {
    await host.docker.getContainer(Id).remove({ force: true });
  }
  await until('nothing is held', () => service.heldByContainers().length === 0);
});

const post = (path: string, body: string | Buffer, type?: string, method = 'POST') =>
  callProxy(proxy, method, path, body, type);

/** A create body by someone who hopes that its second part is overlooked. */
function body(fields: string, hostFields = ''): string {
  return `{"Image":"${IMAGE}","Labels":{${LABEL}}${fields},"HostConfig":{${hostFields}}}`;
}

const ATTACKS: readonly string[] = [
  body('', '"devicecgrouprules":["a *:* rwm"]'),
  body('', '"networkMode":"host"'),
  body('', '"networkmode":"none"'),
  body(',"hostConfig":{"Privileged":true}'),
  body(',"HOSTCONFIG":{"Binds":["/:/host"]}'),
  body(',"HoſtConfig":{"Binds":["/:/host"]}'),
  body('', '"restartPolicy":{"name":"always"}'),
  body('', '"RestartPolicy":{"Name":"no","name":"always"}'),
  body('', '"CapAdd":["SYS_ADMIN"],"SecurityOpt":["seccomp=unconfined","apparmor=unconfined"]'),
  body('', '"maskedPaths":[],"readonlyPaths":[]'),
  body('', '"pidMode":"host"'),
  body('', '"IpcMode":"host"'),
  body('', '"UTSMode":"host"'),
  body('', '"cgroupParent":"/system.slice"'),
  body('', '"Binds":["/dev:/host"]'),
  body('', '"Binds":["/etc:/host"]'),
  body('', '"Binds":["/run/docker.sock:/docker.sock"]'),
  body('', '"Binds":["/fractal:/host"]'),
  body('', `"Binds":["/fractal/${PLACEHOLDER}/..:/host"]`),
  body('', '"Binds":["/usr/share/../..:/host"]'),
  body('', '"Binds":["/usr/share:/host:shared"]'),
  body('', '"mounts":[{"type":"bind","source":"/","target":"/host"}]'),
  body(
    '',
    '"Mounts":[{"Type":"bind","Source":"/run/udev/data","source":"/","Target":"/host","ReadOnly":true}]',
  ),
  body(
    '',
    '"Mounts":[{"Type":"volume","Source":"v","Target":"/v","VolumeOptions":{"driverconfig":{"name":"local","options":{"type":"none","o":"bind","device":"/etc"}}}}]',
  ),
  body('', '"Devices":[{"PathOnHost":"/dev/sda","PathInContainer":"/dev/sda","CgroupPermissions":"rwm"}]'),
  body('', '"LogConfig":{"Type":"syslog","Config":{"syslog-address":"unixgram:///run/docker.sock"}}'),
  body(',"Binds":["/:/host"]'),
  body(',"NetworkingConfig":{"EndpointsConfig":{"host":{}}}'),
  `${body('')} {"HostConfig":{"Privileged":true}}`,
  `{"image":"${IMAGE}","labels":{${LABEL}},"hostconfig":{"privileged":true}}`,
  `{"Image":"${IMAGE}","hostconfig":{"binds":["/fractal/${PLACEHOLDER}:/x","/:/host"]}}`,
  `{"Image":"${IMAGE}","Labels":{${LABEL}},"labels":{},"HostConfig":{"Privileged":true}}`,
  `{"Image":"${IMAGE}","Labels":{${LABEL}},"a":${'['.repeat(5000)}${']'.repeat(5000)},"HostConfig":{"Privileged":true}}`,
];

test("an attacker's requests are refused and leave nothing behind", async () => {
  for (const attack of ATTACKS) {
    const { status, message } = await post('/v1.41/containers/create?name=attack', attack);
    assert.equal(status, 422, `${attack}: ${message}`);
  }
  const invalid = Buffer.concat([
    Buffer.from(body('', '"Runtime":"x').slice(0, -2)),
    Buffer.from([0xff]),
    Buffer.from('"}}'),
  ]);
  assert.equal((await post('/v1.41/containers/create', invalid)).status, 422);
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  assert.deepEqual(service.heldByContainers(), []);
});

test('volumes and containers that lead to the host are refused', async () => {
  const device = '/sys/fs/cgroup';
  await cli.ok('volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', `device=${device}`, 'groups');
  await cli.ok('run', '-d', '--name', 'binder', '-v', '/etc:/host', '-v', 'plain:/plain', SHELL);
  await cli.ok('run', '-d', '--name', 'volumes', '-v', 'plain:/plain', SHELL);
  await cli.ok('run', '-d', '--name', 'bound', '-v', 'groups:/groups', SHELL);
  await cli.ok('run', '-d', '--name', 'host', '--network', 'host', '--pid', 'host', '--ipc', 'host', SHELL);
  const hosted = ['create', '--label', 'ecs-host-service.interactive=true'];
  const attacks: readonly (readonly string[])[] = [
    ['-v', 'groups:/groups'],
    ['--mount', 'type=volume,source=groups,target=/groups'],
    ['--volumes-from', 'binder'],
    ['--volumes-from', 'bound:ro'],
    ['--network', 'container:host'],
    ['--pid', 'container:host'],
    ['--ipc', 'container:host'],
    ['--pid', 'container:volumes'],
    ['--link', 'volumes'],
  ];
  for (const words of attacks) {
    assert.match(
      await cli.fails(...hosted, ...words, IMAGE),
      /may not ask for|must publish/,
      words.join(' '),
    );
  }
  const id = await cli.ok(...hosted, '--volumes-from', 'volumes', '-v', 'plain:/again', IMAGE);
  const { Mounts } = await host.docker.getContainer(id).inspect();
  assert.deepEqual(
    Mounts.filter(({ Name }) => Name === 'plain')
      .map(({ Destination }) => Destination)
      .toSorted(),
    ['/again', '/plain'],
  );
});

test('processes are shared only with a container of the task that has no more rights and nothing of the host', async () => {
  const task = ['--label', 'com.amazonaws.ecs.task-arn=arn:aws:ecs:region:1:task/cluster/one'];
  const hosted = [...task, '--label', 'ecs-host-service.interactive=true', '--pid', 'container:partner'];
  const partner = ['run', '-d', '--name', 'partner', ...task];
  for (const words of [
    ['-v', '/etc:/host'],
    ['--mount', 'type=bind,source=/etc,target=/host'],
    ['--cap-add', 'SYS_ADMIN'],
    ['--device', '/dev/null:/dev/x'],
    ['--device-cgroup-rule', 'c 4:* rwm'],
    ['--security-opt', 'seccomp=unconfined'],
    ['--security-opt', 'systempaths=unconfined'],
    ['--network', 'host'],
    ['--ipc', 'host'],
    ['--uts', 'host'],
  ]) {
    await cli.ok(...partner, ...words, SHELL);
    const said = await cli.fails('run', ...hosted, SHELL, 'cat', '/proc/1/root/host/hostname');
    assert.match(said, /may not ask for HostConfig\.PidMode of a container with/, words.join(' '));
    await cli.ok('rm', '-f', 'partner');
  }
  await cli.ok(...partner, '-v', '/data', '--cap-add', 'SYS_NICE', SHELL);
  assert.equal(await cli.ok('run', ...hosted, SHELL, 'cat', '/proc/1/comm'), 'sleep');
});

/** The answer of Docker, or of this service, to a request with this target. */
async function ask(target: string, content = '', fields = ['Connection: close']): Promise<string> {
  const socket = connect(proxy);
  const head = [`POST ${target} HTTP/1.1`, 'Host: docker', 'Content-Type: application/json', ...fields];
  socket.end([...head, `Content-Length: ${content.length}`, '', content].join('\r\n'));
  return await text(socket);
}

test('later calls give a hosted container no additional rights', async () => {
  await cli.ok('run', '-d', '--name', 'one', '--label', 'ecs-host-service.interactive=true', SHELL);
  const before = await host.docker.getContainer('one').inspect();
  for (const target of [
    'x://h/containers/one/restart',
    'http:/v1.41/containers/one/restart',
    'h:80/containers/one/restart',
  ]) {
    assert.match(await ask(target), /^HTTP\/1\.1 400 /, target);
  }
  for (const target of ['http://h/containers/one/restart', '/v1.41/containers/one/%72estart'])
    assert.match(await ask(target), /^HTTP\/1\.1 409 /, target);
  const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAA'];
  assert.match(await ask('/v1.41/containers/json', '', upgrade), /^HTTP\/1\.1 400 .*HTTP\/2 are not/s);
  await cli.ok('create', '--name', 'two', '--label', 'ecs-host-service.interactive=true', SHELL);
  for (const target of ['?checkpoint=c', '?checkpoint-dir=/etc&checkpoint=c', '?%63heckpoint=c'])
    assert.equal((await post(`/v1.41/containers/two/start${target}`, '')).status, 422, target);
  for (const [path, content] of [
    ['update', '{"restartPolicy":{"Name":"always"}}'],
    ['update', '{"Memory":67108864,"devicecgrouprules":["a *:* rwm"]}'],
    ['update', '{"PidsLimit":-1}'],
    ['update', '{"RestartPolicy":{},"restartpolicy":{"name":"always"}}'],
    ['exec', '{"privileged":true,"Cmd":["/bin/true"]}'],
    ['exec', '{"Cmd":["/bin/true"],"Privileged":false,"privileged":true}'],
    ['exec', '{"Cmd":["/bin/true"]} x'],
  ] as const) {
    const { status, message } = await post(`/v1.41/containers/one/${path}`, content);
    assert.equal(status, 422, `${path} ${content}: ${message}`);
  }
  assert.match(
    await cli.fails('exec', '--privileged', 'one', 'cat'),
    /may not ask for Privileged true.*Exec=privileged/,
  );
  assert.match(await cli.fails('network', 'connect', 'host', 'one'), /may not ask for the network/);
  const own = '{"container":"one","endpointconfig":{"macaddress":"02:00:00:00:00:01"}}';
  await cli.ok('network', 'create', 'net');
  assert.equal((await post('/v1.41/networks/net/connect', own)).status, 422);
  const after = await host.docker.getContainer('one').inspect();
  assert.deepEqual(after.HostConfig, before.HostConfig);
  assert.equal(after.State.StartedAt, before.State.StartedAt);

  await cli.ok('network', 'connect', '--alias', 'other', 'net', 'one');
  await cli.ok('update', '--memory', '64m', '--memory-swap', '64m', 'one');
  assert.equal(await cli.ok('exec', '-e', 'A=b', '-w', '/', 'one', 'sh', '-c', 'echo $A'), 'b');
  await cli.ok('rm', '-f', 'one');
  await cli.ok('network', 'rm', 'net');
});

test('files can be copied into a container, but not into its mounts from the host', async () => {
  await cli.ok('run', '-d', '--name', 'one', '--label', 'ecs-host-service.interactive=true', SHELL);
  const desk = join(host.newRoot(), 'desk');
  mkdirSync(desk);
  writeFileSync(join(desk, 'file'), 'text');
  symlinkSync('/fractal', join(desk, 'link'));
  await cli.ok('cp', desk, 'one:/desk');
  assert.equal(await cli.ok('exec', 'one', 'cat', '/desk/file'), 'text');
  for (const target of [
    '/fractal/userConfigs/x',
    '/fractal/resourceMappings/x',
    '/tmp/sockets/uinput.sock',
    '/tmp/../fractal/userConfigs/x',
    '/desk/link/userConfigs/x',
  ]) {
    const said = await cli.fails('cp', join(desk, 'file'), `one:${target}`);
    assert.match(said, /you cannot copy to \/|does not exist|marked read-only/, target);
  }
  const archive = execFileSync('tar', ['-C', desk, '-cf', '-', 'file']);
  for (const query of ['path=/tmp/sockets', 'a=b?&path=/tmp/sockets', 'a=b;%70ath=/tmp/sockets']) {
    const path = `/v1.41/containers/one/archive?${query}`;
    const { status, message } = await post(path, archive, 'application/x-tar', 'PUT');
    assert.match(`${status} ${message}`, /^403 .*you cannot copy to/, query);
  }
});

test('a Compose service with its own volume and network is hosted, and one with host access is refused', async () => {
  const directory = host.newRoot();
  const file = join(directory, 'compose.yaml');
  const project = new Cli('docker-compose', ['-H', `unix://${proxy}`, '-f', file, '-p', 'demo']);
  const place = (more: string) => `version: "3.7"
services:
  place:
    image: ${IMAGE}
    labels:
      ecs-host-service.interactive: "true"
${more}
volumes:
  data:
`;
  writeFileSync(
    file,
    place('    volumes: ["data:/data"]\n    tmpfs: ["/scratch"]\n    cap_drop: ["ALL"]\n    init: true'),
  );
  await project.ok('up', '-d');
  await project.ok('down');
  writeFileSync(file, place('    volumes: ["/etc:/host"]\n    pid: host'));
  const { code, out, err } = await project.run('up', '-d');
  assert.notEqual(code, 0);
  assert.match(out + err, /may not ask for HostConfig/);
  await project.ok('down');
});

test('a right that the operator has allowed can be requested, and doctor shows it', async () => {
  const words = ['--cap-add', 'SYS_PTRACE', '-v', '/usr/share:/share:ro'];
  await cli.ok('run', '-d', '--label', 'ecs-host-service.interactive=true', ...words, IMAGE);
  const doctor = host.start({ env: { ROOT: root, HOSTED_ALLOW: ALLOWED }, arguments: ['doctor'] });
  await doctor.ended();
  assert.match(doctor.log(), /hosted containers +HOSTED_ALLOW=CapAdd=SYS_PTRACE,Binds=\/usr\/share/);
});

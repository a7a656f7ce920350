/** A shell on the host, as the user that a setting names. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { processesThat, sessionOf } from '../../host/processes.ts';
import { keepsNone } from '../support/descriptors.ts';
import { Operator } from '../support/operator.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { TestHost } from '../support/test-host.ts';

/**
 * In the test's own mounts, the host has more users: one in an additional group, one in a group with root's rights, one whom
 * sudo makes root, and one who is root under another name.
 */
const USERS = {
  passwd: [
    'visitor:x:4242:4242::/tmp:/bin/sh',
    'insider:x:4244:4244::/tmp:/bin/sh',
    'deputy:x:4246:4246::/tmp:/bin/sh',
    'twin:x:0:0::/tmp:/bin/sh',
    '',
  ].join('\n'),
  group: 'helpers:x:4243:visitor\nwheel:x:4245:insider\n',
  subuid: 'visitor:700000:65536\n',
  sudoers: 'deputy ALL=(root) NOPASSWD: /bin/true\n',
};

const GUARD = join(import.meta.dirname, '../../packaging/metadata-guard.sh');

let host: TestHost;
before(async () => {
  mkdirSync('/run/test', { recursive: true });
  for (const [name, line] of Object.entries(USERS)) {
    const before = existsSync(`/etc/${name}`) ? readFileSync(`/etc/${name}`, 'utf8') : '';
    writeFileSync(`/run/test/${name}`, `${before}${line}`);
    if (!existsSync(`/etc/${name}`)) continue;
    execFileSync('mount', ['--bind', `/run/test/${name}`, `/etc/${name}`]);
  }
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

async function begin(env: Record<string, string> = { HOST_SHELL_USER: 'visitor' }) {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, SECRET_OF_THE_SERVICE: 'yes', ...env } }).ready();
  return { root, service };
}

async function sessionOfShell(client: TerminalClient): Promise<number> {
  client.type('echo pid=$$.\r');
  await client.until(() => /pid=\d+\./.test(client.printed.toString()));
  return Number(/pid=(\d+)\./.exec(client.printed.toString())?.[1]);
}

async function left(session: number): Promise<number> {
  return (await processesThat(async (pid) => sessionOf(pid) === session)).length;
}

test("a shell on the host is not spared by the kernel's OOM killer, unlike the service", async () => {
  // It is not -500, which a test may lack the right to set. What matters is that it is not inherited.
  writeFileSync('/proc/self/oom_score_adj', '300');
  const { root, service } = await begin();
  using client = await TerminalClient.open(root, '/host/terminal?columns=100&rows=30&type=vt100');
  client.type('echo adjusted=$(cat /proc/self/oom_score_adj).\r');
  await client.until(() => /adjusted=-?\d+\./.test(client.printed.toString()));
  assert.match(client.printed.toString(), /adjusted=0\./);
  client.type('exit\r');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 0 });
  assert.equal(await service.stop(), 0, service.log());
  writeFileSync('/proc/self/oom_score_adj', '0');
});

test('a shell on the host has only its user’s rights, and no group or variable of the service', async () => {
  const { root, service } = await begin();
  using client = await TerminalClient.open(root, '/host/terminal?columns=100&rows=30&type=vt100');
  client.type('id; stty size; echo "$TERM $HOME $USER"; env; echo DO""NE\r');
  await client.sees('DONE');
  const printed = client.printed.toString();
  assert.match(
    printed,
    /uid=4242\(visitor\) gid=4242 groups=4242,4243\(helpers\)\r\n30 100\r\nvt100 \/tmp visitor\r\n/,
  );
  assert.ok(!printed.includes('SECRET_OF_THE_SERVICE'), printed);
  const [open] = (await new Operator(root).get('/v1/terminals')).body.terminals;
  assert.deepEqual([open.container, open.user], [undefined, 'visitor']);
  client.type('exit 3\r');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 3 });
  assert.equal(await service.stop(), 0, service.log());
});

test('a shell on the host has no descriptor of the service or of another shell', async () => {
  const { root, service } = await begin();
  using other = await TerminalClient.open(root, '/host/terminal');
  using client = await TerminalClient.open(root, '/host/terminal');
  client.type('ls -l /proc/$$/fd; echo DO""NE\r');
  await client.sees('DONE');
  const open = [...client.printed.toString().matchAll(/(\d+) -> (.+)\r\n/g)];
  assert.ok(open.length >= 3);
  for (const [, number, path = ''] of open)
    assert.match(path, /\/dev\/(pts\/\d+|tty)\b/, `descriptor ${number}`);
  for (const { terminal } of [other, client])
    await new Operator(root).ask('POST', `/v1/terminals/${terminal}/end`);
  assert.equal(await service.stop(), 0, service.log());
});

test('a shell on the host also delivers 100 MB of output to the last byte', async () => {
  const { root, service } = await begin();
  using client = await TerminalClient.open(root, '/host/terminal');
  client.type(
    'stty -opost -echo; exec 2> /dev/null; yes 0123456789abcde | head -c 100000000; echo THE END; exit\r',
  );
  const { bytes } = client;
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 0 });
  assert.ok(client.printed.toString().endsWith('THE END\n'));
  assert.ok(client.bytes - bytes >= 100_000_000);
  assert.equal(await service.stop(), 0, service.log());
});

for (const [how, end] of [
  ['is ended', (root: string, id: string) => new Operator(root).ask('POST', `/v1/terminals/${id}/end`)],
  ['ends with its service', undefined],
] as const) {
  test(`a shell on the host that ${how} leaves no process behind`, async () => {
    const { root, service } = await begin();
    using client = await TerminalClient.open(root, '/host/terminal');
    const session = await sessionOfShell(client);
    client.type('trap "" HUP; (trap "" HUP; sleep 1000) & echo read$((1 + 1))\r');
    await client.sees('read2');
    assert.ok((await left(session)) >= 2);
    if (end) await end(root, client.terminal);
    else assert.equal(await service.stop(), 0, service.log());
    assert.equal((await client.ended())?.type, 'ended');
    assert.equal(await left(session), 0);
    assert.equal(await service.stop(), 0, service.log());
  });
}

test('input that a program on the host does not read uses no memory', async () => {
  const { root, service } = await begin();
  using client = await TerminalClient.open(root, '/host/terminal');
  client.type('stty raw -echo; echo ra""w; sleep 1000\r');
  await client.sees('raw');
  for (let i = 0; i < 2000; i++) client.type(Buffer.alloc(32 * 1024, 'x'));
  // All of it would have been accepted within the time of ten answers.
  for (let i = 0; i < 10; i++) await new Operator(root).get('/v1/terminals');
  const waiting = client.socket.bufferedAmount;
  assert.ok(waiting > 50 * 2 ** 20, `${waiting} bytes wait outside the service`);
  await new Operator(root).ask('POST', `/v1/terminals/${client.terminal}/end`);
  assert.equal(await service.stop(), 0, service.log());
});

test('shells on the host leave no open descriptor in the service', async () => {
  const { root, service } = await begin();
  await keepsNone(service.child.pid as number, async () => {
    using client = await TerminalClient.open(root, '/host/terminal');
    client.type('exit\r');
    await client.ended();
  });
  assert.equal(await service.stop(), 0, service.log());
});

test('a killed service leaves no process of a shell on the host behind', async () => {
  const { root, service } = await begin();
  using client = await TerminalClient.open(root, '/host/terminal');
  const session = await sessionOfShell(client);
  client.type('sleep 1000\r');
  await client.sees('sleep 1000\r\n');
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  while ((await left(session)) > 0);
  const next = await host.start({ env: { ROOT: root } }).ready();
  assert.equal(await next.stop(), 0, next.log());
});

/** Upgrades a service under the launcher. */
async function upgrade(service: ServiceProcess): Promise<void> {
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
}

/** A service that the launcher starts again. */
async function beginLaunched() {
  const root = host.newRoot();
  const env = { ROOT: root, HOST_SHELL_USER: 'visitor' };
  return { root, service: await host.start({ launcher: [], env }).ready() };
}

test('a shell on the host keeps running in a hand-over, and the next service learns its exit code', async () => {
  const { root, service } = await beginLaunched();
  using before = await TerminalClient.open(root, '/host/terminal?columns=100&rows=30');
  const session = await sessionOfShell(before);
  before.type('variable=stays; echo re""ady\r');
  await before.sees('ready');
  await upgrade(service);
  await before.until(() => before.isClosed);
  assert.equal(before.closed, 1012);
  const [open] = (await new Operator(root).get('/v1/terminals')).body.terminals;
  assert.deepEqual([open.id, open.user, open.container], [before.terminal, 'visitor', undefined]);
  const path = `/terminals/${before.terminal}/attach?after=${before.bytes}`;
  using client = await TerminalClient.open(root, path);
  client.type('echo "$variable $(stty size)"; cat /proc/self/status | grep NoNewPrivs\r');
  await client.sees('NoNewPrivs:\t1');
  assert.match(client.printed.toString(), /stays 30 100\r\n/);
  client.socket.send('{"type":"resize","columns":90,"rows":20}');
  client.type('stty size; exit 5\r');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 5 });
  assert.match(client.printed.toString(), /20 90\r\n/);
  assert.equal(await left(session), 0);
  assert.equal(await service.stop(), 0, service.log());
});

test('the next service learns the exit code of a shell that ends during the hand-over', async () => {
  const { root, service } = await beginLaunched();
  using client = await TerminalClient.open(root, '/host/terminal');
  const { pid } = service.child;
  const running = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  client.type(`echo be""gins; while [ -d /proc/${running} ]; do sleep 0.01; done; exit 9\r`);
  await client.sees('begins');
  await upgrade(service);
  const ended = await service.message('terminal ended');
  assert.deepEqual([ended.terminal, ended.exitCode], [client.terminal, 9]);
  assert.equal(await service.stop(), 0, service.log());
});

test('a stop after a hand-over leaves no process of a shell on the host behind', async () => {
  const { root, service } = await beginLaunched();
  using client = await TerminalClient.open(root, '/host/terminal');
  const session = await sessionOfShell(client);
  client.type('trap "" HUP; (trap "" HUP; sleep 1000) & echo read$((1 + 1))\r');
  await client.sees('read2');
  await upgrade(service);
  assert.ok((await left(session)) >= 2);
  assert.equal(await service.stop(), 0, service.log());
  assert.equal(await left(session), 0);
});

test("the service does not start if the user for shells has root's rights", async () => {
  for (const [user, why] of [
    ['root', 'root is root'],
    ['twin', 'twin is root'],
    ['insider', 'insider is in the group wheel'],
    ['deputy', 'sudo lets deputy run programs as somebody else'],
  ]) {
    const env = { ROOT: host.newRoot(), HOST_SHELL_USER: user as string };
    const service = host.start({ env });
    assert.equal(await service.ended(), 1);
    assert.match(
      service.log(),
      new RegExp(`HOST_SHELL_USER names a user who has the same rights as root: ${why};`),
    );
  }
});

test("a user who gains root's rights after the start gets no shell any more", async () => {
  const { root, service } = await begin();
  const group = readFileSync('/run/test/group', 'utf8');
  writeFileSync('/run/test/group', `${group}lxd:x:4247:visitor\n`);
  try {
    await assert.rejects(TerminalClient.open(root, '/host/terminal'), /Unexpected server response: 403/);
  } finally {
    writeFileSync('/run/test/group', group);
  }
  using client = await TerminalClient.open(root, '/host/terminal');
  client.type('exit\r');
  await client.ended();
  assert.equal(await service.stop(), 0, service.log());
});

test("with HOST_SHELL_AS_ROOT, a shell may be root's, and can gain no other privileges", async () => {
  const { root, service } = await begin({ HOST_SHELL_USER: 'insider', HOST_SHELL_AS_ROOT: 'yes' });
  assert.match(service.log(), /operators can become root on this host through its shell/);
  using client = await TerminalClient.open(root, '/host/terminal');
  client.type('grep NoNewPrivs /proc/self/status; echo DO""NE\r');
  await client.sees('DONE');
  assert.match(client.printed.toString(), /NoNewPrivs:\s+1/);
  assert.equal(await service.stop(), 0, service.log());
});

test("a shell on the host cannot reach the host's credentials, and root can", async () => {
  const address = '169.254.169.254';
  const server = createServer((_, response) => response.end('the credentials')).listen(80, address);
  await once(server, 'listening');
  const ask = (from: string) =>
    `timeout 2 bash -c 'exec 3<>/dev/tcp/${from}/80; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'; echo DO""NE\r`;
  try {
    const { root, service } = await begin();
    using client = await TerminalClient.open(root, '/host/terminal');
    client.type(ask(address));
    await client.sees('DONE');
    assert.doesNotMatch(client.printed.toString(), /the credentials/);
    const reached = await fetch(`http://${address}/`);
    assert.equal(await reached.text(), 'the credentials');
    const rules = execFileSync('iptables', ['--table', 'raw', '--list-rules', 'OUTPUT'], {
      encoding: 'utf8',
    });
    for (const owner of ['4242', '700000-765535'])
      assert.match(rules, new RegExp(`-d ${address}/32 -m owner --uid-owner ${owner} -j DROP`));
    assert.equal(await service.stop(), 0, service.log());
    execFileSync(GUARD, ['off'], { stdio: 'ignore' });
    const left = execFileSync('iptables', ['--table', 'raw', '--list-rules', 'OUTPUT'], { encoding: 'utf8' });
    assert.doesNotMatch(left, /uid-owner/);
  } finally {
    server.close();
  }
});

test('without HOST_SHELL_USER, or with an unknown user, there is no shell on the host', async () => {
  for (const env of [{}, { HOST_SHELL_USER: 'nobody-else' }]) {
    const { root, service } = await begin(env);
    await assert.rejects(TerminalClient.open(root, '/host/terminal'), /Unexpected server response: 403/);
    assert.equal(await service.stop(), 0, service.log());
  }
});

/** A person at a terminal in a container, with a real pseudo-terminal at both ends. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { keepsNone } from '../support/descriptors.ts';
import { Operator } from '../support/operator.ts';
import { Person } from '../support/person.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { containerOn, importShellImage } from '../support/shell-image.ts';
import { until } from '../support/site.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { TestHost } from '../support/test-host.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const MIB = 2 ** 20;

let host: TestHost;
let service: ServiceProcess;
let root: string;
let id: string;
before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
  root = host.newRoot();
  service = await host
    .start({ env: { ROOT: root, TERMINALS_PER_CONTAINER: '12', LOG_LEVEL: 'info' } })
    .ready();
  id = await containerOn(root);
});
after(async () => {
  assert.equal(await service.stop(), 0, service.log());
  await host.finish();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  const left = await terminals();
  for (const one of left) await new Operator(root).ask('POST', `/v1/terminals/${String(one.id)}/end`);
  assert.deepEqual(left, [], 'terminals are left');
});

/** The command line in a person's terminal. */
function at(words: readonly string[], env: Record<string, string> = {}): Person {
  const all = { PATH: process.env.PATH as string, ROOT: root, ...env };
  return new Person(process.execPath, [...NODE_FLAGS, PROGRAM, ...words], { env: all });
}

async function inShell(): Promise<Person> {
  const person = at(['exec', '-it', id.slice(0, 12)]);
  await person.sees(/# /);
  return person;
}

function terminals(): Promise<Record<string, unknown>[]> {
  return new Operator(root).get('/v1/terminals').then(({ body }) => body.terminals);
}

function memoryOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

test('a shell in a container behaves like a local one, and its exit code is returned', async () => {
  const person = await inShell();
  person.type('tty; stty size; echo $TERM $((6 * 7))\r');
  await person.sees(/\/dev\/pts\/\d+\r\n24 80\r\nxterm 42\r\n/);
  person.type('exit 7\r');
  assert.equal(await person.ended(), 7);
});

test('an editor draws the screen and saves what was typed', async () => {
  const person = await inShell();
  person.type('vi /tmp/letter\r');
  await person.sees(/letter.* 0|\[No name\]|New|~\r?\n?/);
  person.type('iGrüße\rfrom far');
  await person.sees(/from far/);
  person.type('\x1b');
  await person.sees(/- \/tmp\/letter/);
  person.type(':wq\r');
  await person.sees(/# /);
  person.type('cat /tmp/letter; exit\r');
  await person.sees(/Grüße\r\nfrom far\r\n/);
  assert.equal(await person.ended(), 0);
});

test('Ctrl-C interrupts the foreground program, and Ctrl-Z suspends it until it is resumed', async () => {
  const person = await inShell();
  person.type('echo $((40 + 2)); cat > /dev/null\r');
  await person.sees(/\n42\r\n/);
  person.type('it reads this\r');
  await person.sees(/it reads this\r\n/);
  person.type('\x03');
  await person.sees(/\^C(.|\r|\n)*# /);
  person.type('echo $((50 + 3)); cat\r');
  await person.sees(/\n53\r\n/);
  person.type('still here\r');
  await person.sees(/still here\r\nstill here\r\n/);
  person.type('\x1a');
  await person.sees(/Stopped/);
  person.type('fg\r');
  await person.sees(/fg\r\ncat\r\n/);
  person.type('and again\r');
  await person.sees(/and again\r\nand again\r\n/);
  person.type('\x04');
  await person.sees(/# /);
  person.type('exit\r');
  assert.equal(await person.ended(), 0);
});

test('a resize while a program prints is applied, and no output is lost', async () => {
  const person = await inShell();
  person.type("seq 1 30000; echo DO''NE\r");
  for (let i = 1; i <= 20; i++) {
    person.resize(80 + i, 24 + i);
    await person.sees(new RegExp(`\\b${i * 1000}\r\n`));
  }
  await person.sees(/30000\r\nDONE\r\n/);
  person.type('stty size; exit\r');
  await person.sees(/44 100\r\n/);
  assert.equal(await person.ended(), 0);
});

test("100 MB of output arrive to the last byte, without growth of the service's memory", async () => {
  const command = [
    '/bin/sh',
    '-c',
    'yes 0123456789abcde | head -c 1000000 > /tmp/much; stty -opost; for i in $(seq 100); do cat /tmp/much; done; echo THE END; read x',
  ];
  const query = command.map((word) => `command=${encodeURIComponent(word)}`).join('&');
  using client = await TerminalClient.open(root, `/containers/${id}/terminal?${query}`);
  const before = memoryOf(service.child.pid as number);
  const length = 100_000_000 + 'THE END\n'.length;
  await client.until(() => client.bytes >= length);
  assert.equal(client.bytes, length);
  assert.ok(client.printed.toString().endsWith('THE END\n'));
  const grown = memoryOf(service.child.pid as number) - before;
  assert.ok(grown < 64 * MIB, `the memory has grown by ${grown} bytes`);
  client.type('\r');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 0 });
});

test('ten people can work at once, each in a terminal of their own', async () => {
  const people = await Promise.all(Array.from({ length: 10 }, () => inShell()));
  const names = await Promise.all(
    people.map(async (person, i) => {
      person.type(`echo I am $((${i} + 100)); tty\r`);
      return (await person.sees(new RegExp(`I am ${i + 100}\r\n(\\S+)\r\n`)))[1];
    }),
  );
  assert.equal(new Set(names).size, 10);
  assert.equal((await terminals()).length, 10);
  for (const person of people) person.type('exit\r');
  assert.deepEqual(await Promise.all(people.map((person) => person.ended())), Array(10).fill(0));
});

test('a terminal survives its connection, and a client that reconnects sees the output since then', async () => {
  const person = await inShell();
  person.type("sleep 0.2; echo whi''le away\r");
  await person.sees(/le away\r\n/);
  person.kill('SIGKILL');
  await person.ended();
  const [{ id: terminal }] = (await terminals()) as [{ id: string }];
  const again = at(['exec', '--attach', terminal]);
  await again.sees(/while away\r\n/);
  again.type("echo ba''ck\r");
  await again.sees(/back\r\n/);
  const watcher = at(['exec', '--attach', terminal, '--watch']);
  await watcher.sees(/back\r\n/);
  const refused = at(['exec', '--attach', terminal]);
  await refused.sees(/another client already has the input of terminal [0-9a-f]{16}/);
  assert.equal(await refused.ended(), 1);
  const taker = at(['exec', '--attach', terminal, '--take']);
  await taker.sees(/back\r\n/);
  again.type('exit 1\r');
  taker.type('exit 5\r');
  assert.deepEqual(await Promise.all([again, watcher, taker].map((one) => one.ended())), [5, 5, 5]);
});

test('a terminal gets the size of the client that reconnects', async () => {
  const person = await inShell();
  person.type('\x1d\x1d\x1d');
  const [, terminal = ''] = await person.sees(/exec --attach ([0-9a-f]{16})/);
  await person.ended();
  const words = [...NODE_FLAGS, PROGRAM, 'exec', '--attach', terminal];
  const env = { PATH: process.env.PATH as string, ROOT: root };
  const again = new Person(process.execPath, words, { env, columns: 100, rows: 30 });
  await again.sees(/# /);
  await until('the size is reported', async () => (await terminals())[0]?.columns === 100);
  again.type('stty size; exit\r');
  await again.sees(/30 100\r\n/);
  assert.equal(await again.ended(), 0);
});

test('if the reader of the output goes away, exec gives the person the local terminal back', async () => {
  const words = [process.execPath, ...NODE_FLAGS, PROGRAM, 'exec', '-it', id, 'yes'];
  const env = { PATH: process.env.PATH as string, ROOT: root };
  const person = new Person('sh', ['-c', '"$@" | head -n 1; stty -a', 'sh', ...words], { env });
  const [, terminal] = await person.sees(/exec --attach ([0-9a-f]{16})/);
  await person.sees(/ icanon .* echo /s);
  assert.equal(await person.ended(), 0);
  assert.equal((await new Operator(root).ask('POST', `/v1/terminals/${terminal}/end`)).status, 200);
});

test('a key detaches a person from a terminal, and its program keeps running until it is ended', async () => {
  const person = await inShell();
  person.type('nohup sleep 1000\r');
  await person.sees(/sleep 1000\r\n/);
  person.type('\x1d\x1d\x1d');
  const [, terminal = ''] = await person.sees(/exec --attach ([0-9a-f]{16})/);
  assert.equal(await person.ended(), 0);
  const sees = at(['terminals']);
  await sees.sees(
    new RegExp(`^TERMINAL .*\r\n${terminal}  ${id.slice(0, 12)}  /bin/sh  -     unix socket  80x24  0 `),
  );
  assert.equal(await sees.ended(), 0);
  assert.equal(await at(['terminals', '--end', terminal]).ended(), 0);
  const { Processes } = await host.docker.getContainer(await dockerIdOf()).top();
  assert.deepEqual(
    Processes.filter((columns: string[]) => columns.join(' ').includes('sleep 1000')),
    [],
  );
});

async function dockerIdOf(): Promise<string> {
  return (await new Operator(root).get(`/v1/containers/${id}`)).body.docker;
}

test('processes that a shell leaves behind when it exits keep running in the container', async () => {
  const person = await inShell();
  person.type('setsid sleep 2000 > /dev/null 2>&1 &\r');
  await person.sees(/# /);
  person.type('exit\r');
  assert.equal(await person.ended(), 0);
  const { Processes } = await host.docker.getContainer(await dockerIdOf()).top();
  assert.equal(Processes.filter((columns: string[]) => columns.join(' ').includes('sleep 2000')).length, 1);
});

test('a program runs as the requested user, without a local terminal, and its exit code is returned', async () => {
  using client = await TerminalClient.open(
    root,
    `/containers/${id}/terminal?command=id&command=-u&user=1000`,
  );
  await client.sees('1000\r\n');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 0 });
  const missing = at(['exec', id, '/no/such/program']);
  const code = await missing.ended();
  assert.ok(code === 126 || code === 127, `${code}: ${missing.printed}`);
});

test('a character that arrives in pieces is passed on whole, in both directions', async () => {
  using client = await TerminalClient.open(root, `/containers/${id}/terminal?command=cat`);
  for (const byte of Buffer.from('ä€𝄞')) client.type(Buffer.from([byte]));
  client.type('\r');
  await client.sees('ä€𝄞\r\nä€𝄞\r\n');
  client.type('\x04');
  assert.deepEqual(await client.ended(), { type: 'ended', exitCode: 0 });
});

test('terminals leave no open descriptor in the service', async () => {
  await keepsNone(service.child.pid as number, async () => {
    using client = await TerminalClient.open(root, `/containers/${id}/terminal?command=cat`);
    client.type('\x04');
    await client.ended();
  });
});

test('the log says who opened which terminal, and contains neither input nor arguments', async () => {
  using client = await TerminalClient.open(
    root,
    `/containers/${id}/terminal?command=cat&command=-&user=1000`,
  );
  client.type('my password is swordfish\r');
  await client.sees('swordfish\r\nmy password');
  client.type('\x04');
  await client.ended();
  const { terminal } = client;
  const said = service.lines.filter((line) => (line as { terminal?: string }).terminal === terminal);
  assert.deepEqual(
    said.map(({ msg }) => msg),
    ['terminal opened', 'terminal ended'],
  );
  const { container, program, user, by } = said[0] as Record<string, unknown>;
  assert.deepEqual(
    { container, program, user, by },
    { container: id, program: 'cat', user: '1000', by: 'unix socket' },
  );
  assert.ok(!service.log().includes('swordfish'));
});

/** Terminals across upgrades: their programs keep running, and no byte is lost in either direction. */

import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { Operator } from '../support/operator.ts';
import { Person } from '../support/person.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { containerOn, importShellImage } from '../support/shell-image.ts';
import { until } from '../support/site.ts';
import { commandQuery, TerminalFollower } from '../support/terminal-follower.ts';
import { TestHost } from '../support/test-host.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const DYING = join(import.meta.dirname, '../support/dying-service.ts');
/** Runs the service; but once, if a file `fails` exists, a service that cannot start. */
const FAILS_ONCE = `
  if rm "$ROOT/fails" 2> /dev/null; then sh -c 'LISTEN_PID=$$ exec "$@"' sh ${[process.execPath, ...NODE_FLAGS, DYING].join(' ')} step-fails nodes; exit 79; fi
  exec ${[process.execPath, ...NODE_FLAGS, PROGRAM].join(' ')}`;

/** Prints numbered lines until it has read a line, and then prints that line. @param stop a path that it may use */
const numbers = (stop = '/tmp/stop') =>
  `echo; stty -echo -opost;
  (i=1; while [ ! -e ${stop} ]; do seq $i $((i + 999)); i=$((i + 1000)); sleep 0.02; done) &
  read line; > ${stop}; wait; echo "got $line"; stty size; exit 7`;

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** A service that the launcher restarts, and a container on it. */
async function begin(env: Readonly<Record<string, string>> = {}) {
  const root = host.newRoot();
  const options = { executable: 'sh', arguments: ['-c', FAILS_ONCE], launcher: [] };
  const service = await host.start({ ...options, env: { ROOT: root, ...env } }).ready();
  return { root, service, id: await containerOn(root), descriptors: descriptorsOf(service.child.pid) };
}

function descriptorsOf(pid: number | undefined): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Upgrades the service, and checks that nothing is left in the store. */
async function upgrade({ service, descriptors }: { service: ServiceProcess; descriptors: number }) {
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  await until('the store is empty', () => descriptorsOf(service.child.pid) === descriptors);
}

/** @returns the number of numbered lines; each must occur once, in order */
function countNumbers(output: string): number {
  const numbers = output.split('\n').filter((line) => /^\d+$/.test(line));
  const wrong = numbers.findIndex((line, i) => line !== String(i + 1));
  const around = JSON.stringify(numbers.slice(Math.max(0, wrong - 5), wrong + 5));
  assert.equal(wrong, -1, `${around} in ${JSON.stringify(output.slice(0, 200))}…`);
  return numbers.length;
}

/** Upgrades twice while `numbers` prints and somebody types, and checks all that was printed and typed. */
async function upgradeUnder(
  follower: TerminalFollower,
  { root, service, descriptors }: Awaited<ReturnType<typeof begin>>,
) {
  const ended = follower.follow();
  // Before that, the terminal would echo the input.
  await until('it prints', () => /^1\r?\n2/m.test(follower.output));
  let isOver = false;
  const typing = follower.typeUntil(() => isOver);
  for (let upgrades = 0; upgrades < 2; upgrades++) {
    const { bytes, typed } = follower;
    const isBusy = () => follower.bytes > bytes + 10_000 && follower.typed.length > typed.length + 20;
    await until('it prints, and somebody types', isBusy);
    await upgrade({ service, descriptors });
  }
  await until('it is attached', () => !follower.client.isClosed);
  isOver = true;
  await typing;
  follower.client.socket.send('{"type":"resize","columns":100,"rows":30}');
  follower.client.type('\r');
  assert.equal(await ended, 7);
  const { output, typed } = follower;
  assert.ok(countNumbers(output) > 3000);
  assert.ok(output.endsWith(`got ${typed}\n30 100\n`), output.slice(-3000));
  assert.deepEqual((await new Operator(root).get('/v1/terminals')).body, { terminals: [] });
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
  assert.equal(await service.stop(), 0, service.log());
}

test('across upgrades in a row, a client at a terminal misses no output, and what it types arrives', async () => {
  const begun = await begin();
  using follower = new TerminalFollower(begun.root);
  await follower.open(
    `/containers/${begun.id}/terminal?columns=80&rows=24&${commandQuery('/bin/sh', '-c', numbers())}`,
  );
  await upgradeUnder(follower, begun);
});

test('across upgrades in a row, a client at a shell on the host misses no output, and what it types arrives', async () => {
  const begun = await begin({ HOST_SHELL_USER: 'root', HOST_SHELL_AS_ROOT: 'yes' });
  using follower = new TerminalFollower(begun.root);
  await follower.open('/host/terminal?columns=80&rows=24');
  follower.client.type(`exec sh -c '${numbers('/run/test/stop').replaceAll('\n', ' ')}'\r`);
  await upgradeUnder(follower, begun);
});

test('a service that fails to start leaves the terminals unchanged for the next one', async () => {
  const { root, id, service, ...before } = await begin();
  using follower = new TerminalFollower(root);
  await follower.open(`/containers/${id}/terminal?${commandQuery('/bin/sh', '-c', numbers())}`);
  const ended = follower.follow();
  writeFileSync(join(root, 'fails'), '');
  await upgrade({ service, ...before });
  assert.ok(
    service.lines.some(({ msg }) => msg.includes('nodes fails on purpose')),
    service.log(),
  );
  await until('it is attached', () => !follower.client.isClosed);
  follower.client.type('x\r');
  assert.equal(await ended, 7);
  assert.ok(countNumbers(follower.output) > 1000);
  assert.equal(await service.stop(), 0, service.log());
});

test('the command line attaches again by itself, and a terminal without a client keeps running', async (t) => {
  const { root, id, service, ...before } = await begin();
  const env = { PATH: process.env.PATH as string, ROOT: root };
  const at = (...words: readonly string[]) => {
    const person = new Person(process.execPath, [...NODE_FLAGS, PROGRAM, 'exec', ...words], { env });
    t.after(() => person.kill());
    return person;
  };
  const away = at(id);
  await away.sees(/# /);
  away.type('stayed=here\r');
  await away.sees(/here\r\n.*# /);
  away.type('\x1d\x1d\x1d');
  const [, terminal = ''] = await away.sees(/exec --attach ([0-9a-f]{16})/);
  assert.equal(await away.ended(), 0);
  const person = at(id);
  await person.sees(/# /);
  await upgrade({ service, ...before });
  person.type('echo $((6 * 7)); exit 5\r');
  await person.sees(/\n42\r\n/);
  assert.equal(await person.ended(), 5);
  const back = at('--attach', terminal);
  await back.sees(/# /);
  back.type('echo "still $stayed"; exit 6\r');
  await back.sees(/still here/);
  assert.equal(await back.ended(), 6);
  assert.equal(await service.stop(), 0, service.log());
});

/** The limits of terminals in number and time, and that each is held like any resource. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { misfit } from '../../parsing/json.ts';
import { HandedInContainer, type HandedTerminal } from '../../ttys/handed-terminal.ts';
import { type Open, type Opening, Terminals } from '../../ttys/terminals.ts';
import { FakePty, PassablePty } from '../support/fake-pty.ts';

const LONG = 3_600_000;

function open(t: TestContext, limits: { all?: number; each?: number; idle?: number } = {}) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'info',
    stream: { write: (line: string) => lines.push(JSON.parse(line)) },
  });
  const root = new Lifetime('test');
  const terminals = new Terminals({ all: 10, each: 5, idle: LONG, hostUser: undefined, ...limits }, log);
  const begin = async (container = 'one', pty = new FakePty()) => {
    const opening: Opening = {
      container,
      program: 'sh',
      user: 'root',
      size: { columns: 80, rows: 24 },
      by: '10.0.0.1',
    };
    const terminal = await terminals.open(root.child('terminal'), opening, async () => pty);
    return { terminal, pty };
  };
  t.after(() => root.end());
  const said = () =>
    lines.map(({ msg, by, container, program, user, exitCode }) => [
      msg,
      by,
      container,
      program,
      user,
      exitCode,
    ]);
  return { root, terminals, begin, said };
}

test('a terminal is held until its program has ended, and the log says who opened it', async (t) => {
  const { root, terminals, begin, said } = open(t);
  const { terminal, pty } = await begin();
  assert.deepEqual(
    root.holdings.list().map(({ kind, what }) => [kind, what]),
    [['terminal', terminal.id]],
  );
  assert.deepEqual(
    terminals.list().map((one) => one.terminal.id),
    [terminal.id],
  );
  pty.end(7);
  while (root.holdings.list().length > 0) await turn();
  assert.deepEqual(terminals.list(), []);
  await assert.rejects(terminals.find(terminal.id, 'x'), { code: 'terminal.unknown' });
  assert.deepEqual(said(), [
    ['terminal opened', '10.0.0.1', 'one', 'sh', 'root', undefined],
    ['terminal ended', '10.0.0.1', 'one', 'sh', 'root', 7],
  ]);
});

test('the limits of terminals for a container and for the host include terminals that are being opened', async (t) => {
  const { begin } = open(t, { all: 3, each: 2 });
  const [, , third] = await Promise.allSettled([begin('one'), begin('one'), begin('one')]);
  assert.match(String((third as PromiseRejectedResult).reason), /the container one already has 2 terminals/);
  const { pty } = await begin('two');
  await assert.rejects(begin('three'), /this host already has 3 terminals/);
  pty.end(0);
  await turn();
  await begin('three');
});

test('a terminal that cannot be opened does not count towards the limits and holds nothing', async (t) => {
  const { root, terminals, begin } = open(t, { all: 1, each: 1 });
  const opening: Opening = {
    container: 'one',
    program: 'sh',
    user: undefined,
    size: { columns: 1, rows: 1 },
    by: 'x',
  };
  const failing = terminals.open(root.child('terminal'), opening, () =>
    Promise.reject(new Error('no such program')),
  );
  await assert.rejects(failing, /no such program/);
  assert.deepEqual(root.holdings.list(), []);
  await begin();
});

test('an idle terminal is ended, and one in use is not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { root, begin } = open(t, { idle: 60_000 });
  const [idle, typed, seen] = [await begin(), await begin(), await begin()];
  const pass = async (milliseconds: number) => {
    now += milliseconds;
    t.mock.timers.tick(milliseconds);
    for (let i = 0; i < 20; i++) await turn();
  };
  const writer = typed.terminal.attach({ as: 'write', after: undefined });
  const watcher = seen.terminal.attach({ as: 'watch', after: undefined });
  void watcher.see().next();
  idle.pty.print('nobody sees this');
  await pass(30_000);
  idle.pty.print('nor this');
  await writer.write(Buffer.from('x'));
  seen.pty.print('somebody sees this');
  await pass(0);
  await pass(30_000);
  assert.deepEqual(
    [idle, typed, seen].map(({ pty }) => pty.isHungUp),
    [true, false, false],
  );
  await pass(30_000);
  assert.deepEqual(
    [typed, seen].map(({ pty }) => pty.isHungUp),
    [true, true],
  );
  assert.deepEqual(root.holdings.list(), []);
});

test('terminals end with their lifetime, and on request', async (t) => {
  const { root, terminals, begin } = open(t);
  const [asked, other] = [await begin(), await begin()];
  await terminals.end(asked.terminal.id);
  assert.ok(asked.pty.isHungUp);
  assert.ok(!other.pty.isHungUp);
  assert.deepEqual(await root.end(), []);
  assert.ok(other.pty.isHungUp);
  assert.deepEqual(terminals.list(), []);
});

test('a terminal is hung up even if the service dies and its container keeps running', async (t) => {
  const { root, begin } = open(t);
  const { pty } = await begin();
  await root.leave(new Error('the service dies'));
  assert.ok(pty.isHungUp);
});

test('terminals that can be handed over are, even if they open meanwhile, and their programs keep running', async (t) => {
  const { root, terminals, begin } = open(t);
  const pty = new PassablePty();
  const { terminal } = await begin('one', pty);
  const host = await begin('two');
  const kept: [string, number][] = [];
  terminals.passOn((...one) => kept.push(one));
  const late = await begin('one', new PassablePty());
  assert.deepEqual(kept, [
    [`terminal-${terminal.id}`, 7],
    [`terminal-${late.terminal.id}`, 7],
  ]);
  const handed = JSON.parse(JSON.stringify(await terminals.handed()));
  assert.deepEqual(
    handed.map((one: unknown) => misfit(HandedInContainer, one)),
    [undefined, undefined],
  );
  assert.equal(handed[0].id, terminal.id);
  await terminals.leave(new Error('the next service takes over'));
  assert.deepEqual(
    terminals.list().map((one) => one.terminal),
    [host.terminal],
  );
  assert.deepEqual([pty.isAbandoned, pty.isHungUp], [true, false]);
  assert.equal(root.holdings.list().length, 1);
});

test('a terminal that was taken over is like any other, and clients wait for it', async (t) => {
  const before = open(t);
  const { terminal } = await before.begin('one', new PassablePty());
  before.terminals.passOn(() => {});
  const [left] = await before.terminals.handed();
  const taken = Promise.withResolvers<void>();
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  const root = new Lifetime('test');
  t.after(() => root.end());
  const terminals = new Terminals({ all: 10, each: 5, idle: LONG, hostUser: undefined }, log, taken.promise);
  const found = terminals.find(terminal.id, 'x');
  const pty = new FakePty();
  await terminals.takeOver(root.child('terminal'), left as HandedTerminal, () => pty);
  taken.resolve();
  assert.equal((await found).began.getTime(), terminal.began.getTime());
  const [{ container, program, user, by }] = terminals.list() as [Open];
  assert.deepEqual([container, program, user, by], ['one', 'sh', 'root', '10.0.0.1']);
  await terminals.end(terminal.id);
  assert.ok(pty.isHungUp);
  assert.deepEqual(root.holdings.list(), []);
});

test('a terminal whose connection cannot be used holds nothing', async (t) => {
  const before = open(t);
  await before.begin('one', new PassablePty());
  before.terminals.passOn(() => {});
  const [left] = await before.terminals.handed();
  const { root, terminals } = open(t);
  const broken = () => {
    throw new Error('it is no socket');
  };
  await assert.rejects(
    terminals.takeOver(root.child('terminal'), left as HandedTerminal, broken),
    /it is no socket/,
  );
  assert.deepEqual([terminals.list(), root.holdings.list()], [[], []]);
});

/** Terminals of the previous service that cannot be taken over: each ends without affecting the others. */

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { newContainerId } from '../../container/identity.ts';
import type { Tracker } from '../../container/tracker.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { LeftTerminals } from '../../src/hand-over/left-terminals.ts';
import type { HandedInContainer, HandedTerminal } from '../../ttys/handed-terminal.ts';
import { Terminals } from '../../ttys/terminals.ts';

const CONTAINER = newContainerId();

function handed(id: string, container: string = CONTAINER): HandedTerminal {
  return {
    id,
    container,
    program: 'sh',
    by: 'unix socket',
    began: new Date().toISOString(),
    size: { columns: 80, rows: 24 },
    used: 0,
    end: 3,
    kept: 'YWJj',
    exec: { id: 'e', dockerId: '0'.repeat(64), printed: '', typed: '' },
  };
}

/** @param descriptors by the id of a terminal */
function begin(t: TestContext, left: readonly unknown[], descriptors: Readonly<Record<string, number>>) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'info',
    stream: { write: (line: string) => lines.push(JSON.parse(line)) },
  });
  const root = new Lifetime('test');
  t.after(() => root.end());
  const received = new Descriptors(Object.entries(descriptors).map(([id, fd]) => [`terminal-${id}`, fd]));
  const terminals = new Terminals({ all: 10, each: 5, idle: 1e6, hostUser: undefined }, log);
  const container = { lend: (name: string) => root.child(name) };
  const tracker = {
    lifetime: root,
    byId: (id: string) => (id === CONTAINER ? container : undefined),
    host: { terminals },
  } as unknown as Tracker;
  return { root, terminals, tracker, received, found: new LeftTerminals(left, received, log), lines };
}

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(16)) as [string, string, string];

test('a terminal is taken over if its state is valid and its connection is there, and the log says why another does not', (t) => {
  const { kept: _, ...misfit } = handed(C);
  const { found, lines } = begin(t, [handed(A), handed(B), misfit, null, 'text'], { [A]: 100, [C]: 101 });
  assert.deepEqual([...found.ids], [A]);
  assert.deepEqual(
    lines.map(({ level, terminal }) => [level, terminal]),
    [
      ['error', B],
      ['error', C],
      ['error', undefined],
      ['error', undefined],
    ],
  );
  assert.match(String(lines[0]?.why), /its connection was not passed on/);
  assert.match(String(lines[1]?.why), /kept/);
});

test('a terminal whose container is gone, or whose connection is invalid, ends and affects no other', async (t) => {
  const descriptor = openSync('/dev/null', 'r');
  const { root, found, tracker, terminals, received, lines } = begin(
    t,
    [handed(A), handed(B, newContainerId()), handed(C, 'a-node')],
    { [A]: descriptor, [B]: 101, [C]: 102 },
  );
  await found.takeOver(tracker, undefined);
  assert.deepEqual(new Set(lines.map(({ terminal }) => terminal)), new Set([A, B, C]));
  assert.deepEqual([terminals.list(), root.holdings.list()], [[], []]);
  assert.deepEqual(received.takeRest(), [101, 102]);
  assert.throws(() => closeSync(descriptor), { code: 'EBADF' });
});

test('a shell on the host ends if its user may have none any more, or if its exit code cannot come', async (t) => {
  const descriptor = openSync('/dev/null', 'r');
  const { exec: _, container: __, ...common } = handed(A) as HandedInContainer;
  // No process has this id.
  const shell = { leader: { pid: 4_194_305, startTime: '1' }, printed: '', typed: '' };
  const onHost = { ...common, user: 'visitor', shell };
  const { root, found, tracker, terminals, received, lines } = begin(t, [onHost, { ...onHost, id: B }], {
    [A]: descriptor,
    [`${A}-exit`]: 101,
    [B]: 102,
  });
  assert.deepEqual([...found.ids], [A]);
  await found.takeOver(tracker, undefined);
  assert.deepEqual([terminals.list(), root.holdings.list()], [[], []]);
  assert.deepEqual(
    lines.map(({ terminal }) => terminal),
    [B, A],
  );
  assert.match(String(lines[0]?.why), /its connection was not passed on/);
  assert.match(String(lines[1]?.why), /no shell is for visitor any more/);
  assert.deepEqual(received.takeRest(), [descriptor, 101, 102]);
  closeSync(descriptor);
});

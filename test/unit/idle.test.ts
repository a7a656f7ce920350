/** Idle containers without Docker: this process plays the one inside them. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Events } from '../../container/events.ts';
import type { Cause, State } from '../../container/state.ts';
import type { Tracker } from '../../container/tracker.ts';
import type { ContainerView } from '../../container/view.ts';
import { Idle } from '../../container/watching/idle.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

/** Docker's answer about a container: its first process, or none if it does not run. */
type Pid = number | undefined;

function begin(t: TestContext, seconds: number | undefined) {
  const lifetime = new Lifetime('idle');
  t.after(() => lifetime.end());
  const [events, warnings, inspected]: [Events, string[], string[]] = [new Events(), [], []];
  const [containers, pids] = [new Map<string, object>(), new Map<string, Pid>()];
  const inspect = async (id: string) => {
    inspected.push(id);
    const pid = pids.get(id);
    return { running: pid !== undefined, pid, ports: new Map([['32262/tcp', 20_000]]) };
  };
  const log = { warn: ({ container }: { container: string }) => warnings.push(container) };
  const host = { events, docker: { inspect }, terminals: { isAnyoneIn: () => false }, log };
  const tracker = { lifetime, host, list: () => [...containers.values()] } as unknown as Tracker;
  /** Brings a container into a state. @returns its cause of end */
  const add = (id: string, state: State, pid: Pid, idleTimeout?: number): Promise<Cause> => {
    const ended = Promise.withResolvers<Cause>();
    const view = { id, state, ...(idleTimeout !== undefined && { idleTimeout }) } as ContainerView;
    const end = async (cause: Cause) => {
      containers.delete(id);
      ended.resolve(cause);
    };
    containers.set(id, { id, dockerId: id, view, end });
    pids.set(id, pid);
    events.tell(view, { to: state, code: 'furnished', cause: '' });
    return ended.promise;
  };
  Idle.open(lifetime, tracker, seconds);
  return { add, warnings, inspected, left: () => [...containers.keys()] };
}

test('idle containers are ended, and Docker is asked only once for their addresses', async (t) => {
  const { add, left, inspected, warnings } = begin(t, 0.2);
  void add('for ever', 'ready', process.pid, 0);
  void add('not ready', 'assigned', process.pid);
  const later = add('later', 'ready', process.pid, 0.6);
  assert.deepEqual(await add('first', 'ready', process.pid), {
    code: 'idle',
    text: 'no client was connected to it for 0.2 s',
  });
  await later;
  assert.deepEqual(left(), ['for ever', 'not ready']);
  assert.deepEqual(inspected.sort(), ['first', 'later']);
  assert.deepEqual(warnings, []);
});

test('a container whose use is unknown keeps running, and that is logged once', async (t) => {
  const { add, left, warnings } = begin(t, undefined);
  void add('no process', 'ready', 0, 0.1);
  void add('not running', 'ready', undefined, 0.1);
  await add('known', 'ready', process.pid, 0.5);
  assert.deepEqual(left(), ['no process', 'not running']);
  assert.deepEqual(warnings.sort(), ['no process', 'not running']);
});

test('a container without a timeout of its own or of the host is not checked', async (t) => {
  const { add, left, inspected } = begin(t, undefined);
  void add('without', 'ready', process.pid);
  await add('with', 'ready', process.pid, 0.1);
  assert.deepEqual([left(), inspected], [['without'], ['with']]);
});

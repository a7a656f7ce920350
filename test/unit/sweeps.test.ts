/** Sweeps with their own clock. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Events } from '../../container/events.ts';
import type { HealthChange } from '../../container/health.ts';
import { newContainerId } from '../../container/identity.ts';
import type { Cause, State, Transition } from '../../container/state.ts';
import type { Tracker } from '../../container/tracker.ts';
import type { ContainerView } from '../../container/view.ts';
import { type Patience, Sweeps } from '../../container/watching/sweeps.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

/** Containers that do nothing but change their states. */
function begin(t: TestContext, patience: Patience, most?: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lifetime = new Lifetime('sweeps');
  const events = new Events(most);
  const ended: string[] = [];
  const containers = new Map<
    string,
    { id: string; view: ContainerView; course: { age: number }; end: (cause: Cause) => Promise<void> }
  >();
  const tracker = {
    lifetime,
    host: { events, log: { error: () => {} } },
    list: () => [...containers.values()],
  };
  t.after(() => lifetime.end());
  const move = (id: string, state: State, pool?: string) => {
    const view = { id, state, ...(pool && { pool }) } as ContainerView;
    const end = async ({ code }: Cause) => {
      ended.push(code);
      move(id, 'ending');
    };
    containers.set(id, { id, view, course: { age: 0 }, end });
    events.tell(view, { to: state, code: 'started', cause: '' } as Transition);
  };
  const tell = (id: string, change: HealthChange) =>
    events.tell(containers.get(id)?.view as ContainerView, change);
  const open = () => Sweeps.open(lifetime, tracker as unknown as Tracker, patience);
  const pass = async (seconds: number) => {
    for (let i = 0; i < 10; i++) await turn();
    t.mock.timers.tick(1000 * seconds);
    for (let i = 0; i < 10; i++) await turn();
  };
  return { open, move, tell, pass, ended, lifetime };
}

const BOTH = { unclaimed: 60, notReady: 30 };

test('a running container may wait for a user for a limited time, and then for readiness', async (t) => {
  const { open, move, pass, ended } = begin(t, BOTH);
  open();
  const id = newContainerId();
  for (const state of ['preparing', 'created', 'running'] as const) move(id, state);
  await pass(59);
  assert.deepEqual(ended, []);
  move(id, 'assigned');
  await pass(29);
  assert.deepEqual(ended, []);
  await pass(1);
  assert.deepEqual(ended, ['never-ready']);
  await pass(1000);
  assert.deepEqual(ended, ['never-ready']);
});

test('a container of a pool may wait longer than others', async (t) => {
  const { open, move, pass, ended } = begin(t, BOTH);
  open();
  const id = newContainerId();
  move(id, 'running', 'demo');
  await pass(1000);
  assert.deepEqual(ended, []);
  move(id, 'assigned');
  await pass(30);
  assert.deepEqual(ended, ['never-ready']);
});

test('a container that is ready or ending is not affected', async (t) => {
  const { open, move, pass, ended } = begin(t, BOTH);
  open();
  const [ready, ending] = [newContainerId(), newContainerId()];
  for (const id of [ready, ending]) move(id, 'running');
  move(ready, 'assigned');
  move(ready, 'ready');
  move(ending, 'ending');
  await pass(1000);
  assert.deepEqual(ended, []);
});

test('the limits also apply to existing containers, and to those whose events were missed', async (t) => {
  const { open, move, pass, ended } = begin(t, { unclaimed: 60, notReady: undefined }, 1);
  move(newContainerId(), 'running');
  open();
  await turn();
  for (let i = 0; i < 5; i++) move(newContainerId(), 'running');
  const assigned = newContainerId();
  move(assigned, 'assigned');
  await pass(60);
  assert.deepEqual(ended, Array(6).fill('unclaimed'));
});

test("a change of health does not restart a container's time limit", async (t) => {
  const { open, move, tell, pass, ended } = begin(t, BOTH);
  open();
  const id = newContainerId();
  move(id, 'running');
  await pass(59);
  tell(id, { code: 'port-open', cause: '' });
  await pass(1);
  assert.deepEqual(ended, ['unclaimed']);
});

test('nothing is ended without time limits, or after the end', async (t) => {
  const none = begin(t, { unclaimed: undefined, notReady: undefined });
  none.open();
  none.move(newContainerId(), 'running');
  await none.pass(1_000_000);
  assert.deepEqual(none.ended, []);
  t.mock.timers.reset();
  const over = begin(t, BOTH);
  over.open();
  over.move(newContainerId(), 'running');
  await turn();
  await over.lifetime.end();
  await over.pass(1000);
  assert.deepEqual(over.ended, []);
});

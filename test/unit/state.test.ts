import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { newContainerId } from '../../container/identity.ts';
import { type Cause, type State, StateMachine, type Transition } from '../../container/state.ts';

/** The way to each state, and the states that may follow it. */
const STATES: Readonly<Record<State, { readonly path: readonly State[]; readonly next: readonly State[] }>> =
  {
    preparing: { path: [], next: ['created', 'ending'] },
    created: { path: ['created'], next: ['running', 'ending'] },
    running: { path: ['created', 'running'], next: ['assigned', 'ending'] },
    assigned: { path: ['created', 'running', 'assigned'], next: ['ready', 'ending'] },
    ready: { path: ['created', 'running', 'assigned', 'ready'], next: ['ending'] },
    ending: { path: ['ending'], next: ['gone'] },
    gone: { path: ['ending', 'gone'], next: [] },
  };
const ALL = Object.keys(STATES) as State[];

const ID = newContainerId();
const CAUSE: Cause = { code: 'operator', text: 'a cause' };

function at(state: State, observe: (transition: Transition) => void = () => {}): StateMachine {
  const machine = new StateMachine(ID, observe);
  for (const step of STATES[state].path) machine.move(step, CAUSE);
  return machine;
}

suite('transitions that are allowed', () => {
  for (const from of ALL) {
    for (const to of STATES[from].next) {
      test(`${to} may follow ${from}`, () => {
        const seen: Transition[] = [];
        const machine = at(from, (transition) => seen.push(transition));
        machine.move(to, CAUSE);
        assert.equal(machine.current, to);
        assert.deepEqual(seen.at(-1), { from, to, code: 'operator', cause: 'a cause' });
        assert.equal(seen.length, STATES[from].path.length + 1);
      });
    }
  }
});

suite('transitions that are not allowed', () => {
  for (const from of ALL) {
    for (const to of ALL.filter((state) => !STATES[from].next.includes(state))) {
      test(`${to} may not follow ${from}`, () => {
        const seen: Transition[] = [];
        const machine = at(from, (transition) => seen.push(transition));
        assert.throws(() => machine.move(to, CAUSE), {
          code: 'container.bad_transition',
          message: `container ${ID} cannot go from ${from} to ${to} (a cause)`,
        });
        assert.equal(machine.current, from);
        assert.equal(seen.length, STATES[from].path.length);
      });
    }
  }
});

test('a new container is in the state preparing', () => {
  assert.equal(new StateMachine(ID, () => {}).current, 'preparing');
});

for (const state of ALL) {
  const serves = ['running', 'assigned', 'ready'].includes(state);
  test(`a container that is ${state} ${serves ? 'takes' : 'does not take'} part in the set-up calls`, () => {
    assert.equal(at(state).serves, serves);
  });
}

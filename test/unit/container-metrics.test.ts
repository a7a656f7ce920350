import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { Events, type TransitionEvent } from '../../container/events.ts';
import { Gpus } from '../../container/gpus.ts';
import { type ContainerId, newContainerId } from '../../container/identity.ts';
import { HostPorts } from '../../container/network/host-ports.ts';
import { BEGUN, type Cause, STATES, type State } from '../../container/state.ts';
import { viewOf } from '../../container/view.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { Metrics, type Watched } from '../../src/metrics/metrics.ts';
import { Ttys } from '../../ttys/ttys.ts';
import { NOTHING, numberOf, numbersOf } from '../support/metrics.ts';

function hosting(states: readonly State[], ttys = new Ttys([]), ports = new HostPorts([])): Watched {
  const list = () => states.map((state) => ({ view: { state } }));
  const gpus = new Gpus([], 1, 'nvidia');
  return { ...NOTHING, hosting: { tracker: { host: { ttys, ports, gpus }, list } } };
}

function eventOf(
  id: ContainerId,
  from: State | undefined,
  state: State,
  code: Cause['code'],
): TransitionEvent {
  const [purpose, began, since] = [{ role: 'spin-up', appName: 'an app' } as const, new Date(), new Date()];
  const container = viewOf({
    id,
    docker: undefined,
    purpose,
    state,
    began,
    since,
    facts: undefined,
    port: undefined,
  });
  return {
    id: 'an-event',
    at: began.toISOString(),
    ...(from && { from }),
    code,
    cause: 'a cause',
    container,
  };
}

/** Goes through states, each of which lasts for some seconds. */
class Life {
  readonly id = newContainerId();
  readonly #metrics: Metrics;
  #state: State | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  move(state: State, code: Cause['code']): void {
    this.#metrics.transition(eventOf(this.id, this.#state, state, code));
    this.#state = state;
  }
}

/** With a clock that a test sets, in milliseconds. */
function withClock(): { readonly metrics: Metrics; readonly clock: { now: number } } {
  const clock = { now: 1000 };
  return { metrics: new Metrics(NOTHING, () => clock.now), clock };
}

suite('containers', () => {
  test('are counted by their state at the time of the request', async () => {
    const states: State[] = ['ready', 'ready', 'preparing'];
    const metrics = new Metrics(hosting(states));
    const none = { created: 0, running: 0, assigned: 0, gone: 0, warm: 0 };
    const counts = () => numbersOf(metrics, 'containers', 'state');
    assert.deepEqual(await counts(), { ...none, preparing: 1, ready: 2, ending: 0 });
    states.splice(0, 2, 'ending');
    assert.deepEqual(await counts(), { ...none, preparing: 1, ready: 0, ending: 1 });
  });

  test('are counted by their health at the last check', async () => {
    const since = new Date().toISOString();
    const views = [
      { docker: 'unhealthy', port: 'open', since },
      { port: 'closed', since },
      undefined,
    ] as const;
    const list = () =>
      views.map((health) => ({ view: { state: 'ready' as const, ...(health && { health }) } }));
    const [ttys, ports, gpus] = [new Ttys([]), new HostPorts([]), new Gpus([], 1, 'nvidia')];
    const metrics = new Metrics({ ...NOTHING, hosting: { tracker: { host: { ttys, ports, gpus }, list } } });
    const count = (check: string, health: string) =>
      numberOf(metrics, 'containers_health', { check, health });
    for (const [check, health, number] of [
      ['docker', 'unhealthy', 1],
      ['docker', 'healthy', 0],
      ['docker', 'starting', 0],
      ['port', 'open', 1],
      ['port', 'closed', 1],
    ] as const)
      assert.equal(await count(check, health), number, health);
  });

  test('do not enter a state because their health changes', async () => {
    const { metrics, clock } = withClock();
    const [events, lifetime, life] = [new Events(), new Lifetime('service'), newContainerId()];
    await metrics.follow(lifetime, events);
    const tell = async (state: State, change: Parameters<Events['tell']>[1]) => {
      events.tell(eventOf(life, undefined, state, 'begun').container, change);
      await allElseHasRun();
    };
    await tell('running', { to: 'running', code: 'started', cause: '' });
    clock.now += 3000;
    await tell('running', { code: 'port-open', cause: '' });
    clock.now += 4000;
    await tell('assigned', { from: 'running', to: 'assigned', code: 'assigned', cause: '' });
    assert.equal(await numberOf(metrics, 'container_step_seconds_sum', { step: 'running' }), 7);
    assert.deepEqual(await lifetime.end(), []);
  });

  test('spend the time until the next state in each state', async () => {
    const { metrics, clock } = withClock();
    const lives = [new Life(metrics), new Life(metrics)];
    const ways = [
      ['preparing', 'begun', 20],
      ['created', 'created', 300],
      ['running', 'started', 40_000],
      ['ending', 'exited', 2000],
      ['gone', 'released', 0],
    ] as const;
    for (const [state, code, milliseconds] of ways) {
      for (const life of lives) life.move(state, code);
      clock.now += milliseconds;
    }
    for (const [step, , milliseconds] of ways.slice(0, -1)) {
      assert.equal(await numberOf(metrics, 'container_step_seconds_count', { step }), 2, step);
      assert.equal(
        await numberOf(metrics, 'container_step_seconds_sum', { step }),
        (2 * milliseconds) / 1000,
      );
    }
    const bucket = (le: string) =>
      numberOf(metrics, 'container_step_seconds_bucket', { le, step: 'running' });
    assert.deepEqual([await bucket('10'), await bucket('60')], [0, 2]);
    assert.equal(await numberOf(metrics, 'container_step_seconds_count', { step: 'ready' }), 0);
  });

  test('are counted once by the cause of their end', async () => {
    const { metrics } = withClock();
    for (const code of ['exited', 'exited', 'operator', 'not-started'] as const) {
      const life = new Life(metrics);
      life.move('preparing', 'begun');
      life.move('ending', code);
      life.move('gone', 'not-released');
    }
    const ends = await numbersOf(metrics, 'container_ends_total', 'code');
    assert.deepEqual(
      [ends.exited, ends.operator, ends['not-started'], ends['not-released']],
      [2, 1, 1, undefined],
    );
  });

  test('that were adopted have no durations for states that nobody measured', async () => {
    const { metrics, clock } = withClock();
    const life = new Life(metrics);
    life.move('preparing', 'begun');
    for (const state of ['created', 'running', 'assigned', 'ready'] as const) {
      clock.now += 5;
      life.move(state, 'taken-over');
    }
    clock.now += 60_000;
    life.move('ending', 'exited');
    clock.now += 7000;
    life.move('gone', 'released');
    const sums = STATES.map((step) => numberOf(metrics, 'container_step_seconds_sum', { step }));
    assert.deepEqual(await Promise.all(sums), [0.005, 0, 0, 0, 0, 7, undefined]);
  });

  test('are followed until their lifetime has ended', async () => {
    const metrics = new Metrics(NOTHING);
    const [events, lifetime] = [new Events(), new Lifetime('service')];
    const ends = () => numberOf(metrics, 'container_ends_total', { code: 'missing' });
    const tellOne = async () => {
      const { container } = eventOf(newContainerId(), 'ready', 'ending', 'missing');
      events.tell(container, { ...BEGUN, code: 'missing' });
      await allElseHasRun();
    };
    await tellOne();
    await metrics.follow(lifetime, events);
    await tellOne();
    await tellOne();
    assert.equal(await ends(), 2);
    assert.deepEqual(await lifetime.end(), []);
    await tellOne();
    assert.equal(await ends(), 2);
  });
});

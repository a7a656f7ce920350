import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { AgentLog } from '../../ecs-agent-bridge/agent/agent-log.ts';
import type { AgentMetadata } from '../../ecs-agent-bridge/agent/introspection.ts';
import { Supervision, type SupervisionOptions } from '../../ecs-agent-bridge/agent/supervision.ts';
import type { Ended, RunningAgent, Way } from '../../ecs-agent-bridge/agent/way.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { until } from '../support/site.ts';

const METADATA: AgentMetadata = { cluster: 'live', containerInstance: 'arn:instance', version: '1.105.1' };

/** An agent that does what the test wants. */
class Agent implements RunningAgent {
  readonly #ended = Promise.withResolvers<Ended>();
  readonly ended = this.#ended.promise;
  readonly asked: string[] = [];
  isOver = false;
  /** Neither stopping nor killing it works. */
  isStuck = false;

  end(ended: Ended): void {
    this.isOver = true;
    this.#ended.resolve(ended);
  }

  async kill(): Promise<void> {
    this.asked.push('kill');
    if (this.isStuck) throw new Error('it does not end');
    this.end({ signal: 'SIGKILL' });
  }

  async stop(): Promise<void> {
    if (!this.isOver) this.asked.push('stop');
    if (this.isStuck) throw new Error('it does not end');
    this.end({ code: 0 });
  }

  seenGone(): string {
    assert.ok(this.isOver, 'it is still running');
    return 'it has ended';
  }
}

class World {
  readonly agents: Agent[] = [];
  readonly lines: Record<string, unknown>[] = [];
  readonly pauses: number[] = [];
  readonly log = createLogger({
    level: 'debug',
    stream: { write: (line) => void this.lines.push(JSON.parse(line)) },
  });
  readonly agentLog = new AgentLog(this.log);
  readonly lifetime = new Lifetime('agent');
  readonly supervision: Supervision;
  drained = 0;
  updates = 0;
  dockerAnswers = true;
  pings = 0;
  agentAnswers = false;
  /** The number of times that the agent was asked about itself. */
  asked = 0;
  /** The error of the next start. */
  failure: Error | undefined;
  /** A start awaits it. */
  starting: Promise<void> | undefined;

  constructor(t: TestContext, options: Partial<SupervisionOptions> = {}) {
    const way: Way = {
      mode: 'binary',
      start: () => this.#start(),
      update: async () => void this.updates++,
    };
    this.supervision = new Supervision(this.lifetime, {
      way,
      introspection: { metadata: () => this.#metadata() },
      docker: { ping: () => this.#ping() },
      agentLog: this.agentLog,
      log: this.log,
      updates: false,
      config: '/etc/ecs/ecs.config',
      data: '/var/lib/ecs/data',
      drain: () => void this.drained++,
      // Waits of less than half a second are not recorded.
      pause: async (milliseconds) => {
        if (milliseconds >= 500) this.pauses.push(milliseconds);
        await allElseHasRun();
      },
      timing: { look: { shortest: 1, longest: 1 } },
      ...options,
    });
    t.after(() => this.lifetime.end());
  }

  async #ping(): Promise<void> {
    this.pings += 1;
    if (!this.dockerAnswers) throw new Error('Docker is away');
  }

  async #metadata(): Promise<AgentMetadata> {
    this.asked += 1;
    if (!this.agentAnswers) throw new Error('it does not answer');
    return METADATA;
  }

  async #start(): Promise<RunningAgent> {
    await this.starting;
    if (this.failure) throw this.failure;
    const agent = new Agent();
    this.agents.push(agent);
    return agent;
  }

  async agent(number: number): Promise<Agent> {
    await until(`agent ${number}`, () => this.agents.length >= number);
    return this.agents[number - 1] as Agent;
  }

  async enters(state: string): Promise<void> {
    await until(state, () => this.supervision.state === state);
  }

  messages(level: string): unknown[] {
    return this.lines.filter((line) => line.level === level).map(({ msg }) => msg);
  }
}

const ENDED = ', and the service restarts it; the last lines of its output say why';

suite('an agent that exits', () => {
  for (const ended of [{ code: 0 }, { code: 1 }, { code: 2 }, { signal: 'SIGSEGV' }] as const) {
    const how = ended.signal === undefined ? `exit code ${ended.code}` : `signal ${ended.signal}`;
    test(`unexpectedly with ${how} is restarted with increasing delays`, async (t) => {
      const world = new World(t);
      for (let i = 1; i <= 8; i++) (await world.agent(i)).end(ended);
      await world.agent(9);
      assert.deepEqual(world.pauses, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
      assert.deepEqual(world.messages('error'), [`the ECS agent exited with ${how}${ENDED}`]);
      assert.equal(world.messages('warn').length, 7);
      assert.equal(world.drained, 0);
    });
  }

  test('after it registered counts as a new failure', async (t) => {
    const world = new World(t);
    for (let i = 1; i <= 3; i++) (await world.agent(i)).end({ code: 1 });
    await world.agent(4);
    world.agentAnswers = true;
    await world.enters('running');
    world.agentAnswers = false;
    (await world.agent(4)).end({ code: 1 });
    await world.agent(5);
    assert.deepEqual(world.pauses, [500, 1000, 2000, 500]);
    assert.equal(world.messages('error').length, 2);
  });

  test('after it ran long enough counts as a new failure', async (t) => {
    const world = new World(t, { timing: { look: { shortest: 1, longest: 1 }, soundAfter: 0 } });
    for (let i = 1; i <= 3; i++) (await world.agent(i)).end({ code: 1 });
    await world.agent(4);
    assert.deepEqual(world.pauses, [500, 500, 500]);
  });

  test('with code 5 is not restarted, its last lines are one error, and the host drains', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    world.agentLog.take('level=critical time=t msg="Instance re-registration attempt with a wrong cluster"');
    agent.end({ code: 5 });
    await world.enters('ended');
    assert.equal(world.drained, 1);
    const [, final] = world.lines.filter(({ level }) => level === 'error');
    assert.match(
      String(final?.msg),
      /exit code 5.*drains.*\/etc\/ecs\/ecs\.config.*empty \/var\/lib\/ecs\/data/,
    );
    assert.deepEqual(final?.lastLines, ['Instance re-registration attempt with a wrong cluster']);
    await world.lifetime.end();
    assert.equal(world.agents.length, 1);
    assert.equal(world.supervision.state, 'ended');
  });

  test('with code 42 is replaced at once if updates are allowed, and otherwise counts as failed', async (t) => {
    const world = new World(t, { updates: true });
    (await world.agent(1)).end({ code: 42 });
    await world.agent(2);
    assert.deepEqual([world.updates, world.pauses, world.messages('error')], [1, [], []]);
    (await world.agent(2)).end({ code: 42 });
    await world.agent(3);
    assert.deepEqual([world.updates, world.pauses], [1, [1000]], 'it does not retry immediately forever');
    const other = new World(t);
    (await other.agent(1)).end({ code: 42 });
    await other.agent(2);
    assert.deepEqual([other.updates, other.pauses], [0, [500]]);
  });

  test('on request is not restarted', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    assert.deepEqual(await world.lifetime.end(), []);
    assert.deepEqual(agent.asked, ['stop']);
    assert.equal(world.agents.length, 1);
    assert.deepEqual(world.lifetime.holdings.list(), []);
    assert.deepEqual([...world.messages('error'), ...world.messages('warn')], []);
  });
});

suite('an agent that starts', () => {
  test('and fails to start is retried with increasing delays', async (t) => {
    const world = new World(t);
    world.failure = new Error('no such program');
    await until('three attempts fail', () => world.pauses.length >= 3);
    assert.deepEqual(world.lifetime.holdings.list(), []);
    world.failure = undefined;
    await world.agent(1);
    assert.deepEqual(world.pauses.slice(0, 3), [500, 1000, 2000]);
    assert.deepEqual(world.messages('error'), ['no such program']);
  });

  test('waits for Docker', async (t) => {
    const world = new World(t);
    world.dockerAnswers = false;
    (await world.agent(1)).end({ code: 1 });
    await world.enters('waiting');
    await until('Docker is asked', () => world.pauses.length === 1);
    await allElseHasRun();
    assert.equal(world.agents.length, 1);
    world.dockerAnswers = true;
    await world.agent(2);
  });

  test('counts as running once it answers, which is logged once', async (t) => {
    const world = new World(t);
    await world.agent(1);
    assert.equal(world.supervision.state, 'starting');
    world.agentAnswers = true;
    await world.enters('running');
    const told = world.lines.filter(({ msg }) => msg === 'the ECS agent has registered this host');
    assert.equal(told.length, 1);
    const { cluster, containerInstance, version } = told[0] ?? {};
    assert.deepEqual({ cluster, containerInstance, version }, METADATA);
  });
});

suite('when Docker goes away', () => {
  test('a starting agent is killed at once, and started when Docker is back', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    world.dockerAnswers = false;
    await world.supervision.dockerLost();
    assert.deepEqual(agent.asked, ['kill']);
    assert.ok(agent.isOver);
    await world.enters('waiting');
    assert.equal(world.agents.length, 1);
    world.dockerAnswers = true;
    await world.agent(2);
    assert.deepEqual([world.pauses, world.messages('error')], [[], []]);
  });

  test('an agent that is just being started is killed as soon as it exists', async (t) => {
    const world = new World(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.starting = promise;
    await world.enters('starting');
    const lost = world.supervision.dockerLost();
    resolve();
    world.starting = undefined;
    await lost;
    assert.deepEqual((await world.agent(1)).asked, ['kill']);
  });

  test('a registered agent is left alone if Docker comes back in time', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const world = new World(t);
    const agent = await world.agent(1);
    world.agentAnswers = true;
    await world.enters('running');
    world.dockerAnswers = false;
    await world.supervision.dockerLost();
    await world.supervision.dockerLost();
    const { pings } = world;
    world.dockerAnswers = true;
    await until('Docker is asked again', () => world.pings > pings);
    await allElseHasRun();
    t.mock.timers.tick(30_000);
    await allElseHasRun();
    assert.deepEqual(agent.asked, []);
    assert.equal(world.supervision.state, 'running');
  });

  test('a registered agent is stopped if Docker stays away, and started when Docker is back', async (t) => {
    const world = new World(t, { timing: { look: { shortest: 1, longest: 1 }, dockerAway: 50 } });
    const agent = await world.agent(1);
    world.agentAnswers = true;
    await world.enters('running');
    world.dockerAnswers = false;
    await world.supervision.dockerLost();
    await world.enters('waiting');
    assert.deepEqual(agent.asked, ['stop']);
    world.dockerAnswers = true;
    await world.agent(2);
    assert.deepEqual([world.pauses, world.messages('error')], [[], []]);
  });

  test('a registered agent that no longer answers counts as starting', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    world.agentAnswers = true;
    await world.enters('running');
    world.agentAnswers = false;
    await world.supervision.dockerLost();
    assert.deepEqual(agent.asked, ['kill']);
  });

  test('the later exit of an agent that could not be stopped counts as unexpected', async (t) => {
    const world = new World(t, { timing: { look: { shortest: 1, longest: 1 }, dockerAway: 50 } });
    const agent = await world.agent(1);
    agent.isStuck = true;
    world.agentAnswers = true;
    await world.enters('running');
    world.dockerAnswers = false;
    await world.supervision.dockerLost();
    await until('the failure is logged', () => world.messages('error').length === 1);
    assert.deepEqual(world.messages('error'), ['waiting for Docker, for the ECS agent failed']);
    agent.isStuck = false;
    world.dockerAnswers = true;
    agent.end({ code: 1 });
    await world.agent(2);
    assert.deepEqual(world.messages('error').slice(1), [`the ECS agent exited with exit code 1${ENDED}`]);
  });

  test('a failure to kill an agent is logged', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    agent.isStuck = true;
    const lost = world.supervision.dockerLost();
    await until('the failure is logged', () => world.messages('error').length === 1);
    assert.deepEqual(world.messages('error'), ['killing the ECS agent failed']);
    agent.isStuck = false;
    agent.end({ signal: 'SIGKILL' });
    await lost;
    await world.agent(2);
  });

  test('the agent is asked once and killed once, however many calls are refused meanwhile', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    world.agentAnswers = true;
    await world.enters('running');
    world.agentAnswers = false;
    const { asked } = world;
    await Promise.all([1, 2, 3].map(() => world.supervision.dockerLost()));
    assert.equal(world.asked, asked + 1);
    assert.deepEqual(agent.asked, ['kill']);
    assert.equal(world.messages('warn').length, 1);
  });

  test('without an agent, and after the end, nothing happens', async (t) => {
    const world = new World(t);
    const agent = await world.agent(1);
    await world.lifetime.end();
    await world.supervision.dockerLost();
    assert.deepEqual(agent.asked, ['stop']);
  });
});

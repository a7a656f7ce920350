/**
 * Keeps an agent running: starts it when Docker answers, restarts it when it exits, and knows when it must not run.
 *
 * INVARIANTS
 * - Only one agent runs at a time. The next one starts after the previous one was observed to be gone.
 * - An agent that has not registered yet is killed when Docker becomes unreachable. It would consider each container
 *   that it cannot inspect dead and tell ECS so. A registered agent does no harm, and is stopped only if Docker stays
 *   unreachable.
 * - Exit code 5 is final.
 */

import { setTimeout as pauseFor } from 'node:timers/promises';
import type { Docker } from '../../docker-engine/docker.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { backoff } from '../../lifetime/backoff.ts';
import { unlessAborted, withDeadline } from '../../lifetime/deadline.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import type { AgentLog } from './agent-log.ts';
import type { AgentMetadata, Introspection } from './introspection.ts';
import { AGENT_KIND, AGENT_LIFETIME, AGENT_PAGE, GRACE } from './left-agent.ts';
import { describeEnd, type Ended, type RunningAgent, type Way } from './way.ts';

/** Exit codes of the agent. Source: its ecs-init, StartSupervised. */
const FINAL = 5;
const UPDATED = 42;

/** All in milliseconds. */
const TIMING = {
  /** The pause before a restart. */
  restart: { shortest: 500, longest: 15_000 },
  /** After this time, an exit counts as a new failure and not as a repetition. */
  soundAfter: 60_000,
  /** How long Docker may be unreachable for a registered agent. */
  dockerAway: 30_000,
  /** The interval of polls of a starting agent, and of an unreachable Docker. */
  look: { shortest: 50, longest: 2000 },
  /** The time in which a healthy agent answers. */
  quick: 500,
};

/** For the release: SIGTERM, SIGKILL, and the time until Docker or systemd notices. */
const RELEASE = 3 * GRACE;
/** The time in which a killed agent has ended. */
const KILL = 5000;

/** `waiting`: for Docker, or for the next attempt; `ended`: the agent has exited for good. */
export type State = 'waiting' | 'starting' | 'running' | 'ended';

export interface SupervisionOptions {
  readonly way: Way;
  readonly introspection: Pick<Introspection, 'metadata'>;
  readonly docker: Pick<Docker, 'ping'>;
  readonly agentLog: Pick<AgentLog, 'takeLast'>;
  readonly log: Logger;
  /** Whether an agent may replace itself by another version. */
  readonly updates: boolean;
  /** The file to check when the agent has ended for good. */
  readonly config: string;
  readonly data: string;
  readonly drain: () => void;
  readonly timing?: Partial<typeof TIMING>;
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

/** One agent, from its start to its end. */
class Run {
  /** Resolves when its process has ended, or will never exist. */
  readonly over = Promise.withResolvers<void>();
  /** Aborts when it must be killed, at any stage of its start. */
  readonly cut = new AbortController();
  agent: RunningAgent | undefined;
  hasRegistered = false;
  /** Whether its end was requested, so that it does not count as a failure. */
  isAsked = false;
  /** Whether a task is waiting for Docker to return before it decides about this agent. */
  isForsaken = false;
}

const wait = (milliseconds: number, signal: AbortSignal) => pauseFor(milliseconds, undefined, { signal });

export class Supervision {
  readonly #lifetime: Lifetime;
  readonly #options: SupervisionOptions;
  readonly #timing: typeof TIMING;
  readonly #pause: NonNullable<SupervisionOptions['pause']>;
  #state: State = 'waiting';
  #run: Run | undefined;
  #failures = 0;
  #losing: Promise<void> | undefined;

  /** Begins at once, and ends with `lifetime`. */
  constructor(lifetime: Lifetime, options: SupervisionOptions) {
    this.#lifetime = lifetime;
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#pause = options.pause ?? wait;
    this.#react(lifetime, 'keeping the ECS agent', this.#keep());
  }

  get state(): State {
    return this.#state;
  }

  /** Concurrent callers share one result. */
  dockerLost(): Promise<void> {
    this.#losing ??= this.#lose().finally(() => {
      this.#losing = undefined;
    });
    return this.#losing;
  }

  async #lose(): Promise<void> {
    const run = this.#run;
    if (!run || this.#lifetime.signal.aborted) return;
    if (!run.isAsked && !(run.hasRegistered && (await this.#answers()))) {
      this.#options.log.warn('Docker became unreachable while the ECS agent was starting; killing the agent');
      run.isAsked = true;
      run.cut.abort();
    }
    if (run.cut.signal.aborted) {
      await this.#cut(run);
    } else if (!run.isForsaken) {
      run.isForsaken = true;
      this.#react(this.#lifetime, 'waiting for Docker, for the ECS agent', this.#standBy(run));
    }
  }

  /** If Docker hangs, a start may not be interruptible. Its agent is then killed when it appears. */
  async #cut(run: Run): Promise<void> {
    try {
      await withDeadline(KILL, 'killing the ECS agent', () => run.over.promise);
    } catch (error) {
      this.#options.log.warn(messageOf(error));
    }
  }

  /** The unit may have started agents that this service does not know. */
  #answers(): Promise<boolean> {
    return this.#options.introspection.metadata(this.#lifetime.signal, this.#timing.quick).then(
      () => true,
      () => false,
    );
  }

  /** Runs work in the background and logs its failure. */
  #react(lifetime: Lifetime, what: string, work: Promise<unknown>): void {
    const done = work.catch((error: unknown) => this.#options.log.error({ error }, `${what} failed`));
    void lifetime.track(what, done);
  }

  async #standBy(run: Run): Promise<void> {
    const { log } = this.#options;
    const { dockerAway } = this.#timing;
    const over = new AbortController();
    void run.over.promise.then(() => over.abort());
    try {
      await withDeadline(dockerAway, 'waiting for Docker', (late) =>
        this.#untilDockerAnswers(AbortSignal.any([late, over.signal, this.#lifetime.signal])),
      );
    } catch {
      if (over.signal.aborted || this.#lifetime.signal.aborted) return;
      log.warn(
        { seconds: dockerAway / 1000 },
        'Docker is still unreachable; stopping the ECS agent until Docker is back',
      );
      run.isAsked = true;
      await run.agent?.stop(GRACE).catch((error: unknown) => {
        // It keeps running, so a later exit was not requested.
        run.isAsked = false;
        throw error;
      });
    } finally {
      run.isForsaken = false;
    }
  }

  async #keep(): Promise<void> {
    const { signal } = this.#lifetime;
    try {
      for (let next: number | undefined = 0; next !== undefined; next = await this.#once()) {
        if (next > 0) await this.#pause(next, signal);
        await this.#untilDockerAnswers(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #untilDockerAnswers(signal: AbortSignal): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#options.docker.ping(signal);
      } catch {
        await this.#pause(backoff(failures, this.#timing.look), signal);
      }
    }
  }

  /** @returns milliseconds until the next run; undefined: there is none */
  async #once(): Promise<number | undefined> {
    const run = new Run();
    this.#run = run;
    const began = performance.now();
    try {
      const ended = await this.#live(run);
      if (run.hasRegistered || performance.now() - began >= this.#timing.soundAfter) this.#failures = 0;
      return await this.#judge(run, ended);
    } catch (error) {
      this.#lifetime.signal.throwIfAborted();
      return run.isAsked ? 0 : this.#again(error);
    } finally {
      this.#run = undefined;
    }
  }

  async #live(run: Run): Promise<Ended> {
    const { way, log } = this.#options;
    const { signal } = this.#lifetime;
    const held = this.#lifetime.child(AGENT_LIFETIME, { owner: { kind: AGENT_PAGE } });
    this.#state = 'starting';
    try {
      const agent = await held.acquire({
        kind: AGENT_KIND,
        what: way.mode,
        take: (end) => way.start(AbortSignal.any([end, run.cut.signal])),
        release: (taken) => taken.stop(GRACE),
        seenGone: (taken) => taken.seenGone(),
        deadline: RELEASE,
      });
      run.agent = agent;
      log.info({ mode: way.mode }, 'started the ECS agent');
      const kill = () => this.#react(held, 'killing the ECS agent', agent.kill());
      if (run.cut.signal.aborted) kill();
      else run.cut.signal.addEventListener('abort', kill);
      this.#react(held, 'waiting for the ECS agent to register', this.#whenRegistered(run, held.signal));
      return await unlessAborted(agent.ended, signal);
    } finally {
      this.#state = 'waiting';
      run.over.resolve();
      // At the end of the service, the lifetime ends the agent and gives it more time.
      if (!signal.aborted) await held.end();
    }
  }

  async #whenRegistered(run: Run, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      const metadata = await this.#options.introspection.metadata(signal).catch(() => undefined);
      if (metadata && !signal.aborted) return this.#registered(run, metadata);
      await this.#pause(backoff(failures, this.#timing.look), signal).catch(() => {});
    }
  }

  #registered(run: Run, metadata: AgentMetadata): void {
    run.hasRegistered = true;
    this.#state = 'running';
    this.#options.log.info({ ...metadata }, 'the ECS agent has registered this host');
  }

  /** @returns milliseconds until the next run; undefined: there is none */
  async #judge(run: Run, ended: Ended): Promise<number | undefined> {
    const { way, log, agentLog, updates, config, data, drain } = this.#options;
    const how = describeEnd(ended);
    const lastLines = agentLog.takeLast();
    if (run.isAsked) {
      log.info({ how }, 'the ECS agent has exited, as requested');
      return 0;
    }
    if (ended.code === FINAL) {
      const error = new ServiceError('agent.final', { code: FINAL, config, data });
      log.error({ error, lastLines }, messageOf(error));
      this.#state = 'ended';
      drain();
      return undefined;
    }
    if (ended.code === UPDATED && updates && this.#failures === 0) {
      await way.update?.();
      // Repeated updates count as failures, because such an agent never becomes stable.
      this.#failures = 1;
      log.info('the ECS agent has downloaded another version of itself; starting that version');
      return 0;
    }
    return this.#again(new ServiceError('agent.ended', { how }), lastLines);
  }

  /** The first of several failures is logged as an error, the later ones at a lower level. */
  #again(error: unknown, lastLines: readonly string[] = []): number {
    const { log } = this.#options;
    const milliseconds = backoff(this.#failures, this.#timing.restart);
    const again = { seconds: milliseconds / 1000, lastLines };
    if (this.#failures === 0) log.error({ error, ...again }, messageOf(error));
    else log.warn({ error, ...again }, messageOf(error));
    this.#failures += 1;
    return milliseconds;
  }
}

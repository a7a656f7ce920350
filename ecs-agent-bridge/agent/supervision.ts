/**
 * Keeps an agent running: starts it when Docker answers, starts it again when it ends, and knows when it must not.
 *
 * INVARIANTS
 * - There is one agent at a time; the next one is started after the last one was seen gone.
 * - An agent that has not registered yet is killed when Docker goes away: it would take each container that it cannot
 *   inspect for dead, and tell ECS so. One that has registered does no harm, and is stopped when Docker stays away.
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
  /** Before it is started again. */
  restart: { shortest: 500, longest: 15_000 },
  /** After which an agent that ends is a new failure, and not the last one again. */
  soundAfter: 60_000,
  /** For which Docker may be away from an agent that has registered. */
  dockerAway: 30_000,
  /** Between questions to an agent that starts, and to a Docker that is away. */
  look: { shortest: 50, longest: 2000 },
  /** In which an agent that is well says so. */
  quick: 500,
};

/** For the release: SIGTERM, SIGKILL, and Docker or systemd seeing it. */
const RELEASE = 3 * GRACE;
/** In which one that was killed has gone. */
const KILL = 5000;

/** `waiting`: for Docker, or to be tried again; `ended`: for good, by itself. */
export type State = 'waiting' | 'starting' | 'running' | 'ended';

export interface SupervisionOptions {
  readonly way: Way;
  readonly introspection: Pick<Introspection, 'metadata'>;
  readonly docker: Pick<Docker, 'ping'>;
  readonly agentLog: Pick<AgentLog, 'takeLast'>;
  readonly log: Logger;
  /** Whether an agent may replace itself by another version. */
  readonly updates: boolean;
  /** What is to be looked at when it ends for good. */
  readonly config: string;
  readonly data: string;
  readonly drain: () => void;
  readonly timing?: Partial<typeof TIMING>;
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

/** One agent, from its start to its end. */
class Run {
  /** Resolves when its process has ended, or will not be there. */
  readonly over = Promise.withResolvers<void>();
  /** Aborts when it has to be killed, however far its start has got. */
  readonly cut = new AbortController();
  agent: RunningAgent | undefined;
  hasRegistered = false;
  /** Whether its end was wanted, so that it says nothing of the agent. */
  isAsked = false;
  /** Whether somebody waits for Docker to come back to it. */
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

  /** All that ask while one of them is answered get the same answer. */
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

  /** A Docker that hangs may keep a start from being given up; its agent is killed when it turns up. */
  async #cut(run: Run): Promise<void> {
    try {
      await withDeadline(KILL, 'killing the ECS agent', () => run.over.promise);
    } catch (error) {
      this.#options.log.warn(messageOf(error));
    }
  }

  /** The unit starts agents by itself, of which we do not know. */
  #answers(): Promise<boolean> {
    return this.#options.introspection.metadata(this.#lifetime.signal, this.#timing.quick).then(
      () => true,
      () => false,
    );
  }

  /** Does what nobody waits for, and tells what it fails with. */
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
        // It runs on: when it ends, it is by itself.
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

  /** @returns milliseconds until the next one; undefined: there is none */
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
      // At the end of the service its lifetime ends it, which gives it time.
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

  /** @returns milliseconds until the next one; undefined: there is none */
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
      // One that only ever ends to be updated is no better than one that fails.
      this.#failures = 1;
      log.info('the ECS agent has downloaded another version of itself; starting that version');
      return 0;
    }
    return this.#again(new ServiceError('agent.ended', { how }), lastLines);
  }

  /** The first of several failures is an error; the others only repeat it. */
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

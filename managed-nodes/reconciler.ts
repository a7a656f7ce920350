/**
 * Brings nodes to their wanted state and keeps them there. Each wake-up makes it look at Docker and carry out the next
 * step of each node, so a lost event does no harm. It looks every five minutes even without a wake-up.
 *
 * INVARIANTS
 * - A node has at most one step under way. A node waits for another one only for a port or a canary.
 * - A failed step is repeated with backoff. It delays only the nodes that wait for this one.
 * - A look at Docker that began before a node's last step ended does not change what is known of that node.
 */

import { statusOf } from '../docker-engine/failures.ts';
import { messageOf } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { unlessAborted } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import { Alarm } from './alarm.ts';
import type { Hands } from './hands.ts';
import { decide } from './plan/decide.ts';
import { wanting, withEffect, withFailure } from './plan/effects.ts';
import { nodesOf, type PlannedStep, plan } from './plan/plan.ts';
import type { Actual, Decision, NodeMemory, Rejected, Step, WantedNode, World } from './plan/world.ts';

export interface Known {
  readonly decision: Decision;
  /** When the node entered this state, in milliseconds. */
  readonly since: number;
}

export interface ReconcilerOptions {
  readonly hands: Hands;
  readonly log: Logger;
  readonly rejected?: ReadonlyMap<string, Rejected>;
  /** Stores the rejected containers after each change, so that the next service knows them. */
  readonly keepRejected?: (rejected: ReadonlyMap<string, Rejected>) => Promise<void>;
  /** Called with each new state or cause of a node, and with undefined when the node is gone. */
  readonly tell?: (node: string, decision: Decision | undefined) => void;
  readonly now?: () => number;
  readonly alarm?: Alarm;
}

/** Milliseconds between two regular looks. */
const FULL_LOOK = 300_000;
const AGAIN: Backoff = { shortest: 1_000, longest: 300_000 };

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #now: () => number;
  readonly #busy = new Set<string>();
  readonly #known = new Map<string, Known>();
  readonly #chains = new Set<Promise<void>>();
  #world: World;
  #isLookedAt = false;
  #isClosed = false;
  readonly #alarm: Alarm;
  #more = Promise.withResolvers<void>();
  #failedLooks = 0;
  #nextFullLook = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#alarm = options.alarm ?? new Alarm();
    this.#world = {
      wanted: new Map(),
      actual: { containers: [], strangers: [] },
      memory: new Map([...(options.rejected ?? [])].map(([node, one]) => [node, { rejected: one }])),
      digests: new Map(),
      pulled: new Set(),
      isLocked: false,
      now: 0,
      heardSince: this.#now(),
    };
  }

  get world(): World {
    return { ...this.#world, now: this.#now() };
  }

  /** The state of each node, its next step, and when it entered the state. */
  get known(): ReadonlyMap<string, Known> {
    return this.#known;
  }

  want(wanted: ReadonlyMap<string, WantedNode>): void {
    this.#world = wanting(this.#world, wanted);
    this.wake();
  }

  lock(isLocked: boolean): void {
    this.#world = { ...this.#world, isLocked };
    this.wake();
  }

  /** Sets the time since which every exit of a container is received, in milliseconds. */
  heard(heardSince: number): void {
    this.#world = { ...this.#world, heardSince };
  }

  /** Restarts a node as soon as possible. */
  restart(node: string): void {
    this.#remember(node, { isToRestart: true });
    this.wake();
  }

  /** Restarts a node, and retries a rejected container. */
  tryAgain(node: string): void {
    this.#remember(node, { rejected: undefined, failed: undefined, refused: undefined });
    this.restart(node);
  }

  /** Prevents new steps from starting. */
  close(): void {
    this.#isClosed = true;
  }

  /** Makes the reconciler look at Docker. */
  wake(): void {
    this.#alarm.ring();
  }

  plan(): PlannedStep[] {
    return plan(this.world);
  }

  /** Resolves when `isSo` returns true. Checks it after each change. */
  async until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isSo()) await unlessAborted(this.#more.promise, signal);
  }

  /** Whether no step is under way or possible now, and no new container is being checked. */
  get isAtRest(): boolean {
    const decisions = nodesOf(this.world).map((node) => decide(this.world, node));
    const isResting = decisions.every((one) => !one?.step && one?.state !== 'checking');
    return this.#isLookedAt && this.#busy.size === 0 && isResting;
  }

  /** Runs until the signal aborts. Abandons unfinished steps, which the next service continues. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pass(signal);
      await this.#alarm.wait(this.#due - this.#now(), signal);
    }
    await Promise.allSettled(this.#chains);
  }

  async #pass(signal: AbortSignal): Promise<void> {
    try {
      if (this.#now() >= this.#nextFullLook) await this.#lookForTags(signal);
      const busy = new Set(this.#busy);
      const actual = await unlessAborted(this.#options.hands.look(), signal);
      this.#take(actual, busy);
      if (this.#failedLooks > 0) this.#options.log.info('Docker is looked at again');
      this.#failedLooks = 0;
      this.#isLookedAt = true;
    } catch (error) {
      if (signal.aborted) return;
      if (this.#failedLooks++ === 0)
        this.#options.log.warn({ why: messageOf(error) }, 'cannot see which containers there are');
      return;
    }
    this.#advanceAll(signal);
  }

  /** Asks the registries for moved tags every five minutes, in the background, because a registry may be slow. */
  async #lookForTags(signal: AbortSignal): Promise<void> {
    this.#nextFullLook = this.#now() + FULL_LOOK;
    const { wanted, digests: before } = this.#world;
    const images = new Set([...wanted.values()].map(({ spec }) => spec.image));
    const asking = unlessAborted(this.#options.hands.currentDigests([...images]), signal).then((found) => {
      const { digests } = this.#world;
      // A digest that a pull has set in the meantime is newer.
      const news = [...found].filter(([image]) => digests.get(image) === before.get(image));
      if (news.length === 0) return;
      this.#world = { ...this.#world, digests: new Map([...digests, ...news]) };
      this.wake();
    });
    this.#track(asking, 'looking for moved tags failed', signal);
  }

  #track(task: Promise<void>, failure: string, signal: AbortSignal): void {
    const settled = task
      .catch((error: unknown) => void (signal.aborted || this.#options.log.error({ error }, failure)))
      .finally(() => this.#chains.delete(settled));
    this.#chains.add(settled);
  }

  /** @param busy the nodes that had a step under way when the look began */
  #take({ containers, strangers }: Actual, busy: ReadonlySet<string>): void {
    const isOlder = (node: string) => busy.has(node) || this.#busy.has(node);
    const kept = this.#world.actual.containers.filter(({ node }) => isOlder(node));
    const seen = containers.filter(({ node }) => !isOlder(node));
    this.#world = { ...this.#world, actual: { containers: [...kept, ...seen], strangers } };
  }

  #advanceAll(signal: AbortSignal): void {
    const nodes = nodesOf(this.#world);
    for (const node of this.#known.keys()) if (!nodes.includes(node)) this.#forget(node);
    for (const node of nodes) {
      if (this.#busy.has(node)) continue;
      const step = this.#decide(node);
      if (!step || signal.aborted || this.#isClosed) continue;
      this.#busy.add(node);
      this.#track(this.#advance(node, step, signal), `the steps of node ${node} failed`, signal);
    }
    this.#tellMore();
  }

  #forget(node: string): void {
    this.#known.delete(node);
    this.#options.tell?.(node, undefined);
    const memory = new Map(this.#world.memory);
    if (memory.delete(node)) this.#world = { ...this.#world, memory };
  }

  #decide(node: string): Step | undefined {
    const decision = decide(this.world, node);
    if (!decision) return undefined;
    const before = this.#known.get(node);
    const { state, cause } = decision;
    const isSame = before?.decision.state === state;
    this.#known.set(node, { decision, since: isSame ? before.since : this.#now() });
    if (!isSame || before.decision.cause !== cause) {
      this.#options.log.info({ node, state, cause }, 'node');
      this.#options.tell?.(node, decision);
    }
    return decision.step;
  }

  async #advance(node: string, first: Step, signal: AbortSignal): Promise<void> {
    try {
      for (
        let step: Step | undefined = first;
        step && !signal.aborted && !this.#isClosed;
        step = this.#decide(node)
      ) {
        if (!(await this.#carryOut(step, signal))) return;
        // Other nodes may wait for a port that this step released.
        this.#tellMore();
        if (step.do === 'stop' || step.do === 'remove') this.wake();
      }
    } finally {
      this.#busy.delete(node);
      this.wake();
      this.#tellMore();
    }
  }

  async #carryOut(step: Step, signal: AbortSignal): Promise<boolean> {
    const { hands, log } = this.#options;
    log.debug({ step }, 'a step of a node');
    try {
      const outcome = await unlessAborted(hands.carryOut(step, this.world, signal), signal);
      this.#world = withEffect(this.world, step, outcome);
      if (step.do === 'reject' || step.do === 'promote') await this.#keepRejected(step);
      return true;
    } catch (error) {
      if (!signal.aborted) this.#fail(step, error);
      return false;
    }
  }

  #fail(step: Step, error: unknown): void {
    const { node } = step;
    this.#world = withFailure(this.world, step, { why: messageOf(error), status: statusOf(error) });
    const { failed } = this.#world.memory.get(node) ?? {};
    this.#options.log.warn({ node, ...failed }, 'a step of a node failed');
    this.#decide(node);
  }

  async #keepRejected({ node, do: step }: Step): Promise<void> {
    const { log, keepRejected } = this.#options;
    const { why, exitCode } = this.#world.memory.get(node)?.rejected ?? {};
    // The log leaves out the program's last lines, because logs may be sent away from this host.
    if (step === 'reject') log.error({ node, why, exitCode }, 'the new container of a node was rejected');
    const entries = [...this.#world.memory].flatMap(([name, { rejected }]) =>
      rejected ? [[name, rejected] as const] : [],
    );
    await keepRejected?.(new Map(entries)).catch((error: unknown) =>
      log.warn({ error }, 'what was rejected is not kept; it may be tried once more after a restart'),
    );
  }

  #remember(node: string, change: Partial<NodeMemory>): void {
    const memory = new Map(this.#world.memory).set(node, { ...this.#world.memory.get(node), ...change });
    this.#world = { ...this.#world, memory };
  }

  #tellMore(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  get #due(): number {
    if (this.#failedLooks > 0) return this.#now() + backoff(this.#failedLooks - 1, AGAIN);
    const times = [...this.#known].flatMap(([node, { decision }]) =>
      this.#busy.has(node) ? [] : (decision.until ?? []),
    );
    return Math.min(this.#nextFullLook, ...times);
  }
}

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
import { unlessAborted } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import type { UpdateWindow } from '../settings/update-window.ts';
import { Alarm } from './alarm.ts';
import { type Known, KnownNodes, type Tell } from './known-nodes.ts';
import { Looks } from './looks.ts';
import { lookForMovedTags } from './moved-tags.ts';
import { Actual } from './plan/actual.ts';
import { decide } from './plan/decide.ts';
import { applyEffect, applyFailure, remember, wanting } from './plan/effects.ts';
import { nodesOf, type PlannedStep, plan } from './plan/plan.ts';
import { Wanted } from './plan/wanted.ts';
import type { NodeMemory, NodeState, Step, World } from './plan/world.ts';
import { type RejectedNodes, rejectedIn } from './rejected-file.ts';
import type { StepExecutor } from './step-executor.ts';

export interface ReconcilerOptions {
  readonly executor: StepExecutor;
  readonly log: Logger;
  readonly rejected?: RejectedNodes;
  /** Stores the rejected containers after each change, so that the next service knows them. */
  readonly keepRejected?: (rejected: RejectedNodes) => Promise<void>;
  readonly tell?: Tell;
  /** Called when looks at Docker begin to fail, with the reason, and with undefined once a look has succeeded again. */
  readonly tellLook?: (why: string | undefined) => void;
  /** When running nodes may be updated; undefined allows it at any time. */
  readonly window?: UpdateWindow | undefined;
  readonly now?: () => number;
  readonly alarm?: Alarm;
}

/** Milliseconds between two regular looks. */
const FULL_LOOK = 300_000;
/** In one of these states without a step, a node waits for nothing that has failed. */
const WAITING: readonly NodeState[] = ['backoff', 'blocked', 'checking'];

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #now: () => number;
  readonly #busy = new Set<string>();
  readonly #known: KnownNodes;
  readonly #looks: Looks;
  readonly #chains = new Set<Promise<void>>();
  #world: World;
  #isLookedAt = false;
  #isClosed = false;
  readonly #alarm: Alarm;
  #more = Promise.withResolvers<void>();
  #nextFullLook = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#alarm = options.alarm ?? new Alarm();
    this.#known = new KnownNodes(options.tell ?? (() => {}), options.log);
    this.#looks = new Looks(options.tellLook ?? (() => {}), options.log);
    this.#world = {
      wanted: new Wanted(),
      actual: new Actual(),
      memory: new Map([...(options.rejected ?? [])].map(([node, one]) => [node, { rejected: one }])),
      digests: new Map(),
      pulled: new Set(),
      isLocked: false,
      opensAt: undefined,
      now: 0,
      heardSince: this.#now(),
    };
  }

  get world(): World {
    const now = this.#now();
    return { ...this.#world, now, opensAt: this.#options.window?.opensAt(now) };
  }

  /** The state of each node, its next step, and when it entered the state. */
  get known(): ReadonlyMap<string, Known> {
    return this.#known.all;
  }

  want(wanted: Wanted): void {
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
    remember(this.#world, node, { isToRestart: true });
    this.wake();
  }

  /** Restarts a node, and retries a rejected container. */
  tryAgain(node: string): void {
    this.#change(node, { rejected: undefined, failed: undefined, refused: undefined });
    this.restart(node);
  }

  /** Prevents new steps from starting. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no step is under way any more, or when the signal aborts. Never rejects. */
  async settled(signal: AbortSignal): Promise<void> {
    await unlessAborted(Promise.allSettled(this.#chains), signal).catch(() => {});
  }

  /** Makes the reconciler look at Docker. */
  wake(): void {
    this.#alarm.ring();
  }

  /** @param wanted the nodes to plan for; default: the nodes that are wanted now */
  plan(wanted = this.#world.wanted): PlannedStep[] {
    return plan(wanting(this.world, wanted));
  }

  /** Resolves when `isSo` returns true. Checks it after each change. */
  async until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isSo()) await unlessAborted(this.#more.promise, signal);
  }

  /** Whether no step is under way or possible now, and no new container is being checked. */
  get isAtRest(): boolean {
    if (!this.#isLookedAt || this.#busy.size > 0) return false;
    const { world } = this;
    const decisions = nodesOf(world).map((node) => decide(world, node));
    return decisions.every((one) => !one?.step && one?.state !== 'checking');
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
      if (this.#now() >= this.#nextFullLook) this.#lookForTags(signal);
      const busy = new Set(this.#busy);
      const actual = await unlessAborted(this.#options.executor.look(), signal);
      this.#take(actual, busy);
      this.#looks.ended(undefined);
      this.#isLookedAt = true;
    } catch (error) {
      if (!signal.aborted) this.#looks.ended(messageOf(error));
      return;
    }
    this.#advanceAll(signal);
  }

  /** Asks the registries every five minutes, in the background, because a registry may be slow. */
  #lookForTags(signal: AbortSignal): void {
    this.#nextFullLook = this.#now() + FULL_LOOK;
    const world = () => this.#world;
    const asked = lookForMovedTags(this.#options.executor, world, signal).then(
      (isAny) => void (isAny && this.wake()),
    );
    this.#track(asked, 'looking for moved tags failed', signal);
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
    this.#world = { ...this.#world, actual: new Actual([...kept, ...seen], strangers) };
  }

  #advanceAll(signal: AbortSignal): void {
    const nodes = nodesOf(this.#world);
    for (const node of this.#known.forgetOthers(nodes)) this.#forget(node);
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
    this.#change(node, { rejected: undefined });
    this.#world.memory.delete(node);
  }

  #decide(node: string): Step | undefined {
    const decision = decide(this.world, node);
    if (!decision) return undefined;
    this.#known.learn(node, decision, this.#now());
    if (!decision.step && !WAITING.includes(decision.state) && this.#world.memory.get(node)?.failed)
      remember(this.#world, node, { failed: undefined });
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
    const { executor, log } = this.#options;
    log.debug({ step }, 'a step of a node');
    try {
      const outcome = await unlessAborted(executor.carryOut(step, this.world, signal), signal);
      const before = this.#world.memory.get(step.node)?.rejected;
      applyEffect(this.world, step, outcome);
      const { rejected } = this.#world.memory.get(step.node) ?? {};
      // The log leaves out the program's last lines, because logs may be sent away from this host.
      if (step.do === 'reject')
        log.error({ ...step, exitCode: rejected?.exitCode }, 'the new container of a node was rejected');
      if (rejected !== before) await this.#keepRejected();
      return true;
    } catch (error) {
      if (!signal.aborted) this.#fail(step, error);
      return false;
    }
  }

  #fail(step: Step, error: unknown): void {
    const { node } = step;
    applyFailure(this.world, step, { why: messageOf(error), status: statusOf(error) });
    this.#options.log.warn({ node, ...this.#world.memory.get(node)?.failed }, 'a step of a node failed');
    this.#decide(node);
  }

  async #keepRejected(): Promise<void> {
    const { log, keepRejected } = this.#options;
    await keepRejected?.(rejectedIn(this.#world)).catch((error: unknown) =>
      log.warn({ error }, 'cannot write the rejected containers; the next service may retry them once'),
    );
  }

  #change(node: string, known: Partial<NodeMemory>): void {
    const before = this.#world.memory.get(node)?.rejected;
    remember(this.#world, node, known);
    if (before !== this.#world.memory.get(node)?.rejected) void this.#keepRejected();
  }

  #tellMore(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  get #due(): number {
    const { pause } = this.#looks;
    if (pause !== undefined) return this.#now() + pause;
    const times = [...this.#known.all].flatMap(([node, { decision }]) =>
      this.#busy.has(node) ? [] : (decision.until ?? []),
    );
    return Math.min(this.#nextFullLook, ...times);
  }
}

/** A simulated Docker for the planner of nodes: it executes steps, and refuses those that no plan may contain. */

import assert from 'node:assert/strict';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Actual } from '../../managed-nodes/plan/actual.ts';
import { decide } from '../../managed-nodes/plan/decide.ts';
import { applyEffect, applyFailure, type Failure } from '../../managed-nodes/plan/effects.ts';
import {
  candidateName,
  copyName,
  fixedPorts,
  type HostPort,
  isActive,
  type NodeContainer,
  type Stranger,
  type WantedNode,
} from '../../managed-nodes/plan/node-container.ts';
import { nodesOf } from '../../managed-nodes/plan/plan.ts';
import { overlap } from '../../managed-nodes/plan/ports.ts';
import { Wanted } from '../../managed-nodes/plan/wanted.ts';
import type { NodeMemory, Step, World } from '../../managed-nodes/plan/world.ts';
import { handOverFileOf, type NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { wantedNode } from '../../managed-nodes/spec/spec-hash.ts';
import { type Conduct, conducted, conductOf, digestOf } from './conduct.ts';
import { isHandingOver, seenInHandOver } from './hand-over-model.ts';

const KEY = Buffer.alloc(32, 'k');

export function hashOf(spec: NodeSpec): string {
  return wantedNode(spec, KEY).hash;
}

export function wantedOf(specs: readonly NodeSpec[]): Map<string, WantedNode> {
  return new Map(specs.map((spec) => [spec.name, wantedNode(spec, KEY)]));
}

export class ModelDocker {
  readonly containers = new Map<DockerId, NodeContainer>();
  readonly strangers: readonly Stranger[];
  /** The registry's current digests. */
  readonly registry: Map<string, Conduct>;
  wanted: ReadonlyMap<string, WantedNode>;
  unusable: ReadonlyMap<string, string> = new Map();
  memory: ReadonlyMap<string, NodeMemory> = new Map();
  digests: ReadonlyMap<string, string> = new Map();
  pulled: ReadonlySet<string> = new Set();
  isLocked = false;
  opensAt: number | undefined;
  now = 1_000_000;
  heardSince = 0;
  /** The numbers of the steps that Docker executes, but after which the service dies before it learns that. */
  tornAt: ReadonlySet<number> = new Set();
  readonly steps: Step[] = [];
  /** Containers that Docker can no longer start, because a crash left their task in containerd. */
  readonly #left = new Set<DockerId>();
  #made = 0;
  /** The values of `wanted` and `unusable` at the last look. */
  #known: {
    readonly nodes?: ModelDocker['wanted'];
    readonly unusable?: ModelDocker['unusable'];
    readonly wanted: Wanted;
  } = { wanted: new Wanted() };

  constructor(
    wanted: ReadonlyMap<string, WantedNode>,
    registry: Map<string, Conduct>,
    strangers: readonly Stranger[] = [],
  ) {
    this.wanted = wanted;
    this.registry = registry;
    this.strangers = strangers;
  }

  get world(): World {
    const { memory, digests, pulled, isLocked, opensAt, now, heardSince } = this;
    const containers = [...this.containers.values()].map((one) => seenInHandOver(one, now));
    return {
      wanted: this.#wanted(),
      actual: new Actual(containers, this.strangers),
      memory: new Map(memory),
      digests: new Map(digests),
      pulled: new Set(pulled),
      isLocked,
      opensAt,
      now,
      heardSince,
    };
  }

  #wanted(): Wanted {
    const [nodes, unusable] = [this.wanted, this.unusable];
    if (this.#known.nodes !== nodes || this.#known.unusable !== unusable)
      this.#known = { nodes, unusable, wanted: new Wanted(nodes, unusable) };
    return this.#known.wanted;
  }

  /** Adds a container that was made from `spec`. */
  put(spec: NodeSpec, conduct: Conduct, how: Partial<NodeContainer> = {}): NodeContainer {
    const file = how.rank === 'candidate' ? handOverFileOf(spec) : undefined;
    const one: NodeContainer = {
      id: `id-${this.#made++}` as DockerId,
      node: spec.name,
      rank: 'current',
      hash: hashOf(spec),
      digest: digestOf(spec.image, conduct),
      state: 'running',
      ports: fixedPorts(spec),
      isKept: how.rank !== 'candidate',
      handOver: file === undefined ? undefined : { file, isComplete: false },
      ...how,
    };
    this.containers.set(one.id, one);
    return one;
  }

  portsInUse(): readonly HostPort[] {
    return [...[...this.containers.values()].filter(isActive), ...this.strangers].flatMap(
      ({ ports }) => ports,
    );
  }

  /** Executes one step for each node that has one. @returns whether there was any */
  round(afterStep: () => void = () => {}): boolean {
    let isAny = false;
    for (const node of nodesOf(this.world)) {
      const step = decide(this.world, node)?.step;
      if (!step) continue;
      isAny = true;
      this.carryOut(step);
      afterStep();
    }
    return isAny;
  }

  /** Continues until nothing is left to do and no check is in progress. */
  settle(afterStep?: () => void): void {
    for (let round = 0; round < 300; round++) {
      if (this.round(afterStep)) continue;
      const next = nodesOf(this.world).flatMap((node) => this.#nextOf(node) ?? []);
      if (next.length === 0) return;
      this.now = Math.min(...next);
    }
    assert.fail(`it never settles: ${JSON.stringify(this.steps.slice(-12))}`);
  }

  /** The times of a check or a retry; a few rounds are enough. */
  #nextOf(node: string): number | undefined {
    const { state, until } = decide(this.world, node) ?? {};
    const { times = 0 } = this.memory.get(node)?.failed ?? {};
    return state === 'checking' || (state === 'backoff' && times < 4) ? until : undefined;
  }

  carryOut(step: Step): void {
    this.now += 10;
    this.steps.push(step);
    const refusal = step.do === 'start' ? this.#refusal(step.container) : undefined;
    if (refusal) {
      const failed = this.world;
      applyFailure(failed, step, refusal);
      this.memory = failed.memory;
      return;
    }
    const outcome = this.#act(step);
    if (this.tornAt.has(this.steps.length)) {
      this.crash(false);
      return;
    }
    const after = this.world;
    applyEffect(after, step, outcome);
    const { memory, digests, pulled } = after;
    Object.assign(this, { memory, digests, pulled });
  }

  #act(step: Step) {
    if (step.do === 'pull') {
      return { digest: digestOf(step.image, this.registry.get(step.image) as Conduct) };
    }
    if (step.do === 'create') return { id: this.#create(step).id };
    const one = this.containers.get(step.container);
    assert.ok(one, `${step.do} of ${step.container}, which is not a managed container`);
    if (step.do === 'start' || step.do === 'restart') this.#start(one);
    else if (step.do === 'stop') this.#stop(one);
    else if (step.do === 'keep') this.#set(one, { isKept: true });
    else if (step.do === 'copy') return { id: this.#copy(one).id };
    else if (step.do === 'promote') this.#promote(one);
    else if (step.do === 'remove') this.#remove(one);
    return { exitCode: one.exitCode ?? 0, lastLines: [] };
  }

  #refusal(id: DockerId): Failure | undefined {
    if (this.#left.has(id)) return { why: `task ${'4'.repeat(64)}: already exists`, status: 409 };
    const isRefused = conductOf(this.containers.get(id)?.digest ?? '') === 'refuses';
    return isRefused ? { why: 'no such program', status: 400 } : undefined;
  }

  #set(one: NodeContainer, change: Partial<NodeContainer>): void {
    this.containers.set(one.id, { ...one, ...change });
  }

  #stop(one: NodeContainer): void {
    assert.ok(
      one.rank === 'candidate' || !isHandingOver(this.world, one.node),
      `${one.node} still hands over`,
    );
    this.#set(one, { state: 'exited', health: undefined, ended: 0 });
  }

  #create({ node, hash, digest }: Extract<Step, { do: 'create' }>): NodeContainer {
    const spec = this.wanted.get(node)?.spec as NodeSpec;
    assert.equal(hashOf(spec), hash);
    this.#nameIsFree(candidateName(node), (one) => one.node === node && one.rank === 'candidate');
    return this.put(spec, conductOf(digest), { rank: 'candidate', state: 'created' });
  }

  #copy(original: NodeContainer): NodeContainer {
    this.#nameIsFree(copyName(original.node), (one) => one.node === original.node && one.rank === 'copy');
    const id = `id-${this.#made++}` as DockerId;
    const copy: NodeContainer = { ...original, id, rank: 'copy', state: 'created', health: undefined };
    this.containers.set(id, copy);
    return copy;
  }

  #nameIsFree(name: string, hasIt: (one: NodeContainer) => boolean): void {
    assert.ok(![...this.containers.values()].some(hasIt), `the name ${name} is in use`);
    assert.ok(
      !this.strangers.some((one) => one.name === name),
      `an unmanaged container has the name ${name}`,
    );
  }

  #start(one: NodeContainer): void {
    const used = [...[...this.containers.values()].filter(isActive), ...this.strangers].filter(
      ({ id }) => id !== one.id,
    );
    for (const { ports } of used) {
      const both = one.ports.some((port) => ports.some((other) => overlap(port, other)));
      assert.ok(!both, `two containers would have one port of the host: ${JSON.stringify(one.ports)}`);
    }
    this.#set(one, { ...conducted(one, this.now), started: this.now });
  }

  #promote(one: NodeContainer): void {
    this.#nameIsFree(one.node, (other) => other.node === one.node && other.rank === 'current');
    this.#set(one, { rank: 'current' });
  }

  #remove(one: NodeContainer): void {
    assert.ok(!isActive(one), 'a running container is stopped before it is removed');
    assert.ok(this.#isDispensable(one), `${one.node} has no accepted container but ${one.id}`);
    this.containers.delete(one.id);
  }

  /** Whether its node is not wanted, or keeps an accepted container without it. */
  #isDispensable({ id, node, rank, state, isKept }: NodeContainer): boolean {
    if (!this.wanted.has(node) || state === 'dead' || (rank === 'candidate' && !isKept)) return true;
    return [...this.containers.values()].some((one) => one.node === node && one.id !== id && one.isKept);
  }

  /** Looks up the registry's digests again. */
  lookForTags(): void {
    this.digests = new Map([...this.registry].map(([image, conduct]) => [image, digestOf(image, conduct)]));
  }

  /** The service dies, and another one starts. */
  crash(isMemoryLost: boolean): void {
    this.digests = new Map();
    this.pulled = new Set();
    const kept = isMemoryLost ? [] : [...this.memory];
    this.memory = new Map(kept.map(([node, { rejected }]) => [node, { rejected }]));
    this.heardSince = this.now + 5;
    this.now += 10;
  }

  /**
   * Docker dies with all containers, and restarts those that it keeps.
   * @param leavesTasks whether it can start none of these containers any more, because their tasks are left
   */
  crashDocker(leavesTasks = false): void {
    for (const one of this.containers.values()) {
      if (!isActive(one)) continue;
      if (leavesTasks) this.#left.add(one.id);
      if (one.isKept && !leavesTasks) this.#set(one, { ...conducted(one, this.now), started: this.now });
      else this.#set(one, { state: 'exited', health: undefined, ended: this.now, exitCode: 255 });
    }
    this.heardSince = this.now + 5;
    this.now += 10;
  }
}

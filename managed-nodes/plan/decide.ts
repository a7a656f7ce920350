/**
 * Decides the next step for one node. Each decision depends only on observed state, so a service that starts after a
 * crash makes the same decision.
 *
 * A new container is pulled and created while the old one runs. It starts before or after the old one stops, and is
 * then checked. If it is accepted, the old container is removed and the new one gets the node's name. If it is
 * rejected, the new container is removed and the old one runs again. The spec of the old one is known only as a hash. So
 * if Docker can never start the old one again, a copy of it is created from what Docker knows of it, and takes its place.
 *
 * INVARIANTS
 * - No step changes a container that this service did not make.
 * - No container starts while another container holds a host port that it needs.
 * - An accepted container is removed only after another one was accepted, or after a copy of it was created.
 */

import { whyWaitsForCanary } from './canary.ts';
import { fits, hasLeftTask, isMoving, isRejected, ownOf, rejectedAsWanted, whyRefused } from './fitting.ts';
import { judge } from './gate.ts';
import { candidateName, copyName, isActive, type NodeContainer, type WantedNode } from './node-container.ts';
import { holdersOf, waitsInCircle, whyPortsTaken } from './ports.ts';
import { type ContainerStep, type Decision, hasFailed, type NodeMemory, type World } from './world.ts';

/** Milliseconds before the service retries a rejected container of a node that has no old container to run. */
const AGAIN = 300_000;

const WANTS_STOP = 'the feed wants it stopped';
const CANNOT_START = 'Docker cannot start it after a crash of Docker';

/** @returns undefined when the node is not wanted and has no container */
export function decide(world: World, node: string): Decision | undefined {
  const decision = new Deciding(world, node).decide();
  const { failed } = world.memory.get(node) ?? {};
  if (!failed || !decision?.step || !hasFailed(decision.step, failed) || failed.next <= world.now)
    return decision;
  return { state: 'backoff', cause: failed.why, until: failed.next };
}

class Deciding {
  readonly #world: World;
  readonly #node: string;
  readonly #wanted: WantedNode | undefined;
  readonly #memory: NodeMemory;
  readonly #current: NodeContainer | undefined;
  readonly #candidate: NodeContainer | undefined;
  readonly #copy: NodeContainer | undefined;

  constructor(world: World, node: string) {
    this.#world = world;
    this.#node = node;
    this.#wanted = world.wanted.get(node);
    this.#memory = world.memory.get(node) ?? {};
    this.#current = ownOf(world, node, 'current');
    this.#candidate = ownOf(world, node, 'candidate');
    this.#copy = ownOf(world, node, 'copy');
  }

  decide(): Decision | undefined {
    const [wanted, current, candidate, copy] = [this.#wanted, this.#current, this.#candidate, this.#copy];
    const why = this.#world.wanted.unusable.get(this.#node);
    // Without a usable spec, the service does not know whether a container that has stopped is to run.
    if (!wanted && why !== undefined) return { state: 'blocked', cause: why };
    if (!wanted) {
      const left = candidate ?? copy ?? current;
      return left && this.#takeDown(left, 'removing', 'the feed no longer wants it');
    }
    const broken = [candidate, copy, current].find(
      (one) => one?.state === 'dead' || one?.state === 'removing',
    );
    if (broken) return this.#takeDown(broken, 'removing', 'Docker could not remove it before');
    const running = [candidate, copy, current].find((one) => one && isActive(one));
    if (wanted.spec.stopped && running) return this.#step('stop', running, 'stopping', WANTS_STOP);
    const restoring = this.#restore();
    if (restoring) return restoring;
    if (candidate && hasLeftTask(this.#world, candidate))
      return this.#takeDown(candidate, 'removing', CANNOT_START);
    if (wanted.spec.stopped)
      return candidate
        ? this.#takeDown(candidate, 'stopping', WANTS_STOP)
        : { state: 'stopped', cause: WANTS_STOP };
    if (candidate) return this.#continue(candidate, wanted);
    if (current && fits(this.#world, current))
      return why === undefined ? this.#run(current, 'as wanted') : this.#run(current, why, 'blocked');
    return this.#replace(wanted);
  }

  /** Gives the node's name to the last accepted container, and replaces it by a copy if Docker cannot start it. */
  #restore(): Decision | undefined {
    const [current, candidate, copy] = [this.#current, this.#candidate, this.#copy];
    if (current && copy)
      return isActive(current)
        ? this.#takeDown(copy, 'removing', 'Docker has started the container that it is a copy of')
        : this.#takeDown(current, 'removing', 'Docker cannot start it, and there is a copy of it');
    if (current) return hasLeftTask(this.#world, current) ? this.#copyOf(current) : undefined;
    if (copy) return this.#promote(copy, 'it is a copy of the old container');
    return candidate?.isKept ? this.#promote(candidate, 'the new container was accepted') : undefined;
  }

  #copyOf(current: NodeContainer): Decision {
    if (this.#memory.refused?.hasNoImage) return this.#takeDown(current, 'removing', CANNOT_START);
    const stranger = this.#world.actual.strangerNamed(copyName(this.#node));
    if (stranger) return { state: 'blocked', cause: nameTaken(stranger.name) };
    return this.#step('copy', current, 'starting', CANNOT_START);
  }

  #promote(container: NodeContainer, cause: string): Decision {
    const stranger = this.#world.actual.strangerNamed(this.#node);
    if (stranger) return { state: 'blocked', cause: nameTaken(stranger.name) };
    return this.#step('promote', container, 'checking', cause);
  }

  /** Keeps the container running: starts or restarts it when necessary. */
  #run(container: NodeContainer, cause: string, state?: 'reverted' | 'blocked'): Decision {
    if (container.state === 'running') {
      if (this.#memory.isToRestart) return this.#step('restart', container, 'starting', 'asked to restart');
      return { state: state ?? (container.health === 'unhealthy' ? 'unhealthy' : 'running'), cause };
    }
    if (state && isActive(container)) return { state, cause };
    if (container.state === 'restarting') {
      return { state: 'restarting', cause: 'it exited, and Docker restarts it' };
    }
    if (container.state === 'paused') return { state: 'paused', cause: 'somebody has paused it' };
    const [holder] = holdersOf(this.#world, container);
    if (holder) return { state: 'blocked', cause: holder.why };
    return this.#step('start', container, 'starting', cause);
  }

  #replace(wanted: WantedNode): Decision {
    const { name: node, image } = wanted.spec;
    const [current, world] = [this.#current, this.#world];
    const digest = world.digests.get(image);
    const { failed } = this.#memory;
    const rejected = rejectedAsWanted(world, node);
    if (rejected) {
      if (current) return this.#run(current, `the new container was rejected: ${rejected.why}`, 'reverted');
      const until = rejected.at + AGAIN;
      if (world.now < until) return { state: 'failed', cause: rejected.why, until };
    }
    if (current && world.isLocked) return this.#run(current, 'updates are deferred by a lock');
    if (current && world.opensAt !== undefined) return this.#untilWindow(current, world.opensAt);
    const waits = current && whyWaitsForCanary(world, node, decide);
    if (waits !== undefined) return this.#blocked(waits);
    // The old container can run even if a step of its replacement keeps failing.
    if (current && failed && this.#mayStart(current)) return this.#run(current, failed.why);
    const names = current ? [candidateName(node)] : [node, candidateName(node)];
    const [stranger] = names.flatMap((name) => world.actual.strangerNamed(name) ?? []);
    if (stranger) return this.#blocked(nameTaken(stranger.name));
    const taken = whyPortsTaken(world, node);
    if (taken !== undefined) return this.#blocked(taken);
    const cause = current ? 'another spec or image is wanted' : 'it has no container';
    if (digest === undefined || !world.pulled.has(`${image} ${digest}`))
      return { state: 'pending', cause, step: { do: 'pull', node, image } };
    return { state: 'pending', cause, step: { do: 'create', node, hash: wanted.hash, digest } };
  }

  /** Whether it is stopped and nothing prevents its start. Another node may have been given its port. */
  #mayStart(container: NodeContainer): boolean {
    const world = this.#world;
    if (isActive(container) || whyRefused(world, container) !== undefined) return false;
    return holdersOf(world, container).length === 0;
  }

  #untilWindow(current: NodeContainer, until: number): Decision {
    const cause = `updates are deferred until their window opens at ${new Date(until).toISOString()}`;
    return { until, ...this.#run(current, cause) };
  }

  /** Keeps the old container, if there is one, running while the node is blocked. */
  #blocked(cause: string): Decision {
    return this.#current ? this.#run(this.#current, cause, 'blocked') : { state: 'blocked', cause };
  }

  #continue(candidate: NodeContainer, { spec }: WantedNode): Decision {
    const [current, world] = [this.#current, this.#world];
    if (isRejected(world, candidate)) return this.#takeDown(candidate, 'removing', 'it was rejected');
    if (!fits(world, candidate))
      return this.#takeDown(candidate, 'removing', 'the feed now wants another spec');
    if (current && fits(world, current))
      return this.#takeDown(candidate, 'removing', 'the old one is wanted again');
    const verdict = judge(candidate, spec, world, current !== undefined && isActive(current));
    const why = verdict.is === 'start' ? whyRefused(world, candidate) : undefined;
    if (why !== undefined) return this.#reject(candidate, why);
    if (verdict.is === 'open') return { state: 'checking', cause: verdict.why, until: verdict.until };
    if (verdict.is === 'paused') return { state: 'paused', cause: 'somebody has paused the new container' };
    if (verdict.is === 'bad') return this.#reject(candidate, verdict.why);
    if (verdict.is === 'start') return this.#start(candidate, spec.update?.order === 'stop-first');
    return this.#accept(candidate, verdict.why);
  }

  #reject({ id: container }: NodeContainer, cause: string): Decision {
    const step = { do: 'reject', node: this.#node, container, why: cause } as const;
    return { state: 'checking', cause, step };
  }

  #accept(candidate: NodeContainer, cause: string): Decision {
    return this.#current && candidate.isKept
      ? this.#takeDown(this.#current, 'stopping', cause)
      : this.#step('keep', candidate, 'checking', cause);
  }

  /**
   * Starts the new container, and stops the old one first if necessary. The old container stops only if no other
   * container holds a port that the new one needs, or if the nodes wait for each other's ports in a circle.
   */
  #start(candidate: NodeContainer, isStopFirst: boolean): Decision {
    const [current, world] = [this.#current, this.#world];
    const taken = whyPortsTaken(world, this.#node);
    if (taken !== undefined) return this.#blocked(taken);
    const holders = holdersOf(world, candidate).filter(({ container }) => container?.node !== this.#node);
    const mustStop = current && isActive(current) && (isStopFirst || candidate.ports.length > 0);
    if (mustStop && (holders.length === 0 || waitsInCircle(world, this.#node)))
      return this.#step('stop', current, 'stopping', 'the new container needs its place');
    const [holder] = holders;
    if (!holder) return this.#step('start', candidate, 'starting', 'it is a new container');
    const isShort = holder.container && isMoving(world, holder.container) && !mustStop;
    return isShort ? { state: 'blocked', cause: holder.why } : this.#blocked(holder.why);
  }

  #takeDown(container: NodeContainer, state: 'removing' | 'stopping', cause: string): Decision {
    return this.#step(isActive(container) ? 'stop' : 'remove', container, state, cause);
  }

  #step(
    what: ContainerStep['do'],
    { id: container }: NodeContainer,
    state: Decision['state'],
    cause: string,
  ): Decision {
    return { state, cause, step: { do: what, node: this.#node, container } };
  }
}

function nameTaken(name: string): string {
  return `the name ${name} belongs to a container that this service did not make; rename or remove that container, or rename the node`;
}

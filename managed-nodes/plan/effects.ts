/**
 * Applies the effect of a step to the known state. A plan assumes the effect; the reconciler applies it after it has
 * carried out the step.
 */

import type { DockerId } from '../../docker-engine/docker-id.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import { fixedPorts } from './ports.ts';
import {
  containerIn,
  hasFailed,
  keyOf,
  type NodeContainer,
  type NodeMemory,
  type Step,
  type World,
} from './world.ts';

const AGAIN: Backoff = { shortest: 1_000, longest: 300_000 };

export interface Failure {
  readonly why: string;
  /** The HTTP status of Docker's answer. It is undefined if Docker did not answer or something else failed. */
  readonly status?: number | undefined;
}

/** Facts that become known when a step is carried out. */
export interface Outcome {
  /** The digest of a pulled image. */
  readonly digest?: string;
  /** The Docker id of a created container. */
  readonly id?: DockerId;
  /** The exit code of a rejected container. */
  readonly exitCode?: number;
  readonly lastLines?: readonly string[];
}

/**
 * Replaces the wanted nodes. Drops a node's failure if its spec changed, and drops the digests of images that no node
 * wants, so that the service asks the registry again if such an image is wanted later.
 */
export function wanting(world: World, wanted: World['wanted']): World {
  const images = new Set([...wanted.values()].map(({ spec }) => spec.image));
  const digests = new Map([...world.digests].filter(([image]) => images.has(image)));
  const pulled = new Set([...world.pulled].filter((one) => images.has(one.split(' ', 1)[0] ?? '')));
  const memory = [...world.memory].map(([node, known]) => {
    const isSame = wanted.get(node)?.hash === world.wanted.get(node)?.hash;
    return [node, isSame ? known : { ...known, failed: undefined }] as const;
  });
  return { ...world, wanted, digests, pulled, memory: new Map(memory) };
}

export function withEffect(world: World, step: Step, outcome: Outcome): World {
  const after = effectOf(world, step, outcome);
  const memory = after.memory.get(step.node);
  const isOver = memory?.failed && hasFailed(step, memory.failed);
  return isOver ? withMemory(after, step.node, { ...memory, failed: undefined }) : after;
}

function effectOf(world: World, step: Step, outcome: Outcome): World {
  switch (step.do) {
    case 'pull': {
      const { digest = '' } = outcome;
      const digests = new Map(world.digests).set(step.image, digest);
      return { ...world, digests, pulled: new Set(world.pulled).add(`${step.image} ${digest}`) };
    }
    case 'create': {
      // A new container fulfils a pending request to restart.
      const known = { ...world.memory.get(step.node), isToRestart: undefined };
      const container = created(world, step, outcome);
      return withContainers(withMemory(world, step.node, known), [...world.actual.containers, container]);
    }
    case 'remove':
      return withContainers(
        world,
        world.actual.containers.filter(({ id }) => id !== step.container),
      );
    case 'reject':
      return rejected(world, step, outcome);
    case 'promote': {
      const known = { ...world.memory.get(step.node), rejected: undefined };
      return changed(withMemory(world, step.node, known), step.container, { rank: 'current' });
    }
    case 'restart': {
      const known = { ...world.memory.get(step.node), isToRestart: undefined };
      return changed(withMemory(world, step.node, known), step.container, { state: 'running' });
    }
    case 'start':
    case 'stop': {
      // A start fulfils a pending request to restart, and a stopped container must be started anyway.
      const known = { ...world.memory.get(step.node), isToRestart: undefined };
      return changed(withMemory(world, step.node, known), step.container, CHANGES[step.do](world));
    }
    case 'keep':
      return changed(world, step.container, { isKept: true });
  }
}

/** Records a failed step and the time of its next attempt. */
export function withFailure(world: World, step: Step, { why, status }: Failure): World {
  const { node } = step;
  const memory = world.memory.get(node) ?? {};
  const times = memory.failed && hasFailed(step, memory.failed) ? memory.failed.times + 1 : 1;
  const container = containerIn(step);
  const failed = { step: step.do, container, why, times, next: world.now + backoff(times - 1, AGAIN) };
  const after = withMemory(world, node, { ...memory, failed });
  if (status === undefined) return after;
  if (step.do === 'start' && container !== undefined) {
    const before = memory.refused?.container === container ? memory.refused.times : 0;
    return withMemory(after, node, { ...memory, failed, refused: { container, why, times: before + 1 } });
  }
  return step.do === 'create' && status === 404 ? withoutImage(after, step) : after;
}

/** Marks the image as not pulled, because Docker no longer has it. */
function withoutImage(world: World, { node, digest }: Extract<Step, { do: 'create' }>): World {
  const pulled = new Set(world.pulled);
  pulled.delete(`${world.wanted.get(node)?.spec.image} ${digest}`);
  return { ...world, pulled };
}

const CHANGES: Readonly<Record<'start' | 'stop', (world: World) => Partial<NodeContainer>>> = {
  // The result of the health check is unknown until the next look at Docker.
  start: ({ now }) => ({ state: 'running', started: now, health: 'starting' }),
  stop: () => ({ state: 'exited', health: undefined }),
};

function created(
  { wanted }: World,
  { node, hash, digest }: Extract<Step, { do: 'create' }>,
  { id = `new-${node}` as DockerId }: Outcome,
): NodeContainer {
  const spec = wanted.get(node)?.spec;
  const ports = spec ? fixedPorts(spec) : [];
  return { id, node, rank: 'candidate', hash, digest, state: 'created', ports, isKept: false };
}

function rejected(
  world: World,
  { node, container: id, why }: Extract<Step, { do: 'reject' }>,
  { exitCode, lastLines = [] }: Outcome,
): World {
  const container = world.actual.containers.find((one) => one.id === id);
  if (!container) return world;
  const code = exitCode === undefined ? {} : { exitCode };
  const entry = { key: keyOf(container), why, ...code, lastLines, at: world.now };
  return withMemory(world, node, { ...world.memory.get(node), failed: undefined, rejected: entry });
}

function withMemory(world: World, node: string, memory: NodeMemory): World {
  return { ...world, memory: new Map(world.memory).set(node, memory) };
}

function changed(world: World, id: DockerId, change: Partial<NodeContainer>): World {
  return withContainers(
    world,
    world.actual.containers.map((one) => (one.id === id ? { ...one, ...change } : one)),
  );
}

function withContainers(world: World, containers: readonly NodeContainer[]): World {
  return { ...world, actual: { ...world.actual, containers } };
}

/** What a step changes once it has succeeded: for a plan, which only supposes that, and for whoever has carried it out. */

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
  /** Of Docker's answer; undefined: it did not answer, or something else failed. */
  readonly status?: number | undefined;
}

/** What a step has brought to light. */
export interface Outcome {
  /** Of a pulled image. */
  readonly digest?: string;
  /** Of a created container. */
  readonly id?: DockerId;
  /** Of a rejected container. */
  readonly exitCode?: number;
  readonly lastLines?: readonly string[];
}

/** What failed with another spec says nothing of this one, and a tag that is wanted again is asked for again. */
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
      // A new container is as good as a restart.
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
      // So is a start, and what is stopped has to be started anyway.
      const known = { ...world.memory.get(step.node), isToRestart: undefined };
      return changed(withMemory(world, step.node, known), step.container, CHANGES[step.do](world));
    }
    case 'keep':
      return changed(world, step.container, { isKept: true });
  }
}

/** What is known once a step has failed. */
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

/** Somebody has removed the image, so it is pulled again. */
function withoutImage(world: World, { node, digest }: Extract<Step, { do: 'create' }>): World {
  const pulled = new Set(world.pulled);
  pulled.delete(`${world.wanted.get(node)?.spec.image} ${digest}`);
  return { ...world, pulled };
}

const CHANGES: Readonly<Record<'start' | 'stop', (world: World) => Partial<NodeContainer>>> = {
  // What its health check says is not known before it is looked at.
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

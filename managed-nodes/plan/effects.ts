/** What a step changes once it has succeeded: for a plan, which only supposes that, and for whoever has carried it out. */

import type { DockerId } from '../../docker-engine/docker-id.ts';
import { fixedPorts } from './ports.ts';
import { keyOf, type NodeContainer, type NodeMemory, type Step, type World } from './world.ts';

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

export function withEffect(world: World, step: Step, outcome: Outcome): World {
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
    default:
      return changed(world, step.container, CHANGES[step.do](world));
  }
}

const CHANGES: Readonly<Record<'start' | 'stop' | 'keep', (world: World) => Partial<NodeContainer>>> = {
  // What its health check says is not known before it is looked at.
  start: ({ now }) => ({ state: 'running', started: now, health: 'starting' }),
  stop: () => ({ state: 'exited', health: undefined }),
  keep: () => ({ isKept: true }),
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
  return withMemory(world, node, { ...world.memory.get(node), rejected: entry });
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

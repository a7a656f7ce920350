/**
 * Applies the effect of a step to the known state. A plan assumes the effect; the reconciler applies it after it has
 * carried out the step.
 */

import type { DockerId } from '../../docker-engine/docker-id.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import { handOverFileOf } from '../spec/node-spec.ts';
import { fits } from './fitting.ts';
import { fixedPorts, keyOf, type NodeContainer } from './node-container.ts';
import {
  type ContainerStep,
  containerIn,
  hasFailed,
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
  const { images } = wanted;
  const digests = new Map([...world.digests].filter(([image]) => images.has(image)));
  const pulled = new Set([...world.pulled].filter((one) => images.has(one.split(' ', 1)[0] ?? '')));
  const memory = [...world.memory].map(([node, known]) => {
    const isSame = wanted.get(node)?.hash === world.wanted.get(node)?.hash;
    return [node, isSame ? known : { ...known, failed: undefined }] as const;
  });
  return { ...world, wanted, digests, pulled, memory: new Map(memory) };
}

/** Changes the world as the step does. */
export function applyEffect(world: World, step: Step, outcome: Outcome): void {
  const { failed, rejected } = world.memory.get(step.node) ?? {};
  if (hasFailed(step, failed)) remember(world, step.node, { failed: undefined });
  switch (step.do) {
    case 'pull': {
      const { digest = '' } = outcome;
      world.digests.set(step.image, digest);
      world.pulled.add(`${step.image} ${digest}`);
      return;
    }
    case 'create':
      // A new container fulfils a pending request to restart, and gets another chance if one like it was rejected.
      remember(world, step.node, { isToRestart: undefined });
      if (rejected?.key === keyOf(step)) remember(world, step.node, { rejected: undefined });
      world.actual.put(created(world, step, outcome));
      return;
    case 'copy':
      copy(world, step, outcome);
      return;
    case 'remove':
      world.actual.delete(step.container);
      return;
    case 'reject':
      reject(world, step, outcome);
      return;
    case 'promote':
      promoted(world, step);
      change(world, step.container, { rank: 'current' });
      return;
    case 'restart':
    case 'start':
    case 'stop':
      // A start fulfils a pending request to restart, and a stopped container must be started anyway.
      remember(world, step.node, { isToRestart: undefined });
      change(world, step.container, CHANGES[step.do](world));
      return;
    case 'keep':
      change(world, step.container, { isKept: true });
  }
}

/** Records a failed step and the time of its next attempt. */
export function applyFailure(world: World, step: Step, { why, status }: Failure): void {
  const { node } = step;
  const memory = world.memory.get(node) ?? {};
  const times = memory.failed && hasFailed(step, memory.failed) ? memory.failed.times + 1 : 1;
  const container = containerIn(step);
  const failed = { step: step.do, container, why, times, next: world.now + backoff(times - 1, AGAIN) };
  remember(world, node, { failed });
  if (status === undefined) return;
  if (step.do === 'start' && container !== undefined) {
    const before = memory.refused?.container === container ? memory.refused.times : 0;
    remember(world, node, { refused: { container, why, times: before + 1 } });
  }
  // Docker no longer has the image.
  if (status !== 404) return;
  if (step.do === 'copy' && memory.refused)
    remember(world, node, { refused: { ...memory.refused, hasNoImage: true } });
  if (step.do === 'create') world.pulled.delete(`${world.wanted.get(node)?.spec.image} ${step.digest}`);
}

type Change = (world: World) => Partial<NodeContainer>;

const CHANGES: Readonly<Record<'restart' | 'start' | 'stop', Change>> = {
  restart: () => ({ state: 'running' }),
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
  const file = spec && handOverFileOf(spec);
  const handOver = file === undefined ? undefined : { file, isComplete: false };
  return { id, node, rank: 'candidate', hash, digest, state: 'created', ports, isKept: false, handOver };
}

/** A copy of the old container does not mean that the new one is no longer rejected. */
function promoted(world: World, { node, container }: ContainerStep): void {
  const one = world.actual.get(container);
  if (one && fits(world, one)) remember(world, node, { rejected: undefined });
}

function copy(
  { actual }: World,
  { container }: ContainerStep,
  { id = `copy-of-${container}` as DockerId }: Outcome,
): void {
  const original = actual.get(container);
  if (original) actual.put({ ...original, id, rank: 'copy', state: 'created', health: undefined });
}

function reject(
  world: World,
  { node, container: id, why }: Extract<Step, { do: 'reject' }>,
  { exitCode, lastLines = [] }: Outcome,
): void {
  const container = world.actual.get(id);
  if (!container) return;
  const code = exitCode === undefined ? {} : { exitCode };
  const rejected = { key: keyOf(container), why, ...code, lastLines, at: world.now };
  remember(world, node, { failed: undefined, rejected });
}

export function remember({ memory }: World, node: string, known: Partial<NodeMemory>): void {
  memory.set(node, { ...memory.get(node), ...known });
}

function change({ actual }: World, id: DockerId, to: Partial<NodeContainer>): void {
  const one = actual.get(id);
  if (one) actual.put({ ...one, ...to });
}

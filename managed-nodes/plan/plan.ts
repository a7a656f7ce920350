/**
 * Lists all steps that lead to the wanted state. It assumes that each step succeeds and that new containers are
 * healthy.
 */

import { decide } from './decide.ts';
import { applyEffect } from './effects.ts';
import { ownOf } from './fitting.ts';
import type { Decision, Step, World } from './world.ts';

export type PlannedStep = (Step | { readonly do: 'wait'; readonly node: string }) & {
  readonly cause: string;
};

/** Stands for a digest that only the registry knows. */
const TO_BE_PULLED = 'the one that the registry has';
/** No plan needs this many rounds; the limit prevents an endless loop. */
const MOST_ROUNDS = 50;

export function nodesOf({ wanted, actual }: World): string[] {
  return [...new Set([...wanted.names, ...actual.nodes])].sort();
}

export function plan(world: World): PlannedStep[] {
  const steps: PlannedStep[] = [];
  const supposed = copyOf(world);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = steps.length;
    for (const node of nodesOf(supposed)) {
      const decision = decide(supposed, node);
      if (!decision) continue;
      const next = stepOf(node, decision);
      if (!next) continue;
      steps.push(next);
      if (next.do === 'wait') becomeHealthy(supposed, node);
      else applyEffect(supposed, next, { digest: TO_BE_PULLED });
    }
    if (steps.length === before) break;
  }
  return steps;
}

function stepOf(node: string, { state, cause, step }: Decision): PlannedStep | undefined {
  if (step) return { ...step, cause };
  return state === 'checking' ? { do: 'wait', node, cause } : undefined;
}

/** Leaves out backoffs, because a plan lists the steps regardless of when they run. */
function copyOf({ actual, memory, digests, pulled, ...world }: World): World {
  return {
    ...world,
    actual: actual.copy(),
    memory: new Map([...memory].map(([node, known]) => [node, { ...known, failed: undefined }])),
    digests: new Map(digests),
    pulled: new Set(pulled),
  };
}

function becomeHealthy({ actual }: World, node: string): void {
  const candidate = ownOf({ actual }, node, 'candidate');
  if (!candidate) return;
  const { handOver } = candidate;
  actual.put({
    ...candidate,
    health: 'healthy',
    handOver: handOver && { ...handOver, isComplete: true },
  });
}

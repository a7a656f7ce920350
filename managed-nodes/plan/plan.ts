/**
 * Lists all steps that lead to the wanted state. It assumes that each step succeeds and that new containers are
 * healthy.
 */

import { decide } from './decide.ts';
import { withEffect } from './effects.ts';
import type { Decision, Step, World } from './world.ts';

export type PlannedStep = (Step | { readonly do: 'wait'; readonly node: string }) & {
  readonly cause: string;
};

/** Stands for a digest that only the registry knows. */
const TO_BE_PULLED = 'the one that the registry has';
/** No plan needs this many rounds; the limit prevents an endless loop. */
const MOST_ROUNDS = 50;

export function nodesOf({ wanted, actual }: World): string[] {
  return [...new Set([...wanted.keys(), ...actual.containers.map(({ node }) => node)])].sort();
}

export function plan(world: World): PlannedStep[] {
  const steps: PlannedStep[] = [];
  let supposed = withoutPauses(world);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = steps.length;
    for (const node of nodesOf(supposed)) {
      const decision = decide(supposed, node);
      if (!decision) continue;
      const next = stepOf(node, decision);
      if (!next) continue;
      steps.push(next);
      supposed =
        next.do === 'wait' ? waited(supposed, node) : withEffect(supposed, next, { digest: TO_BE_PULLED });
    }
    if (steps.length === before) break;
  }
  return steps;
}

function stepOf(node: string, { state, cause, step }: Decision): PlannedStep | undefined {
  if (step) return { ...step, cause };
  return state === 'checking' ? { do: 'wait', node, cause } : undefined;
}

/** Removes backoffs, because a plan lists the steps regardless of when they run. */
function withoutPauses(world: World): World {
  const memory = [...world.memory].map(([node, known]) => [node, { ...known, failed: undefined }] as const);
  return { ...world, memory: new Map(memory) };
}

function waited(world: World, node: string): World {
  const containers = world.actual.containers.map((one) =>
    one.node === node && one.rank === 'candidate' ? { ...one, health: 'healthy' as const } : one,
  );
  return { ...world, actual: { ...world.actual, containers } };
}

/** The planned faults, drawn from a seed: the same seed gives the same deaths. */

import { Chance } from '../support/chance.ts';

export const WAYS = ['SIGKILL', 'SIGSEGV', 'SIGABRT', 'SIGSTOP', 'hang', 'heap', 'throw'] as const;
/** How the process dies. */
export type Way = (typeof WAYS)[number];

export interface Death {
  readonly way: Way;
  /** A step in a container's life: the number of the event of a resource that the container holds. */
  readonly step?: number;
  /** The same for resources that no container holds. */
  readonly ownStep?: number;
  /** Milliseconds after the start. */
  readonly after?: number;
}

/** The part of the surroundings that is unavailable when the service dies. */
const MISSING = ['nothing', 'S3', 'webserver', 'Docker'] as const;
export type Missing = (typeof MISSING)[number];

export interface Plan {
  readonly number: number;
  readonly death: Death;
  readonly missing: Missing;
}

/** The approximate time in which a container is made, used and ended, in milliseconds. */
const LIFE = 2000;

/** Takes each step once with alternating ways, and then random ones. @param steps of a container's life */
export function* plans(seed: number, steps: number): Generator<Plan> {
  const chance = new Chance(seed);
  for (let number = 1; ; number++) {
    const isSystematic = number <= steps;
    const way = isSystematic ? (WAYS[(number + seed) % WAYS.length] as Way) : chance.oneOf(...WAYS);
    const at = isSystematic ? { step: number } : { after: chance.below(LIFE) };
    const missing = chance.below(10) < 7 ? 'nothing' : chance.oneOf(...MISSING);
    yield { number, death: { way, ...at }, missing };
  }
}

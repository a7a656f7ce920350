/** What is done for nodes, as whoever decides it knows it. */

import type { Outcome } from './plan/effects.ts';
import type { Actual, Step, World } from './plan/world.ts';

export interface Hands {
  look(): Promise<Actual>;
  /** The digests that these images have in their registries now, as far as the registries say it. */
  currentDigests(images: readonly string[]): Promise<ReadonlyMap<string, string>>;
  carryOut(step: Step, world: World, signal: AbortSignal): Promise<Outcome>;
}

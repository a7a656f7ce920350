/** The actions on Docker and registries that the reconciler needs. */

import type { Actual } from './plan/actual.ts';
import type { Outcome } from './plan/effects.ts';
import type { Step, World } from './plan/world.ts';

export interface StepExecutor {
  look(): Promise<Actual>;
  /**
   * Asks the registries for the current digests of these images. The answer lacks images that a registry does not
   * report.
   */
  currentDigests(images: readonly string[]): Promise<ReadonlyMap<string, string>>;
  carryOut(step: Step, world: World, signal: AbortSignal): Promise<Outcome>;
}

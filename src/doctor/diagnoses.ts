/**
 * Runs the doctor for operators in the running service. A run starts programs and asks Docker and EC2, so it happens on
 * request only, and at most once a minute, however many operators ask.
 */

import type { Diagnosis } from '../../httpserver/v1/diagnosis-schemas.ts';

/** Milliseconds between the end of a run and the next one. */
const BETWEEN = 60_000;

export class Diagnoses {
  readonly #run: () => Promise<Diagnosis>;
  readonly #now: () => number;
  #last: Promise<Diagnosis> | undefined;
  #next = 0;

  /** @param now milliseconds of a monotonic clock */
  constructor(
    environment: NodeJS.ProcessEnv,
    run = () => diagnose(environment),
    now = () => performance.now(),
  ) {
    this.#run = run;
    this.#now = now;
  }

  async latest(): Promise<Diagnosis> {
    if (!this.#last || this.#now() >= this.#next) {
      this.#next = Number.POSITIVE_INFINITY;
      this.#last = this.#run().finally(() => {
        this.#next = this.#now() + BETWEEN;
      });
    }
    return await this.#last;
  }
}

/** Loads the doctor only now, because most hosts never need it. */
async function diagnose(environment: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const [{ findingsOf }, { leaksOf }] = await Promise.all([import('./doctor.ts'), import('./find-leaks.ts')]);
  const at = new Date().toISOString();
  // If Docker does not answer, a finding says so.
  const [findings, found] = await Promise.all([
    findingsOf(environment, false),
    leaksOf(environment).catch(() => undefined),
  ]);
  return { at, findings, ...(found && { leaks: found.leaks }) };
}

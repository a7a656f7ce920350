/** Reads options that are numbers and durations. */

import { millisecondsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';
import type { Given } from './row.ts';

/**
 * @returns milliseconds
 * @throws ReleaseError usage when the option is not a duration
 */
export function durationOf(given: Given, name: string): number | undefined {
  const written = given.text(name);
  if (written === undefined) return undefined;
  const milliseconds = millisecondsOf(written);
  if (Number.isFinite(milliseconds)) return milliseconds;
  throw new ReleaseError('usage', `--${name} must be a duration, such as 10m or 30s, not "${written}".`);
}

/** @throws ReleaseError usage when the option is not a positive whole number */
export function countOf(given: Given, name: string, usual: number): number {
  const written = given.text(name);
  if (written === undefined) return usual;
  if (/^[1-9]\d{0,5}$/.test(written)) return Number(written);
  throw new ReleaseError('usage', `--${name} must be a whole number of at least 1, not "${written}".`);
}

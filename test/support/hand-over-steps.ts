/** The steps of a hand-over, in order, from the sources: those of the old service, and those of the new one after its start. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { START_STEPS } from './start-steps.ts';

function stepsIn(file: string, call: string): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../src/hand-over', file), 'utf8');
  return [...text.matchAll(new RegExp(`\\b${call}\\('([^']+)'`, 'g'))].map(([, name = '']) => name);
}

const LETTING_GO = stepsIn('hand-over.ts', 'handOverStep');
const TAKING_OVER = stepsIn('passing.ts', 'step');

export const HAND_OVER_STEPS = { old: LETTING_GO, new: [...START_STEPS, ...TAKING_OVER] } as const;

assert.ok(LETTING_GO.length >= 10, 'the steps of letting go are not found in src/hand-over/hand-over.ts');
assert.ok(TAKING_OVER.length >= 3, 'the steps of taking over are not found in src/hand-over/passing.ts');

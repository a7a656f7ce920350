/** The steps of the service's start, in order, from its source. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const STORY = readFileSync(join(import.meta.dirname, '../../src/main.ts'), 'utf8');

export const START_STEPS = [...STORY.matchAll(/service\.step\('([^']+)'/g)].map(([, name = '']) => name);

assert.ok(START_STEPS.length >= 10, 'the steps of the start are not found in src/main.ts');

/** The arguments of the native addon. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { callAtRandom } from '../../support/addon-calls.ts';
import type { Target } from '../target.ts';

const CALLS = 5000;

export const target: Target<number> = {
  share: 360,
  calls: CALLS,
  // Its code is C.
  parsers: [],
  inputs: fc.nat(),
  async open() {
    return {
      async take(seed) {
        assert.equal(callAtRandom(seed, CALLS), 'alive');
      },
      async check() {},
      async [Symbol.asyncDispose]() {},
    };
  },
};

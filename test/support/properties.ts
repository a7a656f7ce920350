/** fast-check with inputs that SEED repeats. A failed property prints its seed in any case. */

import fc from 'fast-check';
import { SEED } from './seed.ts';

fc.configureGlobal({ seed: SEED });

export default fc;

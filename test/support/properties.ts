/** fast-check, with inputs that SEED repeats. A property that fails tells its seed either way. */

import fc from 'fast-check';
import { SEED } from './seed.ts';

fc.configureGlobal({ seed: SEED });

export default fc;

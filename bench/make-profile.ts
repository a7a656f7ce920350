/** Creates a profile in a separate process, so that its memory does not count for the measuring process. */

import { makeProfile } from './profile.ts';

makeProfile(process.argv[2] as string);

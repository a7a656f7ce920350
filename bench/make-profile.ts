/** Makes a profile in a process of its own, so that what that takes is not the memory of who measures. */

import { makeProfile } from './profile.ts';

makeProfile(process.argv[2] as string);

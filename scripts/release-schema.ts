/** Prints the JSON Schema of ecs-release.yaml, for editors. */

import { ReleaseFile } from '../packages/release/src/config/schema.ts';

console.log(JSON.stringify(ReleaseFile));

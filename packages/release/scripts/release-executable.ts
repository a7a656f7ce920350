/** Makes `ecs-release` one executable, for machines without Node: `release-executable.ts OUTPUT`. */

import { makeExecutable } from './make-executable.ts';

const [output = 'build/ecs-release'] = process.argv.slice(2);
await makeExecutable('cli/main.ts', output);

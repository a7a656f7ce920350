/** Makes `ecs-entrypoint` one executable, so that images without Node can use it: `entrypoint-executable.ts OUTPUT`. */

import { makeExecutable } from './make-executable.ts';

const [output = 'build/ecs-entrypoint'] = process.argv.slice(2);
await makeExecutable('entrypoint/main.ts', output);

/** The service, which prints its memory use after a garbage collection on SIGURG, as one line of JSON. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { runService } from '../../src/main.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

process.on('SIGURG', () => {
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length;
  process.stderr.write(`held ${JSON.stringify({ heap: heapUsed, resident: rss, resources })}\n`);
});

await runService(process.env);

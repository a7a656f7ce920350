/**
 * The queue of the measurement, in a separate process, so that its work counts for neither side: `queue.ts MESSAGES`.
 * It never holds many messages, so its speed does not depend on their total number.
 */

import { setInterval } from 'node:timers/promises';
import { World } from '../../packages/echostream-node/test/support/world.ts';

const GROUPS = 10;
/** The maximum number of waiting messages. */
const MOST = 200;

const left = Number(process.argv[2]);
await using world = await World.start();
const queue = world.queue('in');
const { logger: _, auditors: __, ...options } = world.options;
process.send?.({ options, queueUrl: world.queueUrl('in'), environment: world.environment });
let made = 0;
for await (const _tick of setInterval(1)) {
  while (made < left && queue.messages.length < MOST) {
    // Ten messages of a group in a row, as SQS delivers them.
    queue.put(`group-${Math.floor(made / 10) % GROUPS}`, `message ${made}`);
    made += 1;
  }
  if (!process.connected) break;
}

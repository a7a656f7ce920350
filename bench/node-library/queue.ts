/**
 * The queue of the measurement, in a process of its own so that its work counts for neither side: `queue.ts MESSAGES`.
 * It never holds many messages, so its own speed does not depend on how many there are.
 */

import { setInterval } from 'node:timers/promises';
import { World } from '../../packages/echostream-node/test/support/world.ts';

const GROUPS = 10;
/** Messages that wait at most. */
const MOST = 200;

const left = Number(process.argv[2]);
await using world = await World.start();
const queue = world.queue('in');
const { logger: _, auditors: __, ...options } = world.options;
process.send?.({ options, queueUrl: world.queueUrl('in'), environment: world.environment });
let made = 0;
for await (const _tick of setInterval(1)) {
  while (made < left && queue.messages.length < MOST) {
    // Ten of a group in a row, as SQS gives them.
    queue.put(`group-${Math.floor(made / 10) % GROUPS}`, `message ${made}`);
    made += 1;
  }
  if (!process.connected) break;
}

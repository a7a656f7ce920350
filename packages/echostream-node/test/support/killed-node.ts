/** A node in its own process that tests kill: it prints the messages that it has handled, one per line. */

import { writeSync } from 'node:fs';
import { AppNode, type Delivery } from '../../src/echostream-node.ts';

class KilledNode extends AppNode {
  override async handleReceivedMessage({ message }: Delivery): Promise<void> {
    // The output is unbuffered, so each printed message was handled.
    writeSync(1, `${message.body}\n`);
  }
}

await new KilledNode({ concurrency: 4, visibilityTimeout: 3 }).startAndRunForever();

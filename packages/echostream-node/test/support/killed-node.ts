/** A node in a process of its own that is killed: it says which messages it has handled, one a line. */

import { writeSync } from 'node:fs';
import { AppNode, type Delivery } from '../../src/echostream-node.ts';

class KilledNode extends AppNode {
  override async handleReceivedMessage({ message }: Delivery): Promise<void> {
    // Not buffered: what was said was handled.
    writeSync(1, `${message.body}\n`);
  }
}

await new KilledNode({ concurrency: 4, visibilityTimeout: 3 }).startAndRunForever();

/** A node in a container that EchoStream manages: it takes its identity from its environment, and a signal stops it. */

import { AppNode, type AppNodeOptions, STOP_SIGNALS } from './app-node.ts';

export class ManagedNode extends AppNode {
  constructor(options: AppNodeOptions = {}) {
    super({ signals: STOP_SIGNALS, ...options });
  }
}

/** A node in a container that EchoStream keeps: its environment says who it is, and a signal stops it. */

import { AppNode, type AppNodeOptions, STOP_SIGNALS } from './app-node.ts';

export class ManagedNode extends AppNode {
  constructor(options: AppNodeOptions = {}) {
    super({ signals: STOP_SIGNALS, ...options });
  }
}

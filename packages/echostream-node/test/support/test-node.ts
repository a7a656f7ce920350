/** A node that records handled messages, and handles each message as the test specifies. */

import { AppNode, type AppNodeOptions, type Delivery } from '../../src/echostream-node.ts';

export class TestNode extends AppNode {
  readonly handled: string[] = [];
  readonly #work: (delivery: Delivery, node: TestNode) => unknown;

  constructor(options: AppNodeOptions, work: (delivery: Delivery, node: TestNode) => unknown = () => {}) {
    super(options);
    this.#work = work;
  }

  override async handleReceivedMessage(delivery: Delivery): Promise<void> {
    await this.#work(delivery, this);
    this.handled.push(delivery.message.body);
  }
}

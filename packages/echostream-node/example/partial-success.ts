import { type Delivery, LambdaNode } from 'echostream-node';

class MyExternalNode extends LambdaNode {
  override async handleReceivedMessage({ message }: Delivery): Promise<void> {
    const order = JSON.parse(message.body);
    if (order.amount < 0) throw new Error(`The order ${order.id} has a negative amount.`);
  }
}

export const { handler } = new MyExternalNode({ reportBatchItemFailures: true, concurrency: 10 });

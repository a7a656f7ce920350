import { type Delivery, LambdaNode } from 'echostream-node';

class MyExternalNode extends LambdaNode {
  override async handleReceivedMessage({ message, source }: Delivery): Promise<void> {
    console.log(`Got a message:\n${message.body}`);
    await this.auditMessage(message, { source });
  }
}

export const { handler } = new MyExternalNode();

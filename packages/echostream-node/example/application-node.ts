import { AppNode, type Delivery } from 'echostream-node';

class MyExternalNode extends AppNode {
  override async handleReceivedMessage({ message, source }: Delivery): Promise<void> {
    console.log(`Got a message:\n${message.body}`);
    await this.auditMessage(message, { source });
  }
}

await using node = new MyExternalNode({ signals: ['SIGHUP', 'SIGINT', 'SIGTERM'] });
await node.start();
for (let i = 0; i < 100; i += 1) {
  const message = node.createMessage(String(i));
  await node.sendMessage(message);
  await node.auditMessage(message);
}
await node.join();

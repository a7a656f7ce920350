import { AppNode, type Delivery } from 'echostream-node';

class Fetcher extends AppNode {
  override async handleReceivedMessage({ message, signal }: Delivery): Promise<void> {
    const response = await fetch(message.body, { signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    await this.sendMessage(this.createMessage(await response.text(), { groupId: message.groupId }));
  }

  override async handlePoisonMessage({ message }: Delivery, error: unknown): Promise<void> {
    console.error(`The message ${message.trackingId} is set aside:`, error);
  }
}

await new Fetcher({
  concurrency: 10,
  messageTimeout: 30_000,
  maxReceives: 5,
  backoff: ({ receiveCount }) => receiveCount * 10,
}).startAndRunForever();

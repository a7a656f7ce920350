import { type Delivery, ManagedNode } from 'echostream-node';

class Upper extends ManagedNode {
  override async handleReceivedMessage({ message, source }: Delivery): Promise<void> {
    const { trackingId, groupId } = message;
    const upper = this.createMessage(message.body.toUpperCase(), {
      groupId,
      previousTrackingIds: [trackingId],
    });
    await this.sendMessage(upper);
    await this.auditMessage(message, { source });
  }
}

await new Upper().startAndRunForever();

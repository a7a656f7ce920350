/**
 * The two calls to EC2, both about this instance only. This file is loaded only if ON_DEATH is set, because the SDK
 * takes tens of megabytes.
 */

import { CreateTagsCommand, EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { askingOnce } from './aws-client.ts';

export class Ec2 {
  readonly #client: EC2Client;

  /** @param endpoint of an EC2 service other than Amazon's */
  constructor(region: string, endpoint: URL | undefined) {
    this.#client = new EC2Client(askingOnce(region, endpoint));
  }

  /** @throws what the SDK throws */
  async tag(
    instanceId: string,
    tags: Readonly<Record<string, string>>,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    await this.#client.send(new CreateTagsCommand({ Resources: [instanceId], Tags }), { abortSignal });
  }

  /** @throws what the SDK throws */
  async terminate(instanceId: string, abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }), { abortSignal });
  }

  close(): void {
    this.#client.destroy();
  }
}

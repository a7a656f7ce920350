/**
 * The two things that this service asks of EC2, both of its own instance, with limits on each wait. Each is asked once:
 * who asks knows how long to go on. This file is loaded only where ON_DEATH says so, for the SDK takes tens of megabytes.
 */

import { CreateTagsCommand, EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { credentialDefaultProvider } from './aws-credentials.ts';

/** Milliseconds: for a connection, and for an answer. */
const CONNECT = 3000;
const ANSWER = 10_000;

export class Ec2 {
  readonly #client: EC2Client;

  /** @param endpoint of another EC2 than Amazon's */
  constructor(region: string, endpoint: URL | undefined) {
    this.#client = new EC2Client({
      region,
      ...(endpoint && { endpoint: endpoint.href }),
      credentialDefaultProvider,
      // The SDK's own pauses between attempts would outlive a signal that aborts.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: CONNECT,
        requestTimeout: ANSWER,
        throwOnRequestTimeout: true,
        socketTimeout: ANSWER,
      },
    });
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

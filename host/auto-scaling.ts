/**
 * What this service asks of Auto Scaling, of its own instance alone. This file is loaded only where TERMINATION_HOOK says so,
 * for the SDK takes tens of megabytes.
 */

import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
  RecordLifecycleActionHeartbeatCommand,
} from '@aws-sdk/client-auto-scaling';
import { askingOnce } from './aws-client.ts';

export class AutoScaling {
  readonly #client: AutoScalingClient;
  readonly #instance: string;
  readonly #hook: string;

  /** @param endpoint of another Auto Scaling than Amazon's */
  constructor(region: string, endpoint: URL | undefined, instance: string, hook: string) {
    this.#instance = instance;
    this.#hook = hook;
    this.#client = new AutoScalingClient(askingOnce(region, endpoint));
  }

  /** The name of the group that has the instance. @throws what the SDK throws, or Error when none has it */
  async group(abortSignal: AbortSignal): Promise<string> {
    const command = new DescribeAutoScalingInstancesCommand({ InstanceIds: [this.#instance] });
    const { AutoScalingInstances: [found] = [] } = await this.#client.send(command, { abortSignal });
    if (!found?.AutoScalingGroupName) throw new Error('no Auto Scaling group contains this instance');
    return found.AutoScalingGroupName;
  }

  /** Has the group wait for another timeout of the hook. @throws what the SDK throws */
  async extend(group: string, abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new RecordLifecycleActionHeartbeatCommand(this.#of(group)), { abortSignal });
  }

  /** Has the group terminate the instance. @throws what the SDK throws */
  async complete(group: string, abortSignal: AbortSignal): Promise<void> {
    const action = { ...this.#of(group), LifecycleActionResult: 'CONTINUE' };
    await this.#client.send(new CompleteLifecycleActionCommand(action), { abortSignal });
  }

  close(): void {
    this.#client.destroy();
  }

  #of(group: string) {
    return { AutoScalingGroupName: group, LifecycleHookName: this.#hook, InstanceId: this.#instance };
  }
}

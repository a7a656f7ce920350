/**
 * The calls to Auto Scaling, all about this instance only. This file is loaded only if TERMINATION_HOOK is set, because
 * the SDK takes tens of megabytes.
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

  /** @param endpoint of an Auto Scaling service other than Amazon's */
  constructor(region: string, endpoint: URL | undefined, instance: string, hook: string) {
    this.#instance = instance;
    this.#hook = hook;
    this.#client = new AutoScalingClient(askingOnce(region, endpoint));
  }

  /**
   * The name of the group that contains the instance.
   * @throws what the SDK throws, or Error when no group contains it
   */
  async group(abortSignal: AbortSignal): Promise<string> {
    const command = new DescribeAutoScalingInstancesCommand({ InstanceIds: [this.#instance] });
    const { AutoScalingInstances: [found] = [] } = await this.#client.send(command, { abortSignal });
    if (!found?.AutoScalingGroupName) throw new Error('no Auto Scaling group contains this instance');
    return found.AutoScalingGroupName;
  }

  /** Restarts the timeout of the lifecycle hook. @throws what the SDK throws */
  async extend(group: string, abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new RecordLifecycleActionHeartbeatCommand(this.#of(group)), { abortSignal });
  }

  /** Completes the lifecycle hook, so that the group terminates the instance. @throws what the SDK throws */
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

/**
 * Delays the termination of this instance by its Auto Scaling group until the host is empty, by means of the group's
 * lifecycle hook. Failures here do not affect the rest of the service: the group continues when the hook times out.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { isRefusal, whyOf } from './aws-failures.ts';
import type { HostFacts } from './metadata.ts';

/** Milliseconds between extensions. The timeout of a hook is at least thirty seconds. */
const BETWEEN = 10_000;
/** In milliseconds: the time limit for the completion, and the pause between attempts. */
const COMPLETION = 60_000;
const BETWEEN_ATTEMPTS = 2000;

export interface TerminationHookOptions {
  readonly hook: string;
  /** Of an Auto Scaling service other than Amazon's. */
  readonly endpoint: URL | undefined;
  readonly facts: () => Promise<HostFacts>;
  readonly log: Logger;
  readonly between?: number;
}

export class TerminationHook {
  readonly #options: TerminationHookOptions;
  #client: Promise<AutoScaling> | undefined;
  #group: string | undefined;
  /** Aborts when the group need not wait any longer; undefined if it is not waiting. */
  #waiting: AbortController | undefined;
  #isTold = false;
  #completing: Promise<void> | undefined;

  constructor(options: TerminationHookOptions) {
    this.#options = options;
  }

  /** Makes the group wait until `empty` resolves. Never rejects; resolves when the wait is over. */
  async hold(empty: () => Promise<void>, ending: AbortSignal): Promise<void> {
    if (this.#waiting || this.#completing) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    const signal = AbortSignal.any([waiting.signal, ending]);
    const complete = async () => {
      await empty();
      if (!signal.aborted) await this.complete(COMPLETION);
    };
    // If this fails, the end of the service completes the hook.
    complete().catch(() => {});
    await this.#extend(signal);
    await this.#completed();
  }

  /** Stops extending the hook, because the host stays after all. */
  letGo(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  /**
   * Lets the group continue, if it is waiting. Called at the latest when the service ends and nothing on the host is
   * needed. Never rejects.
   */
  async complete(milliseconds: number): Promise<void> {
    if (!this.#waiting) return;
    this.#waiting.abort();
    this.#completing ??= this.#tryToComplete(milliseconds);
    await this.#completing;
  }

  async close(): Promise<void> {
    this.letGo();
    const client = await this.#client?.catch(() => undefined);
    client?.close();
  }

  async #completed(): Promise<void> {
    await this.#completing;
  }

  async #tryToComplete(milliseconds: number): Promise<void> {
    try {
      await withDeadline(milliseconds, 'asking', (late) => this.#complete(late));
      this.#options.log.info('the host is empty; completed its lifecycle hook');
    } catch (error) {
      this.#tell('complete its lifecycle hook', 'autoscaling:CompleteLifecycleAction', error);
    }
  }

  async #complete(late: AbortSignal): Promise<void> {
    for (;;) {
      try {
        const { client, group } = await this.#find(late);
        return await client.complete(group, late);
      } catch (error) {
        late.throwIfAborted();
        if (isRefusal(error)) throw error;
        await pause(BETWEEN_ATTEMPTS, undefined, { signal: late });
      }
    }
  }

  async #extend(signal: AbortSignal): Promise<void> {
    const { between = BETWEEN } = this.#options;
    while (!signal.aborted) {
      try {
        const { client, group } = await this.#find(signal);
        await client.extend(group, signal);
        this.#isTold = false;
      } catch (error) {
        if (!signal.aborted && !this.#isTold)
          this.#tell('extend its lifecycle hook', 'autoscaling:RecordLifecycleActionHeartbeat', error);
        this.#isTold = true;
      }
      await pause(between, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #find(signal: AbortSignal): Promise<{ client: AutoScaling; group: string }> {
    this.#client ??= this.#open().catch((error: unknown) => {
      this.#client = undefined;
      throw error;
    });
    const client = await this.#client;
    this.#group ??= await client.group(signal);
    return { client, group: this.#group };
  }

  async #open(): Promise<AutoScaling> {
    const { facts, hook, endpoint } = this.#options;
    const [{ AutoScaling: Client }, { region, instanceId }] = await Promise.all([
      import('./auto-scaling.ts'),
      facts(),
    ]);
    return new Client(region, endpoint, instanceId, hook);
  }

  #tell(what: string, action: string, failure: unknown): void {
    const error = new ServiceError('hook.failed', { what, why: whyOf(failure), action });
    this.#options.log.error({ error }, error.message);
  }
}

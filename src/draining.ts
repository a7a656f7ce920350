/**
 * Why this host takes no more containers: an operator, or the ECS agent, said so, which is for good and ends the service
 * with the last container; or EC2 gave notice, which holds until it is withdrawn.
 */

import type { Tracker } from '../container/tracker.ts';
import type { NoticeKind } from '../host/notices.ts';

type Reason = 'operator' | NoticeKind;

export interface DrainingOptions {
  readonly tracker: () => Pick<Tracker, 'drain' | 'reopen'> | undefined;
  /** Tells the world; is called from the end of the start on, and must not throw. */
  readonly tell: (isDraining: boolean) => void;
}

export class Draining {
  readonly #options: DrainingOptions;
  readonly #reasons = new Set<Reason>();
  readonly #started = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  #isStarted = false;

  constructor(options: DrainingOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#reasons.size > 0;
  }

  /** Resolves when the last container is gone after an operator's drain, and not before the start is complete. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /** Again, it changes nothing. */
  begin(reason: Reason): void {
    if (this.#reasons.has(reason)) return;
    const wasOn = this.isOn;
    this.#reasons.add(reason);
    void this.#options.tracker()?.drain();
    if (!wasOn && this.#isStarted) this.#options.tell(true);
    if (reason === 'operator') this.#drained.resolve(this.#whenDrained());
  }

  /** Takes containers again, if nothing else asks for none. */
  end(reason: NoticeKind): void {
    if (!this.#reasons.delete(reason) || this.isOn) return;
    this.#options.tracker()?.reopen();
    if (this.#isStarted) this.#options.tell(false);
  }

  /** Once there is a tracker. */
  hosting(): void {
    if (this.isOn) void this.#options.tracker()?.drain();
  }

  /** Once the start is complete. */
  started(): void {
    this.#isStarted = true;
    if (this.isOn) this.#options.tell(true);
    this.#started.resolve();
  }

  async #whenDrained(): Promise<void> {
    await this.#started.promise;
    await this.#options.tracker()?.drain();
  }
}

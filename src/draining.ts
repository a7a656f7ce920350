/**
 * Why this host accepts no more containers. If an operator or the ECS agent started the drain, it is final and ends the
 * service with the last container. If EC2 gave notice, the drain lasts until the notice is withdrawn.
 */

import type { Tracker } from '../container/tracker.ts';
import type { NoticeKind } from '../host/notices.ts';

type Reason = 'operator' | NoticeKind;

export interface DrainingOptions {
  readonly tracker: () => Pick<Tracker, 'drain' | 'reopen'> | undefined;
  /** Reports the drain to EC2 and the webserver. Called from the end of the start on; must not throw. */
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

  /** Whether it ends the service, so that the next one must drain too. */
  get isFinal(): boolean {
    return this.#reasons.has('operator');
  }

  /** Resolves when an operator's drain is complete: the last container is gone, and the start was complete. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /** Repeated calls have no effect. */
  begin(reason: Reason): void {
    if (this.#reasons.has(reason)) return;
    const wasOn = this.isOn;
    this.#reasons.add(reason);
    void this.#options.tracker()?.drain();
    if (!wasOn && this.#isStarted) this.#options.tell(true);
    if (reason === 'operator') this.#drained.resolve(this.#whenDrained());
  }

  /** Accepts containers again if no other reason is left. */
  end(reason: NoticeKind): void {
    if (!this.#reasons.delete(reason) || this.isOn) return;
    this.#options.tracker()?.reopen();
    if (this.#isStarted) this.#options.tell(false);
  }

  /** To be called when there is a tracker. */
  hosting(): void {
    if (this.isOn) void this.#options.tracker()?.drain();
  }

  /** To be called when the start is complete. */
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

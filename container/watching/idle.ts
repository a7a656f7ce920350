/**
 * Ends idle containers: those without a connection to a published port, and without a client at a terminal, for longer
 * than their limit. This polls from outside, so it does not see a connection that begins and ends between two checks. A
 * container cannot be used before it is ready, so its time starts then. It starts again if the service crashed.
 */

import { messageOf } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { monotonic } from '../../lifetime/monotonic.ts';
import type { HostedContainer } from '../container.ts';
import { type NetworkUse, networkUse } from '../network/network-use.ts';
import { networkOf, Places } from '../place.ts';
import type { Cause } from '../state.ts';
import type { Tracker } from '../tracker.ts';
import { sweep } from './sweeps.ts';

/** The longest interval between checks, in milliseconds. A short timeout needs shorter intervals. */
const LONGEST_PAUSE = 15_000;
const LOOKS = 4;

/** A container with an idle limit, in seconds. */
interface Limited {
  readonly container: HostedContainer;
  readonly seconds: number;
}

export class Idle {
  readonly #tracker: Tracker;
  readonly #seconds: number | undefined;
  readonly #signal: AbortSignal;
  readonly #places: Places;
  readonly #untold = new WeakSet<HostedContainer>();
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  #isLooking = false;

  private constructor(tracker: Tracker, seconds: number | undefined, signal: AbortSignal) {
    this.#tracker = tracker;
    this.#seconds = seconds;
    this.#signal = signal;
    this.#places = new Places(tracker.host.docker);
  }

  /** Checks until the lifetime ends. @param seconds the default limit; undefined: no limit */
  static open(lifetime: Lifetime, tracker: Tracker, seconds: number | undefined): void {
    const idle = new Idle(tracker, seconds, lifetime.signal);
    void lifetime.track('looking for idle containers', idle.#run());
  }

  async #run(): Promise<void> {
    const following = this.#tracker.host.events.follow(undefined, this.#signal);
    this.#plan();
    for await (const _ of following) this.#plan();
    clearTimeout(this.#timer);
  }

  /** The ready containers with an idle limit. */
  #limited(): Limited[] {
    return this.#tracker.list().flatMap((container) => {
      const { state, idleTimeout: seconds = this.#seconds } = container.view;
      return state === 'ready' && seconds ? [{ container, seconds }] : [];
    });
  }

  /** Schedules the next check so that no container exceeds its limit for long. */
  #plan(): void {
    const now = monotonic();
    const limited = this.#limited();
    for (const { container } of limited) container.use ??= { used: now };
    if (limited.length === 0 || this.#isLooking || this.#signal.aborted) return;
    const shortest = Math.min(...limited.map(({ seconds }) => seconds));
    const wait = Math.min(LONGEST_PAUSE, (1000 * shortest) / LOOKS);
    if (this.#due <= now + wait) return;
    clearTimeout(this.#timer);
    this.#due = now + wait;
    this.#timer = setTimeout(() => void this.#look(), wait).unref();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    for (const one of this.#limited()) await this.#lookAt(one);
    this.#isLooking = false;
    this.#due = Infinity;
    this.#plan();
  }

  async #lookAt({ container, seconds }: Limited): Promise<void> {
    const before = container.use;
    const found = await this.#find(container, before?.datagrams);
    const { isUsed, ...more } = found;
    const used = isUsed || !before ? monotonic() : before.used;
    container.use = { used, ...more };
    if (monotonic() - used < 1000 * seconds || container.view.state !== 'ready') return;
    const cause: Cause = { code: 'idle', text: `no client was connected to it for ${seconds} s` };
    void sweep(this.#tracker, container, cause);
  }

  /**
   * If the use is unknown, the container counts as used.
   * @param before the number of datagrams that it had received at the last check
   */
  async #find(container: HostedContainer, before?: number): Promise<{ isUsed: boolean; datagrams?: number }> {
    if (this.#tracker.host.terminals.isAnyoneIn(container.id)) return { isUsed: true };
    try {
      const { isConnected, takesDatagrams, datagrams } = await this.#networkUse(container);
      const hasGot = takesDatagrams && before !== undefined && datagrams !== before;
      return { isUsed: isConnected || hasGot, datagrams };
    } catch (error) {
      if (container.view.state === 'ready' && !this.#untold.has(container)) {
        this.#untold.add(container);
        const { log } = this.#tracker.host;
        log.warn(
          { container: container.id, why: messageOf(error) },
          'cannot tell whether a container is idle',
        );
      }
      return { isUsed: true };
    }
  }

  async #networkUse(container: HostedContainer): Promise<NetworkUse> {
    const place = await this.#places.of(container);
    if (!place) throw new Error('Docker reports that it does not run');
    const { pid, network, ports } = place;
    const use = await networkUse(`/proc/${pid}/net`, ports);
    // The kernel may have reused the process id.
    if ((await networkOf(pid)) !== network) throw new Error(`the id ${pid} now belongs to another process`);
    return use;
  }
}

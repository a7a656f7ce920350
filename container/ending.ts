/**
 * Tells the programs in containers when EC2 will reclaim the host, with a file in their resource mappings that exists
 * while the notice is in effect. It also saves their users' files at once.
 */

import { messageOf } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { isOfHealth, MISSED } from './events.ts';
import type { SetUp } from './set-up.ts';
import type { Tracker } from './tracker.ts';

export class Ending {
  #tracker: Tracker | undefined;
  #at: string | undefined;
  #telling: Promise<unknown> = Promise.resolve();

  /** Tells existing and later containers until the lifetime ends. */
  begin(lifetime: Lifetime, tracker: Tracker): void {
    this.#tracker = tracker;
    void lifetime.track('telling containers when the host ends', this.#follow(tracker, lifetime.signal));
  }

  /** @param at the time in ISO 8601; undefined: the host is not being reclaimed */
  tell(at: string | undefined): void {
    if (at === this.#at) return;
    this.#at = at;
    this.#tellAll();
  }

  /** Saves the users' files of all containers. Resolves when that was attempted; never rejects. */
  async checkpoint(): Promise<void> {
    await Promise.all(this.#setUps().map((setUp) => setUp.checkpoint()));
  }

  async #follow(tracker: Tracker, signal: AbortSignal): Promise<void> {
    const following = tracker.host.events.follow(undefined, signal);
    // A crashed service may have left the file.
    this.#tellAll();
    for await (const event of following) {
      if (event === MISSED) this.#tellAll();
      else if (this.#at && !isOfHealth(event) && event.container.state === 'running') this.#tellAll();
    }
  }

  #setUps(): SetUp[] {
    return this.#tracker?.list().flatMap(({ setUp }) => setUp ?? []) ?? [];
  }

  /** Sequential, so that the last notice wins. */
  #tellAll(): void {
    const tell = (setUp: SetUp) =>
      setUp.tellEnding(this.#at).catch((error: unknown) => {
        const { log } = (this.#tracker as Tracker).host;
        log.warn({ why: messageOf(error) }, 'could not tell a container when the host ends');
      });
    this.#telling = this.#telling.then(() => Promise.all(this.#setUps().map(tell)));
  }
}

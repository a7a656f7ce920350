/**
 * Tells the programs in containers when EC2 takes the host, by a file in their resource mappings that is there for as
 * long as that holds; and has the files of their users saved at once.
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

  /** Tells those that are there, and those that come, until the lifetime ends. */
  begin(lifetime: Lifetime, tracker: Tracker): void {
    this.#tracker = tracker;
    void lifetime.track('telling containers when the host ends', this.#follow(tracker, lifetime.signal));
  }

  /** @param at in ISO 8601; undefined: the host stays */
  tell(at: string | undefined): void {
    if (at === this.#at) return;
    this.#at = at;
    this.#tellAll();
  }

  /** Saves what users have, of all containers. Resolves when that was tried; never rejects. */
  async checkpoint(): Promise<void> {
    await Promise.all(this.#setUps().map((setUp) => setUp.checkpoint()));
  }

  async #follow(tracker: Tracker, signal: AbortSignal): Promise<void> {
    const following = tracker.host.events.follow(undefined, signal);
    // A service that died may have left the file.
    this.#tellAll();
    for await (const event of following) {
      if (event === MISSED) this.#tellAll();
      else if (this.#at && !isOfHealth(event) && event.container.state === 'running') this.#tellAll();
    }
  }

  #setUps(): SetUp[] {
    return this.#tracker?.list().flatMap(({ setUp }) => setUp ?? []) ?? [];
  }

  /** One after the other: what is told last stands. */
  #tellAll(): void {
    const tell = (setUp: SetUp) =>
      setUp.tellEnding(this.#at).catch((error: unknown) => {
        const { log } = (this.#tracker as Tracker).host;
        log.warn({ why: messageOf(error) }, 'could not tell a container when the host ends');
      });
    this.#telling = this.#telling.then(() => Promise.all(this.#setUps().map(tell)));
  }
}

/**
 * Tells whoever watches from outside (systemd, or launcher/ under `make run`) that the service lives. The timer is the
 * event loop's own: with a loop that is blocked or a process that is stopped the words stay out, and whoever waits for
 * them ends it.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */

import { messageOf } from '../../errors/service-error.ts';
import type { Logger } from '../../logging/logger.ts';
import { notify } from '../../uinput-native/notify.ts';

export class Watchdog {
  readonly #socket: string | undefined;
  readonly #log: Logger;
  #hasFailed = false;

  /**
   * Says from now on, until the process is gone, that it lives.
   * @param environment NOTIFY_SOCKET, without which nothing is said, and WATCHDOG_USEC: microseconds, of which a third is waited
   */
  constructor({ NOTIFY_SOCKET, WATCHDOG_USEC }: NodeJS.ProcessEnv, log: Logger) {
    this.#socket = NOTIFY_SOCKET;
    this.#log = log;
    const period = Number(WATCHDOG_USEC) / 3000;
    if (!NOTIFY_SOCKET || !(period > 0)) return;
    this.#say('WATCHDOG=1');
    setInterval(() => this.#say('WATCHDOG=1'), period).unref();
  }

  /** To be called when the start is complete. */
  ready(): void {
    this.#say('READY=1');
  }

  /** Shown by whoever watches. */
  status(text: string): void {
    this.#say(`STATUS=${text}`);
  }

  /** To be called when the end begins. */
  stopping(): void {
    this.#say('STOPPING=1');
  }

  #say(state: string): void {
    if (!this.#socket) return;
    try {
      notify(this.#socket, state);
    } catch (error) {
      if (!this.#hasFailed)
        this.#log.error({ error, state }, `the watchdog could not be notified: ${messageOf(error)}`);
      this.#hasFailed = true;
    }
  }
}

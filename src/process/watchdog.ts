/**
 * Tells systemd, or launcher/ under `make run`, that the service is alive. The timer runs in the event loop. If the
 * loop is blocked or the process is stopped, the messages stop, and the receiver ends the process.
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
   * Reports from now on, until the process ends.
   * @param environment NOTIFY_SOCKET, without which nothing is sent, and WATCHDOG_USEC in microseconds; a message is
   * sent three times in that period
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

  /** Shown by systemd or the launcher. */
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

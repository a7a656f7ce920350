/**
 * The store in which descriptors wait between two processes of the service. Systemd has one for each unit, and
 * `launcher/` has one under `make run`. A message with a descriptor puts it there, and the next process inherits it.
 *
 * Source: sd_pid_notify_with_fds(3) on FDSTORE, FDNAME, FDPOLL and FDSTOREREMOVE; sd_listen_fds(3).
 */

import type { Store } from '../../lifetime/descriptors.ts';
import { notifyWith } from '../../uinput-native/notify.ts';

/** The first inherited descriptor. */
const FIRST = 3;

export class DescriptorStore implements Store {
  readonly #socket: string | undefined;
  /** The names of everything that this process knows to be in the store. */
  readonly #names = new Set<string>();

  /** @param environment NOTIFY_SOCKET; undefined: there is no store */
  constructor({ NOTIFY_SOCKET }: NodeJS.ProcessEnv) {
    this.#socket = NOTIFY_SOCKET;
  }

  /**
   * What this process has inherited from the store. It stays in the store too, until `clear`.
   * @param environment LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; systemd before version 227 does not set the last one
   */
  inherited({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES }: NodeJS.ProcessEnv): Map<string, number> {
    if (LISTEN_PID !== String(process.pid) || !LISTEN_FDNAMES) return new Map();
    const names = LISTEN_FDNAMES.split(':').slice(0, Number(LISTEN_FDS));
    for (const name of names) this.#names.add(name);
    return new Map(names.map((name, i) => [name, FIRST + i]));
  }

  /**
   * Stores the descriptors that are not in the store yet.
   * @throws Error when the messages cannot be delivered
   */
  put(descriptors: ReadonlyMap<string, number>): void {
    for (const [name, descriptor] of descriptors) {
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      // Without polling: systemd would drop a device or a connection that reports a hang-up.
      notifyWith(this.#path, `FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, descriptor);
    }
  }

  /** Removes everything that this process has inherited or stored. @throws as `put` */
  clear(): void {
    for (const name of [...this.#names]) this.remove(name);
  }

  /** @throws as `put` */
  remove(name: string): void {
    if (this.#names.delete(name)) notifyWith(this.#path, `FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  get #path(): string {
    if (!this.#socket)
      throw new Error('neither systemd nor the launcher keeps the descriptors of this process');
    return this.#socket;
  }
}

/**
 * Prints the lines of a log as they arrive: the log of a task, or of a remote build. A failure to read the log has no
 * effect on the task or the build, and is reported once.
 */

import { messageOf } from '../errors.ts';
import type { LogEvent } from '../logs/log-follower.ts';
import type { TaskLog } from './cloud.ts';
import type { Watching } from './work.ts';

/** The maximum number of milliseconds between reads. */
const POLL = 2000;
/**
 * Milliseconds of silence after which the log of a failed task or build counts as complete. Its last lines arrive late.
 * MOST_LINGER limits the whole wait.
 */
const LINGER = 6000;
const MOST_LINGER = 60_000;
/** The time limit for one read of the log in milliseconds. It must be shorter than the lease of a lock. */
const MOST_READ = 30_000;

export class LogLines {
  readonly #work: Watching;
  readonly #onLine: (event: LogEvent) => void;
  readonly #open: () => Promise<TaskLog>;
  #log: TaskLog | undefined;
  #isReadable = true;
  #heardAt: number;
  /** Whether more lines exist than the last call of `read` returned. */
  isBehind = false;

  constructor(work: Watching, open: () => Promise<TaskLog>, onLine: (event: LogEvent) => void) {
    this.#work = work;
    this.#onLine = onLine;
    this.#open = open;
    this.#heardAt = work.clock.now();
  }

  async read(): Promise<void> {
    if (!this.#isReadable) return;
    try {
      this.#log ??= await this.#open();
      this.#isReadable = this.#log.hasSources;
      if (!this.#isReadable) return;
      const { events, isBehind } = await this.#log.read(AbortSignal.timeout(MOST_READ));
      this.isBehind = isBehind && events.length > 0;
      if (events.length > 0) this.#heardAt = this.#work.clock.now();
      for (const event of events) this.#onLine(event);
    } catch (error) {
      this.isBehind = false;
      if (error instanceof DOMException && error.name === 'TimeoutError') return;
      this.#isReadable = false;
      this.#work.tell({ event: 'failure', text: `the logs cannot be read: ${messageOf(error)}` });
    }
  }

  async untilSilent(): Promise<void> {
    const { clock, held, timing } = this.#work;
    const begun = clock.now();
    const isOver = () =>
      clock.now() - Math.max(this.#heardAt, begun) >= LINGER || clock.now() - begun >= MOST_LINGER;
    while (this.#isReadable && !isOver()) {
      await held.beat();
      if (!this.isBehind) await clock.sleep(Math.min(timing.poll, POLL));
      await this.read();
    }
  }
}

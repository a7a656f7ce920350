/** Runs a one-off task to its end, and prints its logs as they arrive. Releases and the command `run` use it. */

import { millisecondsOf, wordsOf } from '../config/duration.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import type { LogEvent } from '../logs/log-follower.ts';
import type { Task } from './cloud.ts';
import { whyStopped } from './judge.ts';
import { LogLines } from './log-lines.ts';
import type { PlannedTask } from './plan.ts';
import { change, type Hands, Looks, persist } from './work.ts';

export interface OneOff extends Omit<PlannedTask, 'taskDefinition'> {
  readonly taskDefinition: string;
}

export interface Start {
  readonly startedBy: string;
  /** ECS starts at most one task for a token. */
  readonly token: string;
  /** A time in milliseconds, by the clock of `Hands`. */
  readonly deadline: number;
  /** true: wait for the last lines of a successful task too. They arrive seconds after its end. */
  readonly waitsForLog: boolean;
  /** Called for each line of each container's log. */
  readonly onLine: (event: LogEvent) => void;
}

export interface Ended {
  readonly arn: string;
  readonly exitCode: number;
  /** Why the task stopped, in one sentence. */
  readonly why: string;
}

/** The maximum number of milliseconds between two reads of a task. */
const POLL = 2000;
/** Milliseconds for which ECS may not find a task that was just started. */
const MOST_UNSEEN = 60_000;

/**
 * @throws ReleaseError failed when the task cannot start, ends without an exit code, or is stopped because its time is
 * over or the work was interrupted
 */
export async function runOneOff(work: Hands, task: OneOff, start: Start): Promise<Ended> {
  const { name, container, taskDefinition, command, placement, timeout } = task;
  const { startedBy, token } = start;
  const asked = { taskDefinition, container, startedBy, token };
  const arn = await change(work, (signal) =>
    work.cloud.runTask({ ...asked, ...(command && { command }), ...(placement && { placement }) }, signal),
  );
  const own = timeout === undefined ? Number.POSITIVE_INFINITY : work.clock.now() + millisecondsOf(timeout);
  const watch = new Watch(work, arn, Math.min(own, start.deadline));
  const lines = new LogLines(work, () => work.cloud.logOf(taskDefinition, arn), start.onLine);
  const stopped = await watch.untilStopped(name, lines);
  const exitCode = stopped.containers.find((one) => one.name === container)?.exitCode;
  if (exitCode !== 0 || start.waitsForLog) await lines.untilSilent();
  if (exitCode !== undefined) return { arn, exitCode, why: whyStopped(stopped) };
  throw new ReleaseError(
    'failed',
    `the container ${container} of the task ${name} ended without an exit code: ${whyStopped(stopped) || stopped.stopCode || 'ECS gave no reason'}`,
  );
}

class Watch {
  readonly #work: Hands;
  readonly #arn: string;
  readonly #deadline: number;

  constructor(work: Hands, arn: string, deadline: number) {
    this.#work = work;
    this.#arn = arn;
    this.#deadline = deadline;
  }

  async untilStopped(name: string, lines: LogLines): Promise<Task> {
    const { clock, held, timing } = this.#work;
    const looks = new Looks(this.#work);
    const begun = clock.now();
    for (let seenAt = begun; ; ) {
      await held.beat();
      const tasks = await looks.look(() => this.#work.cloud.tasks([this.#arn])).catch(unwatched(this.#arn));
      if (!tasks || tasks.length > 0) seenAt = clock.now();
      await lines.read();
      const [seen] = tasks ?? [];
      if (seen?.lastStatus === 'STOPPED') return seen;
      if (clock.now() - seenAt > MOST_UNSEEN)
        throw new ReleaseError(
          'failed',
          `ECS no longer knows the task ${this.#arn}, so its exit code is unknown`,
        );
      const why = this.#whyToStop(begun);
      if (why !== undefined) {
        await persist(this.#work, () =>
          change(this.#work, (signal) => this.#work.cloud.stopTask(this.#arn, why, signal)),
        );
        throw new ReleaseError('failed', `the task ${name} was stopped: ${why}`);
      }
      if (!lines.isBehind) await clock.sleep(Math.min(timing.poll, POLL));
    }
  }

  #whyToStop(begun: number): string | undefined {
    const { clock, signal } = this.#work;
    if (signal.aborted) return 'ecs-release was interrupted';
    return clock.now() > this.#deadline ? `it did not end within ${wordsOf(clock.now() - begun)}` : undefined;
  }
}

const unwatched = (arn: string) => (error: unknown) => {
  if (error instanceof ReleaseError) throw error;
  throw new ReleaseError(
    'failed',
    `the task ${arn} was started and may still run, but it cannot be watched: ${messageOf(error)}`,
    { cause: error },
  );
};

/** Runs a task once, to its end, and checks its exit code. */

import { millisecondsOf, wordsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';
import type { RecordedTask } from '../record/release-record.ts';
import type { Task } from './cloud.ts';
import { whyStopped } from './judge.ts';
import type { PlannedTask } from './plan.ts';
import { change, Looks, persist, type Work } from './work.ts';

export interface OneOff extends Omit<PlannedTask, 'taskDefinition'> {
  readonly taskDefinition: string;
}

/**
 * @param release its token starts at most one task
 * @throws ReleaseError failed when the task does not exit with 0, or is stopped because its time is over
 */
export async function runOneOff(
  work: Work,
  task: OneOff,
  release: { readonly id: string; readonly token: string; readonly deadline: number },
  onStart: (arn: string) => Promise<void>,
): Promise<RecordedTask> {
  const { name, container, taskDefinition, command, network, timeout } = task;
  work.tell({ event: 'step', text: `run the task ${name}` });
  const start = { taskDefinition, container, startedBy: release.id, token: release.token };
  const arn = await change(work, (signal) =>
    work.cloud.runTask({ ...start, ...(command && { command }), ...(network && { network }) }, signal),
  );
  await onStart(arn);
  const own = timeout === undefined ? Number.POSITIVE_INFINITY : work.clock.now() + millisecondsOf(timeout);
  const deadline = Math.min(own, release.deadline);
  const begun = work.clock.now();
  const looks = new Looks(work);
  for (;;) {
    await work.held.beat();
    const [seen] = (await looks.look(() => work.cloud.tasks([arn]))) ?? [];
    if (seen?.lastStatus === 'STOPPED') return await ended(work, task, seen);
    const why = work.signal.aborted
      ? 'the release was interrupted'
      : work.clock.now() > deadline
        ? `it did not end within ${wordsOf(work.clock.now() - begun)}`
        : undefined;
    if (why !== undefined) {
      await persist(work, () => change(work, (signal) => work.cloud.stopTask(arn, why, signal)));
      throw new ReleaseError('failed', `the task ${name} was stopped: ${why}`);
    }
    await work.clock.sleep(Math.min(work.timing.poll, 2000));
  }
}

async function ended(work: Work, { name, container }: OneOff, seen: Task): Promise<RecordedTask> {
  const exitCode = seen.containers.find((one) => one.name === container)?.exitCode;
  const lines = await work.cloud.lastLines(seen, container).catch(() => []);
  for (const line of lines) work.tell({ event: 'output', text: `${name}: ${line}` });
  if (exitCode === 0) return { name, arn: seen.arn, exitCode };
  throw new ReleaseError('failed', `the task ${name} failed: ${whyStopped(seen)}`);
}

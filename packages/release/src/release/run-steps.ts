/** Executes the steps of a release in order. The first failure ends it. */

import { createHash } from 'node:crypto';
import { ReleaseError } from '../errors.ts';
import type { RecordedTask, ReleaseRecord } from '../record/release-record.ts';
import { type OneOff, runOneOff, type Start } from './one-off.ts';
import { rollOut, waitFor } from './rollout.ts';
import { describeStep, placeOf, type Step } from './steps.ts';
import { change, type Work } from './work.ts';

/**
 * @param onTask called for each task that succeeded
 * @throws ReleaseError failed or superseded, or AWS's own error
 */
export async function runSteps(
  work: Work,
  { id }: ReleaseRecord,
  steps: readonly Step[],
  onTask: (task: RecordedTask) => void,
): Promise<void> {
  const deadline = work.clock.now() + work.timing.timeout;
  for (const [number, step] of steps.entries()) {
    if (work.signal.aborted) throw new ReleaseError('failed', 'the release was interrupted');
    if (step.do !== 'run task' && step.do !== 'roll out')
      work.tell({ event: 'step', text: describeStep(step) });
    switch (step.do) {
      case 'run task': {
        const token = createHash('sha256').update(`${id} ${number}`).digest('hex').slice(0, 36);
        onTask(await runTask(work, step.task, { startedBy: id, token, deadline }));
        break;
      }
      case 'roll out':
        await rollOut(work, step.services, { untilAlone: false, deadline });
        break;
      case 'wait until old tasks are gone':
        await waitFor(work, step.services, { untilAlone: true, deadline });
        break;
      case 'move triggers':
        for (const one of step.triggers) work.touched.add(placeOf(one));
        await change(work, (signal) => work.cloud.moveTriggers(step.triggers, signal));
        break;
      default:
        for (const { service, to } of step.services)
          await change(work, (signal) => work.cloud.setScaling(service, to, signal));
    }
  }
}

/** @throws ReleaseError failed when the task does not exit with 0 */
async function runTask(
  work: Work,
  task: OneOff,
  start: Omit<Start, 'onLine' | 'waitsForLog'>,
): Promise<RecordedTask> {
  const { name } = task;
  work.tell({ event: 'step', text: `run the task ${name}` });
  const { arn, exitCode, why } = await runOneOff(work, task, {
    ...{ ...start, waitsForLog: false },
    onLine: ({ source, message }) =>
      work.tell({ event: 'output', text: `${name}/${source.container}: ${message.trimEnd()}` }),
  });
  if (exitCode === 0) return { name, arn, exitCode };
  throw new ReleaseError('failed', `the task ${name} failed: ${why}`);
}

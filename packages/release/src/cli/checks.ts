/** The commands `verify` and `doctor`. */

import { EXIT_CODES } from '../errors.ts';
import { whyStopped } from '../release/judge.ts';
import type { Check } from '../verify/check.ts';
import { knownErrorsIn } from '../verify/known-errors.ts';
import { verify as verifyStage } from '../verify/verify.ts';
import { contextOf } from './context.ts';
import { printResult } from './print.ts';
import { ledgerOf } from './releasing.ts';
import type { Given, Run, Surroundings } from './row.ts';

const MARKS = { good: '✓', bad: '✗', warning: '!', unknown: '?' };

function describe({ what, state, why }: Check): string {
  return `${MARKS[state]} ${what}${why === undefined ? '' : `: ${why}`}`;
}

export const verify: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const checks = await verifyStage({
    ...context,
    record: async () => await (await ledgerOf(context)).state(),
  });
  printResult(given, surroundings, checks, checks.map(describe).join('\n'));
  return checks.some(({ state }) => state === 'bad') ? EXIT_CODES.failed : 0;
};

export const doctor: Run = async (given, surroundings) =>
  given.words.length > 0 ? explain(given, surroundings) : await look(given, surroundings);

/** Prints the known causes of an error. */
function explain(given: Given, surroundings: Surroundings): number {
  const found = knownErrorsIn(given.words.join(' '));
  const causes = found.flatMap((one) => one.causes);
  const text =
    causes.length === 0
      ? 'This error is not among the common ones.'
      : causes.map((one) => `- ${one}`).join('\n');
  printResult(given, surroundings, causes, text);
  return causes.length === 0 ? EXIT_CODES.failed : 0;
}

/** Prints what is wrong with the stage now: the findings of `verify`, and why tasks stopped recently. */
async function look(given: Given, surroundings: Surroundings): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const names = Object.values(config.services ?? {}).map(({ service }) => service);
  const [checks, stopped] = await Promise.all([
    verifyStage({ ...context, record: async () => await (await ledgerOf(context)).state() }),
    Promise.all(names.map(async (name) => ({ name, tasks: await cloud.stoppedTasks(name) }))),
  ]);
  const troubles = stopped.flatMap(({ name, tasks }) => {
    const reasons = tasks
      .filter(({ stopCode }) => /EssentialContainerExited|TaskFailedToStart/.test(stopCode))
      .map((task) => whyStopped(task));
    return [...new Set(reasons)].map((reason) => ({
      service: name,
      reason,
      causes: knownErrorsIn(reason).flatMap((one) => one.causes),
    }));
  });
  const lines = [
    ...checks.filter(({ state }) => state !== 'good').map(describe),
    ...troubles.flatMap(({ service, reason, causes }) => [
      `✗ a task of ${service} stopped: ${reason}`,
      ...causes.map((cause) => `    - ${cause}`),
    ]),
  ];
  printResult(
    given,
    surroundings,
    { checks, troubles },
    lines.join('\n') || 'Nothing is wrong that can be seen from here.',
  );
  return lines.some((line) => line.startsWith('✗')) ? EXIT_CODES.failed : 0;
}

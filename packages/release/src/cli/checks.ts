/** The commands `verify` and `doctor`. */

import { EXIT_CODES, messageOf } from '../errors.ts';
import type { Check } from '../verify/check.ts';
import { checkDocker } from '../verify/docker-limits.ts';
import { causesOf } from '../verify/known-errors.ts';
import { troublesOf } from '../verify/troubles.ts';
import { verify as verifyStage } from '../verify/verify.ts';
import { type Context, contextOf } from './context.ts';
import { printResult } from './print.ts';
import { ledgerOf } from './releasing.ts';
import type { Given, Run, Surroundings } from './row.ts';

const MARKS = { good: '✓', bad: '✗', warning: '!', unknown: '?' };

function describe({ what, state, why }: Check): string {
  return `${MARKS[state]} ${what}${why === undefined ? '' : `: ${why}`}`;
}

export const verify: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const checks = await checksOf(context);
  printResult(given, surroundings, checks, checks.map(describe).join('\n'));
  return checks.some(({ state }) => state === 'bad') ? EXIT_CODES.failed : 0;
};

function checksOf(context: Context): Promise<readonly Check[]> {
  return verifyStage({ ...context, record: async () => await (await ledgerOf(context)).state() });
}

export const doctor: Run = async (given, surroundings) =>
  given.words.length > 0 ? explain(given, surroundings) : await look(given, surroundings);

/** Prints the known causes of an error. */
function explain(given: Given, surroundings: Surroundings): number {
  const causes = causesOf(given.words.join(' '));
  const text =
    causes.length === 0 ? 'This is not one of the known errors.' : causes.map((one) => `- ${one}`).join('\n');
  printResult(given, surroundings, causes, text);
  return causes.length === 0 ? EXIT_CODES.failed : 0;
}

/** Prints the present problems of the stage: the findings of `verify`, troubles of services, and Docker's limits. */
async function look(given: Given, surroundings: Surroundings): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const names = Object.values(config.services ?? {}).map(({ service }) => service);
  const [checks, troubles, docker] = await Promise.all([
    checksOf(context),
    troublesOf(cloud, names).catch((error: unknown) => [
      { service: names.join(', '), reason: messageOf(error), causes: causesOf(messageOf(error)) },
    ]),
    checkDocker(config.images, surroundings.env, surroundings.signal),
  ]);
  const wrong = [...checks, ...docker].filter(({ state }) => state !== 'good');
  const lines = [
    ...wrong.map(describe),
    ...troubles.flatMap(({ service, reason, causes }) => [
      `✗ ${service}: ${reason}`,
      ...causes.map((cause) => `    - ${cause}`),
    ]),
  ];
  printResult(
    given,
    surroundings,
    { checks: [...checks, ...docker], troubles },
    lines.join('\n') || 'The doctor found no problem.',
  );
  return lines.some((line) => line.startsWith('✗')) ? EXIT_CODES.failed : 0;
}

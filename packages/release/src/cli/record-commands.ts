/** The commands `status`, `history`, `lock`, `unlock`, `wait` and `schedules`, which show and watch a stage. */

import { systemClock } from '../clock.ts';
import { wordsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';
import { claimOf, type Hold, isHold, type Lock } from '../record/stage-state.ts';
import { activeServices, shortName, type Trigger } from '../release/cloud.ts';
import { observe } from '../release/observe.ts';
import { waitFor } from '../release/rollout.ts';
import { settingsOf } from '../release/trigger-settings.ts';
import { UNLOCKED, type Work } from '../release/work.ts';
import { contextOf } from './context.ts';
import { countOf, durationOf } from './options.ts';
import { printResult, table, teller } from './print.ts';
import { ledgerOf, patienceOf, personOf, waitTeller } from './releasing.ts';
import type { Given, Run } from './row.ts';

export const status: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const ledger = await ledgerOf(context);
  const names = Object.values(config.services ?? {}).map(({ service }) => service);
  const [state, services] = await Promise.all([
    ledger.state(),
    names.length > 0 ? cloud.services(names) : [],
  ]);
  const { lock, inFlight, current } = state;
  const rows = services.map((one) => [
    one.name,
    shortName(one.taskDefinition),
    `${one.running}/${one.desired}`,
    one.deployments.map(({ status: name, rolloutState }) => [name, rolloutState].join(' ').trim()).join(', '),
  ]);
  const lines = [
    `release  ${current ?? 'none on record'}`,
    ...(lock ? [`lock     ${lock.owner} ${claimOf(lock, systemClock.now())}`] : []),
    ...(inFlight !== undefined && (!lock || isHold(lock))
      ? [`left     ${inFlight} did not end; the next release rolls it back`]
      : []),
    '',
    table([['SERVICE', 'TASK DEFINITION', 'TASKS', 'DEPLOYMENTS'], ...rows]),
  ];
  printResult(given, surroundings, { ...state, services }, lines.join('\n'));
  return 0;
};

export const history: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const records = await (await ledgerOf(context)).history(countOf(given, 'limit', 20));
  const rows = records.map(({ id, kind, outcome, startedAt, endedAt, by, commit = '', to, reason = '' }) => [
    id,
    to === undefined ? kind : `${kind} to ${to}`,
    outcome,
    wordsOf(Math.max(0, systemClock.now() - Date.parse(startedAt))),
    endedAt === undefined ? '' : wordsOf(Date.parse(endedAt) - Date.parse(startedAt)),
    commit.slice(0, 12),
    by,
    reason.split('\n', 1)[0] ?? '',
  ]);
  const text = table([['RELEASE', 'KIND', 'OUTCOME', 'AGE', 'TOOK', 'COMMIT', 'BY', 'REASON'], ...rows]);
  printResult(given, surroundings, records, text);
  return 0;
};

export const lock: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const ledger = await ledgerOf(context);
  const reason = reasonOf(given);
  if (reason !== undefined && !given.flag('dry-run')) {
    const { config, caller } = context;
    const taken = await ledger.hold({
      ...{ owner: personOf(caller, surroundings.env), reason },
      ...{ patience: patienceOf(given, config.timing.timeout), signal: surroundings.signal },
      onWait: waitTeller(teller(given, surroundings)),
    });
    const text = `${taken.owner} has the lock as a hold: "${reason}". No release begins until "ecs-release unlock".`;
    printResult(given, surroundings, taken, text);
    return 0;
  }
  const { lock: held } = await ledger.state();
  const free = reason === undefined ? '' : ` You would have it as a hold: "${reason}".`;
  const text = held
    ? `${held.owner} has the lock ${claimOf(held, systemClock.now())}`
    : `Nobody has the lock.${free}`;
  printResult(given, surroundings, held ?? {}, text);
  return 0;
};

/** @throws ReleaseError usage when the reason is empty */
function reasonOf(given: Given): string | undefined {
  const reason = given.text('hold')?.trim().replaceAll(/\s+/g, ' ');
  if (reason === '')
    throw new ReleaseError('usage', '--hold needs a reason, such as --hold "the database is moved".');
  return reason;
}

export const unlock: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const ledger = await ledgerOf(context);
  if (given.flag('dry-run')) return await lock(given, surroundings);
  const tell = teller(given, surroundings);
  const broken = await ledger.breakLock({
    isAtOnce: given.flag('now'),
    onWait: ({ owner }) =>
      tell({
        event: 'step',
        text: `waiting until ${owner} gives the lock up, or has shown no sign of life for a minute`,
      }),
    signal: surroundings.signal,
  });
  const forgotten = given.flag('forget') ? await ledger.forget() : undefined;
  const { inFlight, lock: next } = await ledger.state();
  const text = [
    removedText(broken),
    ...(forgotten === undefined ? [] : [`The changes of ${forgotten} stay and are not rolled back.`]),
    ...(inFlight === undefined || next ? [] : [`The next release first rolls back ${inFlight}.`]),
  ].join(' ');
  printResult(given, surroundings, { broken, forgotten, inFlight }, text);
  return 0;
};

function removedText(broken: Lock | Hold | undefined): string {
  if (!broken) return 'Nobody had the lock.';
  return isHold(broken)
    ? `The hold of ${broken.owner} was removed: "${broken.reason}".`
    : `The lock of ${broken.owner} for ${broken.release} was removed.`;
}

export const wait: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const names = Object.values(config.services ?? {}).map(({ service }) => service);
  const live = await activeServices(cloud, names);
  const budget = durationOf(given, 'timeout') ?? config.timing.timeout;
  const tell = teller(given, surroundings);
  const { timing } = config;
  const ledger = await ledgerOf(context);
  const work: Work = {
    cloud,
    ledger,
    clock: systemClock,
    timing,
    tell,
    signal: surroundings.signal,
    held: UNLOCKED,
    touched: new Set(),
  };
  const wanted = live.map(({ name: service, taskDefinition }) => ({ service, taskDefinition }));
  await waitFor(work, wanted, { untilAlone: true, deadline: systemClock.now() + budget });
  printResult(given, surroundings, wanted, 'All services are stable.');
  return 0;
};

export const schedules: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const { services: _, tasks: __, ...rest } = config;
  const { triggers } = await observe(cloud, rest, true);
  const all = [...triggers].flatMap(([name, some]) =>
    some.map((one) => ({ name, ...one, ...settingsOf(one), isEnabled: isEnabled(one) })),
  );
  const rows = all.map(({ name, kind, place, id, taskDefinition, count, schedule = '', ...one }) => [
    name,
    `${kind} ${place}`,
    id,
    shortName(taskDefinition),
    String(count),
    one.isEnabled ? schedule : `${schedule} (disabled)`,
  ]);
  const header = ['SCHEDULED', 'BY', 'TARGET', 'TASK DEFINITION', 'COUNT', 'SCHEDULE'];
  printResult(given, surroundings, all, table([header, ...rows]));
  return 0;
};

function isEnabled({ rule, whole }: Trigger): boolean {
  return (rule ?? whole).State !== 'DISABLED';
}

/** Prints progress to stderr while a command runs, and its result to stdout at the end. */

import { type Capacity, shortName } from '../release/cloud.ts';
import type { Plan } from '../release/plan.ts';
import { isEmpty } from '../release/plan.ts';
import type { Tell } from '../release/progress.ts';
import type { Given, Surroundings } from './row.ts';

export function teller(given: Given, { stderr }: Surroundings): Tell {
  if (given.flag('json')) return (progress) => void stderr.write(`${JSON.stringify(progress)}\n`);
  const mark = { step: '▸', look: ' ', output: '│', failure: '✗' };
  return ({ event, text }) => void stderr.write(`${mark[event]} ${text}\n`);
}

export function printResult(given: Given, { stdout }: Surroundings, result: object, text: string): void {
  stdout.write(given.flag('json') ? `${JSON.stringify(result, undefined, 2)}\n` : `${text}\n`);
}

/** Formats rows as columns. Each column is as wide as its longest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Removes the values of variables and the inputs of targets from a plan, because they may contain secrets. */
export function shownPlan({ images, register, services, triggers, before, after }: Plan): object {
  return {
    ...{ images, services, before, after },
    register: register.map(({ family }) => family),
    triggers: triggers.map(({ before: { whole: _whole, rule: _rule, ...trigger }, ...one }) => ({
      ...one,
      before: trigger,
    })),
  };
}

export function describePlan(plan: Plan): string {
  if (isEmpty(plan)) return 'Nothing to do: the stage already runs all of it.';
  const revisionText = (revision: Plan['triggers'][number]['after']) =>
    'arn' in revision
      ? shortName(revision.arn)
      : `a new revision of ${plan.register[revision.register]?.family}`;
  const changeLines = (changes: Plan['services'][number]['changes']) =>
    changes.map(({ container = 'task', field, from, to }) => {
      const values =
        from === undefined && to === undefined ? ' changes' : `: ${from ?? 'none'} → ${to ?? 'none'}`;
      return `    ${container}: ${field}${values}`;
    });
  const settings = (before: Plan['services'][number]['before'], after: Plan['services'][number]['after']) => [
    ...(after.desired !== undefined && after.desired !== before.desired
      ? [`    count: ${before.desired} → ${after.desired}`]
      : []),
    ...(after.capacity && capacityText(after.capacity) !== capacityText(before.capacity)
      ? [`    capacity: ${capacityText(before.capacity)} → ${capacityText(after.capacity)}`]
      : []),
  ];
  return [
    ...plan.before.map(
      ({ name, taskDefinition }) => `task before: ${name} (${revisionText(taskDefinition)})`,
    ),
    ...plan.services.flatMap(({ name, before, after, changes, isGate, force }) => [
      `service ${name}${isGate ? ' (gate)' : ''}: ${shortName(before.taskDefinition)} → ${revisionText(after.taskDefinition)}${force ? ', tasks replaced even if nothing changed' : ''}`,
      ...changeLines(changes),
      ...settings(before, after),
    ]),
    ...plan.after.map(({ name, taskDefinition }) => `task after: ${name} (${revisionText(taskDefinition)})`),
    ...plan.triggers.flatMap(({ name, before, after, changes }) => [
      `scheduled ${name} (${before.kind} ${before.place}): ${shortName(before.taskDefinition)} → ${revisionText(after)}`,
      ...changeLines(changes),
      ...(after.count !== undefined && after.count !== before.count
        ? [`    count: ${before.count} → ${after.count}`]
        : []),
      ...(after.schedule !== undefined && after.schedule !== before.schedule
        ? [`    schedule: ${before.schedule ?? 'none'} → ${after.schedule}`]
        : []),
    ]),
  ].join('\n');
}

function capacityText(capacity: readonly Capacity[] = []): string {
  return (
    capacity.map(({ provider, weight }) => `${provider} ${weight}`).join(' + ') || 'as the launch type says'
  );
}

/**
 * Takes a release back: everything on the stage returns to its state before the release. It starts from what runs, not
 * from what was done. So it is correct after any failure and any kill, and it can be repeated. Whatever this process
 * has just tried to change is set again in any case, because AWS's answers may be from before the change.
 */

import type { RecordedService, RecordedTrigger, ReleaseRecord } from '../record/release-record.ts';
import { isSameCapacity, type Service, type Trigger } from './cloud.ts';
import { retire } from './register.ts';
import { type RolloutOptions, rollOut, waitFor } from './rollout.ts';
import { placeOf } from './steps.ts';
import { isAsIs } from './trigger-settings.ts';
import { change, persist, settleAll, type Work } from './work.ts';

/**
 * If one part fails, the others are still taken back.
 * @throws ReleaseError that lists everything that could not be taken back
 */
export async function takeBack(work: Work, record: ReleaseRecord): Promise<void> {
  const { services, triggers } = record;
  const names = services.map(({ service }) => service);
  const live = names.length > 0 ? await persist(work, () => work.cloud.services(names)) : [];
  const places = [...Map.groupBy(triggers, ({ before }) => placeOf(before)).values()];
  const options = { untilAlone: true, deadline: work.clock.now() + work.timing.timeout, isBack: true };
  await stopTasks(work, record);
  await settleAll([
    ...places.map((some) => () => triggersBack(work, some)),
    ...services.map((one) => () => serviceBack(work, one, live, options)),
  ]);
  await retire(work, record);
}

async function stopTasks(work: Work, { id, tasks }: ReleaseRecord): Promise<void> {
  const ended = new Set(tasks.map(({ arn }) => arn));
  const started = await persist(work, () => work.cloud.tasksStartedBy(id));
  for (const { arn } of started) {
    if (ended.has(arn)) continue;
    await persist(work, () =>
      change(work, (signal) => work.cloud.stopTask(arn, `${id} is rolled back`, signal)),
    );
  }
}

async function serviceBack(
  work: Work,
  { before, scaling }: RecordedService,
  live: readonly Service[],
  options: RolloutOptions,
): Promise<void> {
  const { service, taskDefinition, desired, capacity } = before;
  const now = live.find(({ name }) => name === service);
  const isBack =
    !work.touched.has(service) &&
    now?.taskDefinition === taskDefinition &&
    (desired === undefined || now.desired === desired) &&
    (capacity === undefined || isSameCapacity(now.capacity, capacity));
  try {
    await (isBack ? waitFor(work, [before], options) : rollOut(work, [before], options));
  } finally {
    if (scaling)
      await persist(work, () => change(work, (signal) => work.cloud.setScaling(service, scaling, signal)));
  }
}

/**
 * Returns the names of services whose tasks the release replaced under the same revision. This cannot be taken back:
 * the revision names a tag, and the tag has moved.
 */
export async function replacedInPlace(work: Work, { services }: ReleaseRecord): Promise<readonly string[]> {
  const inPlace = services.filter(
    ({ before, after }) => after.force === true && after.taskDefinition === before.taskDefinition,
  );
  if (inPlace.length === 0) return [];
  const live = await persist(work, () => work.cloud.services(inPlace.map(({ service }) => service)));
  const idOf = (name: string) => live.find((one) => one.name === name)?.deployments[0]?.id;
  return inPlace
    .filter(({ service, deployment }) => idOf(service) !== deployment)
    .map(({ service }) => service);
}

async function triggersBack(work: Work, some: readonly RecordedTrigger[]): Promise<void> {
  const before = some.map((one) => one.before);
  const [first] = before as [Trigger];
  const { kind, place } = first;
  if (!work.touched.has(placeOf(first))) {
    const live = await persist(work, () =>
      kind === 'rule'
        ? work.cloud.triggersOfRule(
            place,
            before.some(({ rule }) => rule !== undefined),
          )
        : work.cloud.triggersOfGroup(place),
    );
    if (before.every((one) => live.some((now) => isAsIs(one, now)))) return;
  }
  work.tell({ event: 'step', text: `${kind} ${place}: restored to what it started before` });
  await persist(work, () => change(work, (signal) => work.cloud.moveTriggers(before, signal)));
}

/** Returns whether the stage runs all of this release. */
export async function isWhole(work: Work, { services, triggers }: ReleaseRecord): Promise<boolean> {
  const live = services.length > 0 ? await work.cloud.services(services.map(({ service }) => service)) : [];
  if (
    !services.every(({ after }) =>
      live.some((one) => one.name === after.service && one.taskDefinition === after.taskDefinition),
    )
  )
    return false;
  const places = new Map(triggers.map(({ after }) => [`${after.kind} ${after.place}`, after]));
  const lists = await Promise.all(
    [...places.values()].map(({ kind, place }) =>
      kind === 'rule' ? work.cloud.triggersOfRule(place) : work.cloud.triggersOfGroup(place),
    ),
  );
  const now = lists.flat();
  return triggers.every(({ after }) =>
    now.some(
      (one) =>
        placeOf(one) === placeOf(after) && one.id === after.id && one.taskDefinition === after.taskDefinition,
    ),
  );
}

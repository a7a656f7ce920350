/**
 * Takes a release back: everything on the stage becomes what it was before the release. It reads what runs rather than
 * what was done, so it is right after any failure and any kill, and it may be done twice.
 */

import { isDeepStrictEqual } from 'node:util';
import type { RecordedTrigger, ReleaseRecord } from '../record/release-record.ts';
import type { Service, Trigger } from './cloud.ts';
import { rollOut, waitFor } from './rollout.ts';
import { placeOf } from './steps.ts';
import { change, persist, type Work } from './work.ts';

/** @throws when something could not be taken back */
export async function takeBack(work: Work, record: ReleaseRecord): Promise<void> {
  await stopTasks(work, record);
  await Promise.all([triggersBack(work, record.triggers), servicesBack(work, record)]);
  for (const { service, suspendsScaling } of record.services)
    if (suspendsScaling)
      await persist(work, () => change(work, (signal) => work.cloud.setScaling(service, false, signal)));
}

async function stopTasks(work: Work, { id, tasks }: ReleaseRecord): Promise<void> {
  const ended = new Set(tasks.map(({ arn }) => arn));
  const started = await persist(work, () => work.cloud.tasksStartedBy(id));
  for (const { arn } of started) {
    if (ended.has(arn)) continue;
    await persist(work, () =>
      change(work, (signal) => work.cloud.stopTask(arn, `${id} is taken back`, signal)),
    );
  }
}

async function servicesBack(work: Work, { services }: ReleaseRecord): Promise<void> {
  if (services.length === 0) return;
  const live = await persist(work, () => work.cloud.services(services.map(({ service }) => service)));
  const byName = new Map(live.map((one) => [one.name, one]));
  const wanted = services.map(({ before }) => before);
  const isBack = (one: Service | undefined, { taskDefinition, desired }: (typeof wanted)[number]) =>
    one?.taskDefinition === taskDefinition && (desired === undefined || one.desired === desired);
  const [there, away] = [
    wanted.filter((one) => isBack(byName.get(one.service), one)),
    wanted.filter((one) => !isBack(byName.get(one.service), one)),
  ];
  const options = { untilAlone: true, deadline: work.clock.now() + work.timing.timeout, isBack: true };
  await rollOut(work, away, options);
  await waitFor(work, there, options);
}

async function triggersBack(work: Work, triggers: readonly RecordedTrigger[]): Promise<void> {
  const places = Map.groupBy(triggers, ({ before }) => placeOf(before));
  for (const some of places.values()) {
    const before = some.map((one) => one.before);
    const [{ kind, place }] = before as [Trigger];
    const live = await persist(work, () =>
      kind === 'rule' ? work.cloud.triggersOfRule(place) : work.cloud.triggersOfGroup(place),
    );
    const isBack = (one: Trigger) => live.some((now) => isDeepStrictEqual(now, one));
    if (before.every(isBack)) continue;
    work.tell({ event: 'step', text: `${kind} ${place}: back to what it started before` });
    await persist(work, () => change(work, (signal) => work.cloud.moveTriggers(before, signal)));
  }
}

/** Does the stage run this release, all of it? */
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

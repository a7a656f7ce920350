/**
 * Plans a rollback to the state right after an earlier release. Each later release recorded the state before it. So the
 * oldest of these records holds the state that the earlier release left. This is also correct for partial releases.
 */

import { ReleaseError } from '../errors.ts';
import type { Ledger } from '../record/ledger.ts';
import type { ReleaseRecord } from '../record/release-record.ts';
import { activeServices, type Cloud, type ServiceChange, type Trigger } from './cloud.ts';
import type { Plan } from './plan.ts';
import { placeOf } from './steps.ts';
import { present, type TriggerSettings } from './trigger-settings.ts';

export interface Target {
  /** undefined: the state before the first release on record. */
  readonly to: string | undefined;
  /** The releases to undo, newest first. */
  readonly undone: readonly ReleaseRecord[];
}

/**
 * @param asked undefined: the release before the current one
 * @throws ReleaseError usage when there is no such release
 */
export async function findTarget(ledger: Ledger, asked?: Pick<Target, 'to'>): Promise<Target> {
  const { current } = await ledger.state();
  const newest = current === undefined ? undefined : await ledger.record(current);
  if (!newest)
    throw new ReleaseError('usage', 'The stage has no recorded release, so it cannot be rolled back.');
  const wanted = asked ? asked.to : await before(ledger, newest);
  const undone: ReleaseRecord[] = [];
  for (let one: ReleaseRecord | undefined = newest; one !== undefined && one.id !== wanted; ) {
    undone.push(one);
    one = one.previous === undefined ? undefined : await ledger.record(one.previous);
    if (one === undefined && wanted !== undefined)
      throw new ReleaseError(
        'usage',
        `The stage never ran the release ${wanted}. "ecs-release history" lists those that it ran.`,
      );
  }
  return { to: wanted, undone };
}

/** After a rollback, a second rollback returns to the release before the target of the first. */
async function before(ledger: Ledger, newest: ReleaseRecord): Promise<string | undefined> {
  if (newest.kind !== 'rollback') return newest.previous;
  if (newest.to === undefined)
    throw new ReleaseError(
      'usage',
      'The stage already runs what it ran before its first recorded release, so it cannot be rolled back further.',
    );
  const reached = await ledger.record(newest.to);
  if (reached) return reached.previous;
  throw new ReleaseError(
    'usage',
    `The record of ${newest.to}, to which the stage was rolled back, is missing. Name a release with --to.`,
  );
}

/** Other releases may have ended while this one waited for the lock, so it reads again which ones it undoes. */
export async function planRollback(cloud: Cloud, ledger: Ledger, asked: Pick<Target, 'to'>): Promise<Plan> {
  const target = await findTarget(ledger, asked);
  const reached = target.to === undefined ? undefined : await ledger.record(target.to);
  return await planBack(cloud, target, reached?.images ?? {});
}

/** @param images the images of the release that the rollback returns to */
async function planBack(cloud: Cloud, { undone }: Target, images: Plan['images']): Promise<Plan> {
  const services = new Map<string, { readonly name: string; readonly before: ServiceChange }>();
  const triggers = new Map<string, Trigger>();
  for (const release of undone) {
    for (const { name, service, before } of release.services)
      services.set(service, { name, before: { ...services.get(service)?.before, ...before } });
    for (const { before } of release.triggers) {
      const key = `${placeOf(before)} ${before.id}`;
      triggers.set(key, { ...triggers.get(key), ...before });
    }
  }
  const wanted = [...services.values()].map(({ before }) => before.taskDefinition);
  await assertUsable(cloud, [
    ...wanted,
    ...[...triggers.values()].map(({ taskDefinition }) => taskDefinition),
  ]);
  const live = await activeServices(cloud, [...services.keys()]);
  const places = new Map([...triggers.values()].map((one) => [`${one.kind} ${one.place}`, one]));
  const lists = await Promise.all(
    [...places.values()].map(({ kind, place }) =>
      kind === 'rule'
        ? cloud.triggersOfRule(
            place,
            [...triggers.values()].some((one) => one.place === place && one.schedule !== undefined),
          )
        : cloud.triggersOfGroup(place),
    ),
  );
  const now = lists.flat();
  return {
    images,
    register: [],
    before: [],
    after: [],
    services: live.map(({ name: service, taskDefinition, desired, capacity, deployments }) => {
      const { name, before } = services.get(service) as { name: string; before: ServiceChange };
      const { service: _, force: __, ...after } = before;
      return {
        name,
        service,
        before: {
          taskDefinition,
          ...(after.desired !== undefined && { desired }),
          ...(after.capacity && { capacity }),
        },
        after: { ...after, taskDefinition: { arn: before.taskDefinition } },
        isGate: false,
        force: false,
        deployment: deployments[0]?.id ?? '',
        changes: [],
      };
    }),
    triggers: [...triggers.values()].flatMap((after) => {
      const before = now.find((one) => placeOf(one) === placeOf(after) && one.id === after.id);
      if (!before) return [];
      const { taskDefinition: arn, count, schedule } = after;
      const sets: TriggerSettings = {
        ...(count !== undefined && { count }),
        ...(schedule !== undefined && { schedule }),
      };
      const whole = { ...before, ...present(before, sets) };
      return [{ name: after.place, before: whole, after: { arn, ...sets }, changes: [] }];
    }),
  };
}

async function assertUsable(cloud: Cloud, taskDefinitions: readonly string[]): Promise<void> {
  for (const arn of new Set(taskDefinitions)) {
    const { definition } = await cloud.taskDefinition(arn);
    if (definition.status === 'ACTIVE') continue;
    throw new ReleaseError(
      'usage',
      `${arn} is ${definition.status}, so the stage cannot be rolled back to it. Deploy the wanted commit again.`,
    );
  }
}

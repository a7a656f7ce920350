/**
 * Carries out a release. It takes the lock, settles a release that was killed, observes the stage, plans, registers,
 * records, executes the steps, and records the outcome. If it fails, everything is taken back.
 *
 * INVARIANTS
 * - Before a revision is registered, the record announces it.
 * - Before anything on the stage changes, the record holds the state before and the state after the release.
 * - Once the record says that the release is settled, nothing is taken back until the record says otherwise.
 */

import { messageOf, ReleaseError } from '../errors.ts';
import type { HeldLock } from '../record/held-lock.ts';
import type { RecordedTask, ReleaseRecord } from '../record/release-record.ts';
import type { Hold, Lock } from '../record/stage-state.ts';
import type { Observed } from './observe.ts';
import { isEmpty, type Plan, type Revision } from './plan.ts';
import { announce, register } from './register.ts';
import { waitFor } from './rollout.ts';
import { runSteps } from './run-steps.ts';
import { stepsOf } from './steps.ts';
import { isWhole, replacedInPlace, takeBack } from './take-back.ts';
import { isSuperseded, persist, type Tools, type Work } from './work.ts';

type Asked = 'kind' | 'to' | 'application' | 'stage' | 'cluster' | 'by' | 'commit';

export interface Request extends Pick<ReleaseRecord, Asked> {
  /** Milliseconds to wait for the lock. */
  readonly patience: number;
  readonly onWait: (lock: Lock | Hold) => void;
  readonly observe: () => Promise<Observed>;
  readonly plan: (observed: Observed, current: ReleaseRecord | undefined) => Plan | Promise<Plan>;
}

interface LockedWork extends Work {
  readonly held: HeldLock;
}

interface Prepared {
  readonly plan: Plan;
  /** The record before the release's revisions are registered. */
  readonly opening: ReleaseRecord;
}

type ArnOf = (revision: Revision) => string;

/** Makes an id. Ids sort by time. */
export function makeReleaseId(now: number): string {
  const time = new Date(now).toISOString().replaceAll(/[-:.]/g, '');
  return `${time}-${Math.random().toString(36).slice(2, 8).padEnd(6, '0')}`;
}

/** @throws ReleaseError whose kind says how the release ended */
export async function release(tools: Tools, request: Request): Promise<ReleaseRecord> {
  const id = makeReleaseId(tools.clock.now());
  const { ledger } = tools;
  const held = await ledger.lock({
    release: id,
    owner: request.by,
    patience: request.patience,
    onWait: request.onWait,
    signal: tools.signal,
  });
  try {
    return await underLock({ ...tools, held, touched: new Set() }, id, request);
  } catch (error) {
    // The lock may have been revoked. By now, no change is running.
    if (isSuperseded(error)) await held.abandon().catch(() => {});
    throw error;
  }
}

async function underLock(work: LockedWork, id: string, request: Request): Promise<ReleaseRecord> {
  const { held } = work;
  if (held.leftOver !== undefined) await settleLeftOver(work, held.leftOver, id, request);
  const prepared = await prepare(work, id, request).catch(async (error: unknown) => {
    // The stage was not changed.
    await held.release().catch(() => {});
    throw error;
  });
  return await carryOut(work, prepared);
}

/**
 * Settles a release that did not end. If the stage runs all of it, it counts as deployed. Otherwise it is taken back.
 */
async function settleLeftOver(
  work: LockedWork,
  leftOver: string,
  id: string,
  request: Request,
): Promise<void> {
  const { held, ledger } = work;
  try {
    const record = (await ledger.record(leftOver)) ?? (await bar(work, leftOver, request));
    if (record.outcome === 'rolled back') return await held.begin(id);
    if (record.outcome === 'deployed') return await held.begin(id, record.id);
    if (record.isSettled && (await isWhole(work, record))) {
      work.tell({
        event: 'step',
        text: `${leftOver} was killed after everything was rolled out; it counts as deployed`,
      });
      await ledger.keep(endedNow(work, { ...record, outcome: 'deployed' }));
      return await held.begin(id, record.id);
    }
    work.tell({ event: 'step', text: `${leftOver} (${record.by}) did not end; rolling it back first` });
    const back = {
      ...record,
      isSettled: false,
      reason: record.reason ?? 'its process ended during the release',
    };
    await ledger.keep(back);
    await takeBack(work, back);
    await ledger.keep(endedNow(work, { ...back, outcome: 'rolled back' }));
    await held.begin(id);
  } catch (error) {
    if (isSuperseded(error)) throw error;
    await held.abandon().catch(() => {});
    throw new ReleaseError(
      'not rolled back',
      `The stage has parts of ${leftOver}, which could not be rolled back: ${messageOf(error)}. Correct the cause and deploy again, or run "ecs-release unlock --forget" to start from what runs.`,
      { cause: error },
    );
  }
}

/**
 * A release without a record has changed nothing yet. This function writes a record for it. If its process is still
 * alive, that process can no longer write its own record, and changes nothing.
 */
async function bar({ ledger, clock }: Work, id: string, request: Request): Promise<ReleaseRecord> {
  const now = new Date(clock.now()).toISOString();
  const { application, stage, cluster } = request;
  const record: ReleaseRecord = {
    ...{ id, kind: 'deploy', application, stage, cluster, by: 'unknown', startedAt: now, endedAt: now },
    ...{ outcome: 'rolled back', reason: 'its process ended before it changed anything', isSettled: false },
    ...{ images: {}, services: [], triggers: [], tasks: [] },
  };
  try {
    await ledger.keep(record);
    return record;
  } catch (error) {
    // The other process has just written its record.
    const own = await ledger.record(id);
    if (own) return own;
    throw error;
  }
}

async function prepare(work: LockedWork, id: string, request: Request): Promise<Prepared> {
  const { ledger, clock } = work;
  const { current } = await ledger.state();
  const before = current === undefined ? undefined : await ledger.record(current);
  const plan = await request.plan(await request.observe(), before);
  if (isEmpty(plan)) {
    await assertRuns(work, plan);
    throw new ReleaseError('nothing to do', 'The stage already runs all of it. Nothing was changed.');
  }
  const { kind, to, application, stage, cluster, by, commit } = request;
  const opening: ReleaseRecord = {
    id,
    kind,
    ...(to !== undefined && { to }),
    application,
    stage,
    cluster,
    by,
    ...(commit !== undefined && { commit }),
    startedAt: new Date(clock.now()).toISOString(),
    outcome: 'running',
    ...(current !== undefined && { previous: current }),
    isSettled: false,
    announced: announce(plan.register),
    images: plan.images,
    services: [],
    triggers: [],
    tasks: [],
  };
  return { plan, opening };
}

/** Adds what the release changes, now that its revisions have ARNs. */
function withParts(opening: ReleaseRecord, { services, triggers }: Plan, arnOf: ArnOf): ReleaseRecord {
  return {
    ...opening,
    services: services.map((one) => ({
      name: one.name,
      service: one.service,
      isGate: one.isGate,
      ...(one.scaling && { scaling: one.scaling }),
      deployment: one.deployment,
      before: { service: one.service, ...one.before },
      after: {
        service: one.service,
        ...one.after,
        taskDefinition: arnOf(one.after.taskDefinition),
        ...(one.force && { force: true }),
      },
    })),
    triggers: triggers.map(({ before: trigger, after }) => ({
      before: trigger,
      after: {
        ...{ ...trigger, taskDefinition: arnOf(after) },
        ...(after.count !== undefined && { count: after.count }),
        ...(after.schedule !== undefined && { schedule: after.schedule }),
      },
    })),
  };
}

/**
 * Matching revisions are not enough: this function waits until their tasks run.
 * @throws ReleaseError failed
 */
async function assertRuns(work: LockedWork, { services }: Plan): Promise<void> {
  const wanted = services.map(({ before, service }) => ({ service, taskDefinition: before.taskDefinition }));
  const deadline = work.clock.now() + work.timing.timeout;
  await waitFor(work, wanted, { untilAlone: false, deadline });
}

async function carryOut(work: LockedWork, { plan, opening }: Prepared): Promise<ReleaseRecord> {
  const { ledger, held, tell } = work;
  let record = opening;
  const done: RecordedTask[] = [];
  let wasSettling = false;
  try {
    if (plan.register.length > 0) await persist(work, () => ledger.keep(opening));
    const arns = await register(work, plan.register);
    const arnOf: ArnOf = (one) => ('arn' in one ? one.arn : (arns[one.register] as string));
    const tasks = (some: Plan['before']) =>
      some.map((task) => ({ ...task, taskDefinition: arnOf(task.taskDefinition) }));
    const whole = withParts(opening, plan, arnOf);
    record = whole;
    await persist(work, () => ledger.keep(whole));
    const steps = stepsOf(whole, { before: tasks(plan.before), after: tasks(plan.after) });
    await runSteps(work, whole, steps, (task) => done.push(task));
    wasSettling = true;
    const settled = { ...record, tasks: done, isSettled: true };
    await persist(work, () => ledger.keep(settled));
    const ended = endedNow(work, { ...settled, outcome: 'deployed' });
    // From here on, nothing is taken back. If this process cannot finish the release, the next one does.
    await persist(work, () => ledger.keep(ended))
      .then(() => held.release(record.id))
      .catch(async (error: unknown) => {
        tell({ event: 'failure', text: messageOf(error) });
        await held.abandon().catch(() => {});
      });
    return ended;
  } catch (error) {
    if (isSuperseded(error)) throw error;
    const reason = messageOf(error);
    tell({ event: 'failure', text: `${reason}\nRolling back to what ran before.` });
    return await goBack(work, { ...record, tasks: done, reason }, wasSettling);
  }
}

/** @throws ReleaseError always: rolled back, not rolled back, or superseded */
async function goBack(work: LockedWork, record: ReleaseRecord, wasSettling: boolean): Promise<never> {
  const { ledger, held } = work;
  const { id, reason = '' } = record;
  try {
    await persist(work, () => ledger.keep(record)).catch((error: unknown) => {
      if (wasSettling || isSuperseded(error)) throw error;
    });
    await takeBack(work, record);
    const replaced = await replacedInPlace(work, record);
    if (replaced.length > 0)
      throw new ReleaseError(
        'failed',
        `the tasks of ${replaced.join(', ')} were replaced under the same revision, which names a moving tag; move the tag back with "ecs-release images tag"`,
      );
    await persist(work, () => ledger.keep(endedNow(work, { ...record, outcome: 'rolled back' })));
  } catch (error) {
    if (isSuperseded(error)) throw error;
    const why = messageOf(error);
    const ended = endedNow(work, {
      ...record,
      outcome: 'not rolled back',
      reason: `${reason}; the rollback failed: ${why}`,
    });
    await ledger.keep(ended).catch(() => {});
    await held.abandon().catch(() => {});
    throw new ReleaseError(
      'not rolled back',
      `${id} failed: ${reason}\nThe rollback failed too: ${why}\nThe stage may run parts of it. Correct the cause and deploy again: the next deploy rolls it back first.`,
      { cause: error },
    );
  }
  await held.release().catch(() => {});
  throw new ReleaseError('rolled back', `${id} failed and was rolled back: ${reason}`);
}

function endedNow(work: Work, record: ReleaseRecord): ReleaseRecord {
  return { ...record, endedAt: new Date(work.clock.now()).toISOString() };
}

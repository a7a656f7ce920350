/** The commands `plan`, `deploy`, `rollback`, `scale` and `set`, which change a stage or show such a change. */

import { resolveImages } from '../aws/images.ts';
import { systemClock } from '../clock.ts';
import { wordsOf } from '../config/duration.ts';
import type { ReleaseConfig } from '../config/read.ts';
import { EXIT_CODES, ReleaseError } from '../errors.ts';
import { Ledger, type LockRequest } from '../record/ledger.ts';
import { openStore } from '../record/open.ts';
import type { ReleaseRecord } from '../record/release-record.ts';
import { claimOf, isHold } from '../record/stage-state.ts';
import { type Request, release } from '../release/deploy.ts';
import { findTarget, planRollback } from '../release/go-back.ts';
import { type Observed, observe } from '../release/observe.ts';
import { isEmpty, type Plan, planRelease } from '../release/plan.ts';
import type { Tell } from '../release/progress.ts';
import type { Tools } from '../release/work.ts';
import { type Context, contextOf } from './context.ts';
import { durationOf } from './options.ts';
import { forced, scaled, withVariables } from './partial.ts';
import { describePlan, printResult, shownPlan, teller } from './print.ts';
import type { Given, Run, Surroundings } from './row.ts';

export async function ledgerOf({ config, clients }: Context): Promise<Ledger> {
  const store = await openStore(config.stage, clients);
  return new Ledger(store, systemClock, config.application, config.stage.name);
}

export const plan: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  return printPlan(given, surroundings, await planOf(context, configFor(given, context.config)));
};

function printPlan(given: Given, surroundings: Surroundings, made: Plan): number {
  printResult(given, surroundings, shownPlan(made), describePlan(made));
  return isEmpty(made) ? EXIT_CODES['nothing to do'] : 0;
}

export const deploy: Run = async (given, surroundings) => {
  if (given.flag('dry-run')) return await plan(given, surroundings);
  await using context = await contextOf(given, surroundings);
  const config = configFor(given, context.config);
  // Resolve the images before the lock is taken, so that a missing image fails early.
  const images = await resolveImages(context.clients, config);
  const asked = {
    kind: 'deploy' as const,
    plan: (observed: Observed) => planRelease(config, observed, images),
  };
  return await carry(given, surroundings, { ...context, config }, asked);
};

export const rollback: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const ledger = await ledgerOf(context);
  const to = given.text('to');
  const target = await findTarget(ledger, to === undefined ? undefined : { to });
  const planned = () => planRollback(context.cloud, ledger, target);
  if (given.flag('dry-run')) return printPlan(given, surroundings, await planned());
  const reached = target.to === undefined ? {} : { to: target.to };
  return await carry(given, surroundings, context, { kind: 'rollback', ...reached, plan: planned });
};

export const scale: Run = async (given, surroundings) => {
  const [name = '', count = ''] = given.words;
  if (!/^\d+$/.test(count))
    throw new ReleaseError('usage', `The number of tasks must be a number, not "${count}".`);
  return await changePart(given, surroundings, (config) => scaled(config, name, Number(count)));
};

export const set: Run = async (given, surroundings) =>
  await changePart(given, surroundings, (config) => withVariables(config, given.words, given.texts('only')));

/** Releases a change of the configuration without new images. */
async function changePart(
  given: Given,
  surroundings: Surroundings,
  partOf: (config: ReleaseConfig) => ReleaseConfig,
): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const config = partOf(context.config);
  const planned = (observed: Observed, current?: ReleaseRecord) => ({
    ...planRelease(config, observed, {}),
    images: current?.images ?? {},
  });
  if (given.flag('dry-run'))
    return printPlan(given, surroundings, planned(await observe(context.cloud, config)));
  return await carry(given, surroundings, { ...context, config }, { kind: 'change', plan: planned });
}

/** Applies the command line's options to the configuration. */
function configFor(given: Given, config: ReleaseConfig): ReleaseConfig {
  const names = given.flag('force-new-deployment')
    ? Object.keys(config.services ?? {})
    : given.texts('force');
  const { tasks, ...rest } = forced(config, names);
  return { ...rest, ...(tasks && !given.flag('skip-tasks') && { tasks }) };
}

function withoutParts({
  services: _services,
  scheduled: _scheduled,
  tasks: _tasks,
  ...rest
}: ReleaseConfig): ReleaseConfig {
  return rest;
}

async function planOf({ clients, cloud }: Context, config: ReleaseConfig): Promise<Plan> {
  const [observed, images] = await Promise.all([observe(cloud, config), resolveImages(clients, config)]);
  return planRelease(config, observed, images);
}

/** Carries a release out, and prints its progress and its record. */
export async function carry(
  given: Given,
  surroundings: Surroundings,
  context: Context,
  asked: Pick<Request, 'kind' | 'to' | 'plan'> & Partial<Pick<Request, 'observe'>>,
): Promise<number> {
  const { config, cloud, caller } = context;
  const { stage, timing, application, values } = config;
  const tell = teller(given, surroundings);
  const ledger = await ledgerOf(context);
  const tools: Tools = { cloud, ledger, clock: systemClock, timing, tell, signal: surroundings.signal };
  const record = await release(tools, {
    // A rollback depends on the record alone.
    observe: () => observe(cloud, asked.kind === 'rollback' ? withoutParts(config) : config),
    ...asked,
    application,
    stage: stage.name,
    cluster: stage.cluster,
    by: ownerOf(caller, surroundings.env),
    ...(values.commit !== undefined && { commit: String(values.commit) }),
    patience: patienceOf(given, timing.timeout),
    onWait: waitTeller(tell),
  });
  const took = wordsOf(Date.parse(record.endedAt ?? '') - Date.parse(record.startedAt));
  printResult(given, surroundings, record, `${stage.name} runs ${record.id} (${took})`);
  return 0;
}

/** Names each holder of the lock once. */
export function waitTeller(tell: Tell): LockRequest['onWait'] {
  let told = '';
  return (lock) => {
    if (told === lock.token) return;
    told = lock.token;
    const text = `waiting for ${lock.owner}, which has the lock ${claimOf(lock, systemClock.now())}`;
    tell({ event: 'step', text: isHold(lock) ? `${text}; "ecs-release unlock" removes the hold` : text });
  };
}

/** @param usual milliseconds, the default */
export function patienceOf(given: Given, usual: number): number {
  return given.text('lock-timeout') === '0' ? 0 : (durationOf(given, 'lock-timeout') ?? usual);
}

/** Names the owner of a release: the caller's ARN, and the CI's job if there is one. */
function ownerOf(caller: string, env: Surroundings['env']): string {
  const job = env.GITHUB_RUN_ID ?? env.BITBUCKET_BUILD_NUMBER;
  return job === undefined ? caller : `${caller} (build ${job})`;
}

/** Names a person also by the user of the machine, because the ARN of a role is the same for everybody who assumes it. */
export function personOf(caller: string, env: Surroundings['env']): string {
  const owner = ownerOf(caller, env);
  const user = env.USER ?? env.USERNAME;
  return owner === caller && user ? `${user} (${caller})` : owner;
}

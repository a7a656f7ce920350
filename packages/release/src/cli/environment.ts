/**
 * The command `environment`, for temporary environments, such as one for each pull request. `up` copies the services of
 * another stage, without tasks, and then deploys. `down` removes the copies.
 */

import type { Service } from '@aws-sdk/client-ecs';
import {
  assertCopy,
  type Copy,
  copiedDefinition,
  copiedService,
  createService,
  describeServices,
  listCopies,
  removeCopy,
} from '../aws/copies.ts';
import { resolveImages } from '../aws/images.ts';
import { readTaskDefinition } from '../aws/task-reads.ts';
import { systemClock } from '../clock.ts';
import type { ReleaseConfig } from '../config/read.ts';
import type { ServiceConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import type { Ledger } from '../record/ledger.ts';
import { makeReleaseId } from '../release/deploy.ts';
import { observe } from '../release/observe.ts';
import { type Plan, planRelease } from '../release/plan.ts';
import { render } from '../release/task-definition.ts';
import { type Context, configOfGiven, contextOf } from './context.ts';
import { printResult, table, teller } from './print.ts';
import { carry, ledgerOf, patienceOf, waitTeller } from './releasing.ts';
import type { Given, Run, Surroundings } from './row.ts';

export const environment: Run = async (given, surroundings) => {
  const [action] = given.words;
  if (action === 'up') return await up(given, surroundings);
  if (action === 'down') return await down(given, surroundings);
  if (action === 'list') return await list(given, surroundings);
  throw new ReleaseError('usage', `The action is up, down or list, not "${action}".`);
};

async function up(given: Given, surroundings: Surroundings): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const { config } = context;
  const { copyOf } = config.stage;
  if (!copyOf) throw noCopy(config);
  const original = await configOfGiven(given, surroundings.env, copyOf.stage);
  const { account, region } = original.stage;
  if (account !== config.stage.account || region !== config.stage.region)
    throw new ReleaseError('usage', `The stage ${copyOf.stage} is in another account or region.`);
  const images = await resolveImages(context.clients, config);
  const make = () => makeServices(context, given, surroundings, original, images);
  if (given.flag('dry-run')) {
    const counts = await make();
    const started = [...counts].map(([name, count]) => `${name} (${count} tasks)`).join(', ');
    printResult(given, surroundings, Object.fromEntries(counts), `would start: ${started || 'nothing'}`);
    return 0;
  }
  let counts: ReadonlyMap<string, number> = new Map();
  return await carry(given, surroundings, context, {
    kind: 'deploy',
    // This runs when the stage is locked, so no other command removes or makes the same services meanwhile.
    observe: async () => {
      counts = await make();
      return await observe(context.cloud, config);
    },
    plan: (observed) => planRelease(withCounts(config, counts), observed, images),
  });
}

function withCounts(config: ReleaseConfig, counts: ReadonlyMap<string, number>): ReleaseConfig {
  const services = Object.entries(config.services ?? {}).map(([name, one]) => {
    const count = counts.get(name);
    return [name, count === undefined ? one : { ...one, count }];
  });
  return { ...config, services: Object.fromEntries(services) };
}

/**
 * Makes the missing services.
 * @returns counts of tasks for services that have none, by name in the configuration
 */
async function makeServices(
  context: Context,
  given: Given,
  surroundings: Surroundings,
  original: ReleaseConfig,
  images: Plan['images'],
): Promise<ReadonlyMap<string, number>> {
  const { config, clients } = context;
  const { cluster, copyOf } = config.stage;
  const ecs = await clients.ecs();
  const tell = teller(given, surroundings);
  const wanted = Object.entries(config.services ?? {});
  const [there, sources] = await Promise.all([
    describeServices(
      ecs,
      cluster,
      wanted.map(([, { service }]) => service),
    ),
    describeServices(
      ecs,
      original.stage.cluster,
      wanted.flatMap(([name]) => original.services?.[name]?.service ?? []),
    ),
  ]);
  const counts = new Map<string, number>();
  for (const [name, one] of wanted) {
    const { service, kind = '', count } = one;
    const present = there.get(service);
    if (present && (present.desiredCount ?? 0) > 0) continue;
    const source = sources.get(original.services?.[name]?.service ?? '');
    if (!source)
      throw new ReleaseError('usage', `The stage ${copyOf?.stage} has no active service for ${name}.`);
    counts.set(name, Number(count ?? config.kinds[kind]?.count ?? source.desiredCount ?? 1));
    if (present) continue;
    tell({ event: 'step', text: `make the service ${service} from ${source.serviceName}` });
    if (!given.flag('dry-run')) await makeCopy(context, name, one, source, images, surroundings.signal);
  }
  return counts;
}

async function makeCopy(
  { config, clients, cloud }: Context,
  name: string,
  { service, family = service, containers, kind }: ServiceConfig,
  source: Service,
  images: Plan['images'],
  interrupted: AbortSignal,
): Promise<void> {
  const { cluster, copyOf } = config.stage;
  const loadBalancer = copyOf?.loadBalancers?.[name];
  const copy: Copy = {
    ...{ service, family, of: copyOf?.stage ?? '' },
    ...(loadBalancer && { loadBalancer }),
  };
  const ecs = await clients.ecs();
  const live = await readTaskDefinition(ecs, source.taskDefinition ?? '');
  const values = config.kinds[kind ?? ''];
  const rendered = render(live, {
    ...{ what: `The service ${name}`, containers },
    images: new Map(Object.entries(images).map(([image, { reference }]) => [image, reference])),
    ...(kind !== undefined && values && { kind: { name: kind, kind: values } }),
  });
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(config.timing.timeout)]);
  const taskDefinition = await cloud.register(copiedDefinition(rendered, copy), signal);
  await createService(ecs, copiedService(source, cluster, taskDefinition, copy));
}

async function down(given: Given, surroundings: Surroundings): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const { config, clients, caller } = context;
  if (!config.stage.copyOf) throw noCopy(config);
  const { cluster } = config.stage;
  const ecs = await clients.ecs();
  const names = Object.values(config.services ?? {}).map(({ service }) => service);
  const found = [...(await describeServices(ecs, cluster, names)).values()];
  for (const one of found) assertCopy(one);
  const gone = found.map(({ serviceName = '' }) => serviceName);
  const text = gone.join(', ') || 'nothing: the stage has no copies';
  if (!given.flag('dry-run')) {
    const ledger = await ledgerOf(context);
    const held = await ledger.lock({
      ...{
        release: makeReleaseId(Date.now()),
        owner: caller,
        onWait: waitTeller(teller(given, surroundings)),
      },
      ...{ patience: patienceOf(given, config.timing.timeout), signal: surroundings.signal },
    });
    try {
      for (const one of found) {
        await held.beat();
        await removeCopy(ecs, cluster, one);
      }
    } catch (error) {
      await (held.leftOver === undefined ? held.release() : held.abandon());
      throw error;
    }
    await closeRecord(ledger, held.leftOver);
    await held.clear();
  }
  printResult(given, surroundings, gone, `${given.flag('dry-run') ? 'would remove' : 'removed'}: ${text}`);
  return 0;
}

/** Nothing remains of an unfinished release that the next one could take back. */
async function closeRecord(ledger: Ledger, leftOver: string | undefined): Promise<void> {
  const record = leftOver === undefined ? undefined : await ledger.record(leftOver);
  if (!record || record.outcome === 'deployed' || record.outcome === 'rolled back') return;
  const endedAt = new Date(systemClock.now()).toISOString();
  await ledger.keep({ ...record, outcome: 'rolled back', reason: 'the environment was removed', endedAt });
}

async function list(given: Given, surroundings: Surroundings): Promise<number> {
  await using context = await contextOf(given, surroundings);
  const all = await listCopies(await context.clients.ecs(), context.config.stage.cluster);
  const rows = all.map(({ service, of, running, desired, createdAt }) => [
    ...[service, of, `${running}/${desired}`, createdAt],
  ]);
  printResult(given, surroundings, all, table([['SERVICE', 'COPY OF', 'TASKS', 'MADE'], ...rows]));
  return 0;
}

function noCopy({ stage }: ReleaseConfig): ReleaseError {
  return new ReleaseError(
    'usage',
    `The stage ${stage.name} is not a copy of another stage. Set "copyOf" of the stage, or use "deploy".`,
  );
}

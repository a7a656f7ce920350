/** Rolls services out together, and waits until all of them are stable or one of them fails. */

import type { Clock } from '../clock.ts';
import { wordsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';
import { activeServices, type Service, type ServiceChange, shortName, type Task } from './cloud.ts';
import { deploymentOf, judge, type Rollout, type Verdict } from './judge.ts';
import { change, Looks, persist, type Work } from './work.ts';

export interface RolloutOptions {
  /** Wait until the services have no other tasks left. */
  readonly untilAlone: boolean;
  /** A time in milliseconds, by the clock of `Work`. */
  readonly deadline: number;
  /** true: continue after an interrupt, because this rollout takes a release back. */
  readonly isBack?: boolean;
}

/** Milliseconds for which a service may start no task for lack of capacity. */
const CAPACITY_PATIENCE = 5 * 60_000;

/** @throws ReleaseError failed, with the reason */
export async function rollOut(
  work: Work,
  changes: readonly ServiceChange[],
  options: RolloutOptions,
): Promise<void> {
  if (changes.length === 0) return;
  const names = changes.map(({ service }) => service);
  const before = await servicesOf(work, names, options);
  const events = new Map(before.map((one) => [one.name, new Set(one.events.map(({ id }) => id))]));
  const rollouts = new Map<string, Rollout>();
  for (const one of changes) {
    const update = () => change(work, (signal) => work.cloud.updateService(one, signal));
    work.tell({ event: 'step', text: `${one.service}: roll out ${shortName(one.taskDefinition)}` });
    work.touched.add(one.service);
    const deployment = await (options.isBack ? persist(work, update) : update());
    rollouts.set(one.service, {
      service: one.service,
      taskDefinition: one.taskDefinition,
      deployment,
      knownEvents: events.get(one.service) ?? new Set(),
      wasSeen: false,
      missed: 0,
    });
  }
  await watch(work, rollouts, options);
}

/** Waits until services are stable. It changes nothing. */
export async function waitFor(
  work: Work,
  wanted: readonly ServiceChange[],
  options: RolloutOptions,
): Promise<void> {
  const names = wanted.map(({ service }) => service);
  const services = await servicesOf(work, names, options);
  const rollouts = wanted.map(({ service, taskDefinition }) => {
    const events = services.find(({ name }) => name === service)?.events ?? [];
    const knownEvents = new Set(events.map(({ id }) => id));
    const begun = { service, taskDefinition, deployment: undefined, knownEvents, wasSeen: true, missed: 0 };
    return [service, begun] as const;
  });
  await watch(work, new Map(rollouts), options);
}

async function servicesOf(
  work: Work,
  names: readonly string[],
  { isBack }: RolloutOptions,
): Promise<readonly Service[]> {
  const ask = () => activeServices(work.cloud, names);
  return await (isBack ? persist(work, ask) : ask());
}

async function watch(work: Work, rollouts: Map<string, Rollout>, options: RolloutOptions): Promise<void> {
  const looks = new Looks(work);
  const begun = work.clock.now();
  const said = new Map<string, string>();
  const lacks = new Lacks(work);
  /** Services whose stopped tasks are read in the next turn. */
  const asks = new Set<string>();
  for (let turn = 1; rollouts.size > 0; turn += 1) {
    if (!options.isBack && work.signal.aborted)
      throw new ReleaseError('failed', 'the release was interrupted');
    await work.held.beat();
    const services = (await looks.look(() => activeServices(work.cloud, [...rollouts.keys()]))) ?? [];
    for (const service of services) {
      const rollout = rollouts.get(service.name);
      if (!rollout) continue;
      const own = deploymentOf(service, rollout);
      const isOdd =
        own?.rolloutState === 'FAILED' ||
        (rollout.wasSeen && own?.status !== 'PRIMARY') ||
        (own?.failed ?? 0) > 0;
      if (turn % 4 === 0 && service.running < service.desired) asks.add(service.name);
      const stopped =
        isOdd || asks.delete(service.name)
          ? ((await looks.look(() => work.cloud.stoppedTasks(service.name))) ?? [])
          : [];
      const verdict = judge(
        service,
        rollout,
        stopped,
        options.isBack ? Number.POSITIVE_INFINITY : work.timing.failures,
      );
      if (!options.isBack) lacks.check(service, verdict);
      if (verdict.is === 'failed') throw await failure(work, verdict.reason, verdict.task);
      if (said.get(service.name) !== verdict.text) work.tell({ event: 'look', text: verdict.text });
      said.set(service.name, verdict.text);
      const wasSeen = rollout.wasSeen || own !== undefined;
      const missed = own?.status === 'PRIMARY' ? 0 : rollout.missed + 1;
      if (verdict.is === 'stable' && (verdict.isAlone || !options.untilAlone)) rollouts.delete(service.name);
      else rollouts.set(service.name, { ...rollout, wasSeen, missed });
      if (verdict.is === 'going on' && verdict.wantsStopped) asks.add(service.name);
    }
    if (rollouts.size === 0) return;
    if (work.clock.now() > options.deadline) {
      const names = [...rollouts.keys()].join(', ');
      throw new ReleaseError(
        'failed',
        `${names} did not become stable in the time of the release (waited ${wordsOf(work.clock.now() - begun)}; set a longer "release.timeout", or --timeout for "wait")`,
      );
    }
    await work.clock.sleep(work.timing.poll);
  }
}

/** A lack of capacity is a failure only if it lasts, because Spot, scaling hosts and host ports come and go. */
class Lacks {
  readonly #clock: Clock;
  readonly #since = new Map<string, { readonly running: number; readonly at: number }>();

  constructor({ clock }: Work) {
    this.#clock = clock;
  }

  /** @throws ReleaseError failed */
  check({ name, running }: Service, verdict: Verdict): void {
    if (verdict.is !== 'going on' || verdict.lack === undefined) return void this.#since.delete(name);
    const before = this.#since.get(name);
    if (before?.running !== running) this.#since.set(name, { running, at: this.#clock.now() });
    else if (this.#clock.now() - before.at > CAPACITY_PATIENCE)
      throw new ReleaseError('failed', `there is no capacity for ${name}: ${verdict.lack}`);
  }
}

/** Makes the error, and prints the last lines of the failed container. They arrive some seconds after its end. */
async function failure(work: Work, reason: string, task: Task | undefined): Promise<ReleaseError> {
  const failed = task?.containers.find(({ exitCode }) => exitCode !== undefined && exitCode !== 0);
  if (!task || !failed) return new ReleaseError('failed', reason);
  let lines: readonly string[] = [];
  for (let attempt = 0; attempt < 4 && lines.length === 0; attempt += 1) {
    if (attempt > 0) await work.clock.sleep(1500);
    lines = await work.cloud.lastLines(task, failed.name).catch(() => []);
  }
  // The lines may contain anything, so they are printed but not recorded.
  if (lines.length > 0)
    work.tell({
      event: 'output',
      text: [`The last lines of ${failed.name}:`, ...lines.map((line) => `  ${line}`)].join('\n'),
    });
  return new ReleaseError('failed', reason);
}

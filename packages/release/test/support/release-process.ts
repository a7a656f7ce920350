/** Releases in the simulated AWS. Each is made by a separate process, as with the command line. */

import assert from 'node:assert/strict';
import type { ReleaseConfig } from '../../src/config/read.ts';
import { ReleaseError } from '../../src/errors.ts';
import { Ledger } from '../../src/record/ledger.ts';
import type { ReleaseRecord } from '../../src/record/release-record.ts';
import type { Cloud } from '../../src/release/cloud.ts';
import { type Request, release } from '../../src/release/deploy.ts';
import { findTarget, planRollback } from '../../src/release/go-back.ts';
import { observe } from '../../src/release/observe.ts';
import { planRelease } from '../../src/release/plan.ts';
import { connect, type Decide } from './connection.ts';
import type { SimulatedAws } from './simulated-aws.ts';

export interface Process {
  readonly config: ReleaseConfig;
  /** The image of a deploy; undefined: a rollback. */
  readonly image?: string;
  readonly decide?: Decide;
  readonly wrap?: (cloud: Cloud) => Cloud;
  /** Interrupts the release. */
  readonly signal?: AbortSignal;
}

export type Ended = ReleaseRecord['outcome'] | ReleaseError['kind'] | 'held';

/** Never settles when the process dies. */
export async function makeRelease(aws: SimulatedAws, owner: string, process: Process): Promise<Ended> {
  const { config, image, decide = () => undefined, wrap = (cloud) => cloud } = process;
  const clock = aws.time.clockOf(owner);
  const { cloud: plain, store } = connect(aws, owner, decide);
  const cloud = wrap(plain);
  const ledger = new Ledger(store, clock, config.application, config.stage.name);
  const { timing } = config;
  const signal = process.signal ?? new AbortController().signal;
  const request = async (): Promise<Request> => {
    const target = image === undefined ? await findTarget(ledger) : undefined;
    return {
      ...{ application: 'shop', stage: 'live', cluster: 'c', by: owner },
      ...{ patience: 30 * 60_000, onWait: () => {}, observe: () => observe(cloud, config) },
      kind: target ? 'rollback' : 'deploy',
      ...(target?.to !== undefined && { to: target.to }),
      plan: async (seen) =>
        target
          ? await planRollback(cloud, ledger, target)
          : planRelease(config, seen, { app: { reference: image ?? '', digest: image ?? '' } }),
    };
  };
  try {
    const tools = { cloud, ledger, clock, timing, tell: () => {}, signal };
    return (await release(tools, await request())).outcome;
  } catch (error) {
    if (error instanceof ReleaseError) return error.kind;
    assert.ok(error instanceof Error);
    // AWS's own errors, and bugs of this tool, have other classes.
    if (error.constructor !== Error && error.name !== 'AbortError') throw error;
    return 'failed';
  }
}

/** Takes the lock from its holder, whether the holder is alive or dead. */
export async function unlock(
  aws: SimulatedAws,
  owner: string,
  decide: Decide,
  isAtOnce = false,
): Promise<Ended> {
  const ledger = new Ledger(connect(aws, owner, decide).store, aws.time.clockOf(owner), 'shop', 'live');
  const broken = ledger.breakLock({ isAtOnce, onWait: () => {} });
  return await broken.then(
    () => 'nothing to do',
    () => 'failed',
  );
}

/** Takes the lock for a person, who waits for it at most this long. */
export async function hold(
  aws: SimulatedAws,
  owner: string,
  decide: Decide,
  patience = 30 * 60_000,
): Promise<Ended> {
  const ledger = new Ledger(connect(aws, owner, decide).store, aws.time.clockOf(owner), 'shop', 'live');
  const taken = ledger.hold({ owner, reason: 'a migration', patience, onWait: () => {} });
  return await taken.then(
    () => 'held',
    (error: unknown) => (error instanceof ReleaseError ? error.kind : 'failed'),
  );
}

/** Makes a release while nothing else happens. */
export async function makeAlone(aws: SimulatedAws, owner: string, process: Process): Promise<Ended> {
  const made = makeRelease(aws, owner, process);
  await aws.time.run();
  return await made;
}

/** The images that services run and rules start. */
export function imagesOn(aws: SimulatedAws): ReadonlySet<string> {
  const started = [...aws.rules.values()].flat().map(({ taskDefinition }) => taskDefinition);
  const run = [...aws.services.keys()].map((name) => aws.runs(name));
  return new Set([...run, ...started].map((name) => aws.imageOf(name)));
}

export function recordsOf(aws: SimulatedAws): readonly ReleaseRecord[] {
  return [...aws.objects]
    .filter(([name]) => name.includes('/releases/'))
    .map(([, { text }]) => JSON.parse(text));
}

/** Asserts that the stage runs one release, and that the records name it, unless a release is still unsettled. */
export function assertTrue(aws: SimulatedAws): void {
  assert.deepEqual(aws.violations, []);
  const { lock, inFlight, current } = JSON.parse(aws.objects.get('shop/live/stage.json')?.text ?? '{}');
  if (lock || inFlight) return;
  const records = recordsOf(aws);
  const image = records.find(({ id }) => id === current)?.images.app?.digest ?? 'image-old';
  assert.deepEqual([...imagesOn(aws)], [image], `the record says that the stage runs ${image}`);
  assert.equal(aws.suspended.size, 0, 'scaling is suspended still');
  for (const { outcome, reason, id } of records) {
    assert.ok(['deployed', 'rolled back'].includes(outcome), `${id} is on record as ${outcome}`);
    assert.equal(reason !== undefined, outcome === 'rolled back', `${id} has the reason ${reason}`);
  }
  const deployed = records.filter(({ outcome }) => outcome === 'deployed').map(({ id }) => id);
  const chain: string[] = [];
  for (let id = current; id !== undefined; id = records.find((one) => one.id === id)?.previous)
    chain.push(id);
  assert.deepEqual(chain.toSorted(), deployed.toSorted(), 'each release that the stage ran follows another');
  for (const { startedBy, arn, endsAt } of aws.tasks.values())
    assert.ok(endsAt <= aws.time.now || deployed.includes(startedBy), `${arn} of ${startedBy} runs still`);
}

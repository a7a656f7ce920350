/**
 * Registers the revisions of a release, and deregisters them when it is taken back: a failed revision must not stay the
 * newest of its family. A process may die, or lose an answer, before it knows the ARN of what it registered. So the
 * record announces each revision by a digest of its content before it is registered.
 */

import { createHash } from 'node:crypto';
import type { RegisterTaskDefinitionCommandInput } from '@aws-sdk/client-ecs';
import { messageOf } from '../errors.ts';
import type { Announced, ReleaseRecord } from '../record/release-record.ts';
import { shortName } from './cloud.ts';
import { inputOf } from './task-definition.ts';
import { change, isSuperseded, persist, type Work } from './work.ts';

/** Milliseconds by which ECS's clock and this machine's may differ. */
const SKEW = 60_000;

export function announce(inputs: readonly RegisterTaskDefinitionCommandInput[]): readonly Announced[] {
  return inputs.map((input) => ({ family: input.family ?? '', digest: digestOf(input) }));
}

/** @returns the ARNs, in the order of the inputs */
export async function register(
  work: Work,
  inputs: readonly RegisterTaskDefinitionCommandInput[],
): Promise<readonly string[]> {
  const arns: string[] = [];
  for (const input of inputs) {
    const arn = await change(work, (signal) => work.cloud.register(input, signal));
    work.tell({ event: 'step', text: `registered ${shortName(arn)}` });
    arns.push(arn);
  }
  return arns;
}

/** An error is only reported: the stage is already restored. */
export async function retire(work: Work, record: ReleaseRecord): Promise<void> {
  for (const announced of record.announced ?? []) {
    try {
      for (const arn of await registeredAs(work, announced, Date.parse(record.startedAt) - SKEW))
        await persist(work, () => change(work, (signal) => work.cloud.deregister(arn, signal)));
    } catch (error) {
      if (isSuperseded(error)) throw error;
      work.tell({
        event: 'failure',
        text: `a revision of ${announced.family} may still be registered: ${messageOf(error)}`,
      });
    }
  }
}

/** An older revision with the same content belongs to an earlier release, and `since` excludes it. */
async function registeredAs(
  work: Work,
  { family, digest }: Announced,
  since: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const arn of await persist(work, () => work.cloud.newestRevisions(family))) {
    const { definition } = await persist(work, () => work.cloud.taskDefinition(arn));
    if ((definition.registeredAt?.getTime() ?? 0) < since) break;
    if (digestOf(inputOf(definition)) === digest) found.push(arn);
  }
  return found;
}

function digestOf(input: RegisterTaskDefinitionCommandInput): string {
  const content = JSON.stringify({ ...input, tags: undefined }, sorted);
  return createHash('sha256').update(content).digest('hex');
}

/** The order of keys and of variables has no meaning, and ECS does not promise to keep it. */
function sorted(key: string, value: unknown): unknown {
  if (Array.isArray(value))
    return key === 'environment' || key === 'secrets'
      ? value.toSorted((a, b) => String(a.name).localeCompare(String(b.name)))
      : value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a.localeCompare(b)));
}

/**
 * The record of a release. It is enough to describe the release, to finish it, to take it back, and to return to it.
 */

import type { ServiceChange, Suspension, Trigger } from '../release/cloud.ts';
import type { Images } from '../release/plan.ts';

export type Outcome = 'running' | 'deployed' | 'rolled back' | 'not rolled back';

export interface RecordedService {
  readonly name: string;
  readonly service: string;
  readonly isGate: boolean;
  /** The automatic scaling that the release suspends, as it was before. */
  readonly scaling?: Suspension;
  /** The id of the service's deployment before the release. */
  readonly deployment?: string;
  readonly before: ServiceChange;
  readonly after: ServiceChange;
}

export interface RecordedTrigger {
  readonly before: Trigger;
  readonly after: Trigger;
}

export interface RecordedTask {
  readonly name: string;
  readonly arn: string;
  readonly exitCode: number | undefined;
}

export interface Announced {
  readonly family: string;
  /** SHA-256 of the revision's content, in hexadecimal. */
  readonly digest: string;
}

export interface ReleaseRecord {
  readonly id: string;
  readonly kind: 'deploy' | 'rollback' | 'change';
  /** For a rollback: the release that it returns to. */
  readonly to?: string;
  readonly application: string;
  readonly stage: string;
  readonly cluster: string;
  readonly by: string;
  readonly commit?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly outcome: Outcome;
  /** Why the release failed. */
  readonly reason?: string;
  /** The release that the stage ran before, which a rollback returns to. */
  readonly previous?: string;
  /** true: the stage runs all of the release, and only the final record is missing. */
  readonly isSettled: boolean;
  /** Revisions that the release registers. They are deregistered if the release is taken back. */
  readonly announced?: readonly Announced[];
  readonly images: Images;
  readonly services: readonly RecordedService[];
  readonly triggers: readonly RecordedTrigger[];
  readonly tasks: readonly RecordedTask[];
}

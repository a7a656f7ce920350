/** What is kept of a release: enough to tell of it, to finish it, to take it back, and to go back to it. */

import type { ServiceChange, Trigger } from '../release/cloud.ts';
import type { Images } from '../release/plan.ts';

export type Outcome = 'running' | 'deployed' | 'rolled back' | 'not rolled back';

export interface RecordedService {
  readonly name: string;
  readonly service: string;
  readonly isGate: boolean;
  readonly suspendsScaling: boolean;
  /** The id of its deployment before the release. */
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

export interface ReleaseRecord {
  readonly id: string;
  readonly kind: 'deploy' | 'rollback' | 'change';
  /** Of a rollback: the release that it goes back to. */
  readonly to?: string;
  readonly application: string;
  readonly stage: string;
  readonly cluster: string;
  readonly by: string;
  readonly commit?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly outcome: Outcome;
  /** Why it failed. */
  readonly reason?: string;
  /** What the stage ran before: the release that is gone back to. */
  readonly previous?: string;
  /** true: all of it runs, and nothing but the record is left to do. */
  readonly isSettled: boolean;
  /** Revisions that the release made. If it goes back, nobody must start them. */
  readonly registered?: readonly string[];
  readonly images: Images;
  readonly services: readonly RecordedService[];
  readonly triggers: readonly RecordedTrigger[];
  readonly tasks: readonly RecordedTask[];
}

/**
 * The common interface of the ways to run the stock Amazon ECS agent: as a process, as a container, or as a systemd
 * unit.
 */

import type { ProcessIdentity } from '../../host/processes.ts';

export type Mode = 'binary' | 'container' | 'unit';

/** How an agent ended: its exit code, or the signal that killed it; neither if Docker had it and became unreachable. */
export type Ended =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly code?: undefined; readonly signal?: string };

/** An agent that was started. */
export interface RunningAgent {
  /** Never rejects. */
  readonly ended: Promise<Ended>;
  /** Kills it at once, even while Docker is unreachable. Resolves when it has ended. */
  kill(): Promise<void>;
  /** Asks it to exit, and kills it after `milliseconds`. Resolves when it has ended, at once if it already has. */
  stop(milliseconds: number): Promise<void>;
  /** Says how it was observed that none of its processes runs. @throws {ServiceError} `still.there` */
  seenGone(): string | Promise<string>;
}

export interface Way {
  readonly mode: Mode;
  /** @param signal aborts the start @throws what prevents the start; no agent runs then */
  start(signal: AbortSignal): Promise<RunningAgent>;
  /** Installs the version that the agent downloaded before it exited with code 42. */
  update?(): Promise<void>;
}

/** The facts for a process that stops the agent after a crash: its process, if known. */
export type AgentFacts = Partial<ProcessIdentity>;

/** The callbacks that every way gets. */
export interface Reports {
  /** Called with each line that the agent writes. */
  readonly line: (line: string) => void;
  /** Called with facts that must survive a crash. */
  readonly note: (facts: AgentFacts) => void;
  /** Called when an agent did not exit when asked, and was killed. */
  readonly killed: () => void;
}

export function describeEnd({ code, signal }: Ended): string {
  if (code !== undefined) return `exit code ${code}`;
  return signal === undefined ? 'an exit code that Docker cannot tell' : `signal ${signal}`;
}

/** The ways to run the stock Amazon ECS agent, behind one interface: as a process, as a container, as systemd's unit. */

import type { ProcessIdentity } from '../../host/processes.ts';

export type Mode = 'binary' | 'container' | 'unit';

/** How an agent ended: its exit code, or the signal that killed it; neither where Docker has it and has gone away. */
export type Ended =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly code?: undefined; readonly signal?: string };

/** An agent that was started. */
export interface RunningAgent {
  /** Never rejects. */
  readonly ended: Promise<Ended>;
  /** Kills it at once, also while Docker is away. Resolves when it has ended. */
  kill(): Promise<void>;
  /** Asks it to end, and kills it after so many milliseconds. Resolves when it has ended, also when that was before. */
  stop(milliseconds: number): Promise<void>;
  /** Says how it is seen that nothing of it runs. @throws {ServiceError} `still.there` */
  seenGone(): string | Promise<string>;
}

export interface Way {
  readonly mode: Mode;
  /** @param signal gives up what is not done yet. @throws what keeps it from being started; nothing runs then */
  start(signal: AbortSignal): Promise<RunningAgent>;
  /** Puts the version in place that an agent has fetched before it ended with code 42. */
  update?(): Promise<void>;
}

/** What whoever stops an agent after a death has to know: its process, where one is known. */
export type AgentFacts = Partial<ProcessIdentity>;

/** What every way is given. */
export interface Reports {
  /** Is told each line that the agent writes. */
  readonly line: (line: string) => void;
  /** Is told what whoever comes after a death has to know. */
  readonly note: (facts: AgentFacts) => void;
  /** Is told that an agent had to be killed, since it did not end when it was asked to. */
  readonly killed: () => void;
}

export function describeEnd({ code, signal }: Ended): string {
  if (code !== undefined) return `exit code ${code}`;
  return signal === undefined ? 'an exit code that Docker cannot tell' : `signal ${signal}`;
}

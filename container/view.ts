/** One container as operators see it: nothing of its user is in it but that there is one. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import type { ContainerFacts, Purpose } from './facts.ts';
import type { HealthView } from './health.ts';
import type { ContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { State } from './state.ts';

export interface ContainerView {
  readonly id: ContainerId;
  /** Once Docker has made it. */
  readonly docker?: DockerId;
  readonly role: Role;
  readonly app: string;
  /** ARN of the ECS task that it is of. */
  readonly task?: string;
  readonly state: State;
  /** ISO 8601: when it was begun, and when it came to its state. */
  readonly began: string;
  readonly since: string;
  /** Whether a user has been assigned to it. */
  readonly claimed: boolean;
  /** The identifying host port, once it is prepared. */
  readonly port?: number;
  /** Host port by container port, such as `32262/tcp`, once it is prepared. */
  readonly ports?: Readonly<Record<string, number>>;
  /** N of /dev/ttyN. */
  readonly tty?: number;
  /** Seconds that it may be idle, where that was said of it; 0: for ever. */
  readonly idleTimeout?: number;
  /** While it runs, once it was looked at. */
  readonly health?: HealthView;
}

export interface Viewed {
  readonly id: ContainerId;
  readonly docker: DockerId | undefined;
  readonly purpose: Purpose;
  readonly state: State;
  readonly began: Date;
  readonly since: Date;
  readonly facts: ContainerFacts | undefined;
  readonly port: number | undefined;
  readonly health?: HealthView | undefined;
}

export function viewOf({
  id,
  docker,
  purpose,
  state,
  began,
  since,
  facts,
  port,
  health,
}: Viewed): ContainerView {
  const { role, appName: app, task } = purpose;
  const { idleTimeout } = facts ?? {};
  return {
    id,
    ...(docker && { docker }),
    role,
    app,
    ...(task && { task }),
    state,
    began: began.toISOString(),
    since: since.toISOString(),
    claimed: facts?.startValues !== undefined,
    ...(port !== undefined && { port }),
    ...(facts && { ports: facts.ports, ...(facts.tty !== undefined && { tty: facts.tty }) }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(health && { health }),
  };
}

/** The view of one container: the same object for as long as it says the same, since a full host is listed often. */
export class LastView {
  #of: Viewed | undefined;
  #view: ContainerView | undefined;

  of(viewed: Viewed): ContainerView {
    const before = this.#of;
    const names = Object.keys(viewed) as (keyof Viewed)[];
    if (!this.#view || names.some((name) => before?.[name] !== viewed[name])) this.#view = viewOf(viewed);
    this.#of = viewed;
    return this.#view;
  }
}

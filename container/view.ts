/** A container as operators see it. It says whether a user is assigned, and nothing else about the user. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import type { ContainerFacts, Purpose } from './facts.ts';
import type { HealthView } from './health.ts';
import type { ContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { State } from './state.ts';

export interface ContainerView {
  readonly id: ContainerId;
  /** Set once Docker has created it. */
  readonly docker?: DockerId;
  readonly role: Role;
  readonly app: string;
  /** The ARN of its ECS task. */
  readonly task?: string;
  readonly state: State;
  /** ISO 8601: when it was begun, and when it entered its state. */
  readonly began: string;
  readonly since: string;
  /** Whether a user has been assigned to it. */
  readonly claimed: boolean;
  /** The pool in which it waits for a user. */
  readonly pool?: string;
  /** The identifying host port, once it is prepared. */
  readonly port?: number;
  /** Host ports by container port, such as `32262/tcp`, once it is prepared. */
  readonly ports?: Readonly<Record<string, number>>;
  /** N of /dev/ttyN. */
  readonly tty?: number;
  /** The UUIDs of its GPUs, if it has any and they are known. */
  readonly gpus?: readonly string[];
  /** Seconds that it may be idle, if the container has its own limit; 0: no limit. */
  readonly idleTimeout?: number;
  /** While it runs, after the first check. */
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
  const { idleTimeout, gpus } = facts ?? {};
  const claimed = facts?.startValues !== undefined;
  return {
    id,
    ...(docker && { docker }),
    role,
    app,
    ...(task && { task }),
    state,
    began: began.toISOString(),
    since: since.toISOString(),
    claimed,
    ...(purpose.pool !== undefined && !claimed && { pool: purpose.pool }),
    ...(port !== undefined && { port }),
    ...(facts && { ports: facts.ports, ...(facts.tty !== undefined && { tty: facts.tty }) }),
    ...(gpus && { gpus }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(health && { health }),
  };
}

/**
 * Caches the view of one container: it returns the same object until something changes, because the containers of a
 * full host are listed often.
 */
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

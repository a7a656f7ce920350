/**
 * How well a container is, as far as it can be seen from outside: what Docker's own check says, and whether its port
 * 32262/tcp takes connections. Nothing ends because of it.
 */

import { CHECK_HEALTHS, type CheckHealth } from '../docker-engine/answers.ts';

export const PORT_HEALTHS = ['open', 'closed'] as const;
export type PortHealth = (typeof PORT_HEALTHS)[number];

export interface HealthView {
  /** What Docker's check says; left out where the image has none. */
  readonly docker?: CheckHealth;
  /** Whether its port takes connections; left out where this host cannot reach it. */
  readonly port?: PortHealth;
  /** ISO 8601: when one of them was first seen so. */
  readonly since: string;
}

/** What changed, for programs: these words stay. */
export const HEALTH_CODES = [...CHECK_HEALTHS, 'port-open', 'port-closed'] as const;

export interface HealthChange {
  readonly code: (typeof HEALTH_CODES)[number];
  /** For people. */
  readonly cause: string;
}

/** Of one container. */
export class Health {
  readonly #tell: (change: HealthChange) => void;
  #view: HealthView | undefined;

  /** @param tell is told of each change once it can be seen */
  constructor(tell: (change: HealthChange) => void) {
    this.#tell = tell;
  }

  /** undefined until it was looked at. */
  get view(): HealthView | undefined {
    return this.#view;
  }

  /** It was seen so. */
  check(docker: CheckHealth | undefined): void {
    if (docker && docker !== this.#view?.docker)
      this.#change({ docker }, { code: docker, cause: `Docker's check of it says: ${docker}` });
  }

  /** It was seen so. */
  port(port: PortHealth): void {
    const cause = `32262/tcp takes ${port === 'open' ? '' : 'no '}connections`;
    if (port !== this.#view?.port) this.#change({ port }, { code: `port-${port}`, cause });
  }

  #change(more: Omit<HealthView, 'since'>, change: HealthChange): void {
    this.#view = { ...this.#view, ...more, since: new Date().toISOString() };
    this.#tell(change);
  }
}

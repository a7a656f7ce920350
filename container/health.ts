/**
 * The health of a container as seen from outside: the result of Docker's own check, and whether its port 32262/tcp
 * accepts connections. Health has no further effect.
 */

import { CHECK_HEALTHS, type CheckHealth } from '../docker-engine/answers.ts';

export const PORT_HEALTHS = ['open', 'closed'] as const;
export type PortHealth = (typeof PORT_HEALTHS)[number];

export interface HealthView {
  /** The result of Docker's check; missing if the image has none. */
  readonly docker?: CheckHealth;
  /** Whether its port accepts connections; missing if this host cannot reach it. */
  readonly port?: PortHealth;
  /** ISO 8601: since when both have been as they are. */
  readonly since: string;
}

/** What changed. Programs read these codes, so they must not change. */
export const HEALTH_CODES = [...CHECK_HEALTHS, 'port-open', 'port-closed'] as const;

export interface HealthChange {
  readonly code: (typeof HEALTH_CODES)[number];
  /** For people. */
  readonly cause: string;
}

/** The health of one container. */
export class Health {
  readonly #tell: (change: HealthChange) => void;
  #view: HealthView | undefined;

  /**
   * @param tell called after each change
   * @param found the health that the previous service found
   */
  constructor(tell: (change: HealthChange) => void, found?: HealthView) {
    this.#tell = tell;
    this.#view = found;
  }

  /** undefined until the first check. */
  get view(): HealthView | undefined {
    return this.#view;
  }

  /** Records a result of Docker's check. */
  check(docker: CheckHealth | undefined): void {
    if (docker && docker !== this.#view?.docker)
      this.#change({ docker }, { code: docker, cause: `Docker's check of it says: ${docker}` });
  }

  /** Records the state of the port. */
  port(port: PortHealth): void {
    const cause = `32262/tcp takes ${port === 'open' ? '' : 'no '}connections`;
    if (port !== this.#view?.port) this.#change({ port }, { code: `port-${port}`, cause });
  }

  #change(more: Omit<HealthView, 'since'>, change: HealthChange): void {
    this.#view = { ...this.#view, ...more, since: new Date().toISOString() };
    this.#tell(change);
  }
}

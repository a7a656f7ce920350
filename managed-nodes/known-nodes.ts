/** Holds the last decision about each node, and reports each new state and cause. */

import type { Logger } from '../logging/logger.ts';
import type { Decision } from './plan/world.ts';

export interface Known {
  readonly decision: Decision;
  /** When the node entered this state, in milliseconds. */
  readonly since: number;
}

/** Called with each new state or cause of a node, and with undefined when the node is gone. */
export type Tell = (node: string, decision: Decision | undefined) => void;

export class KnownNodes {
  readonly all = new Map<string, Known>();
  readonly #tell: Tell;
  readonly #log: Logger;

  constructor(tell: Tell, log: Logger) {
    this.#tell = tell;
    this.#log = log;
  }

  learn(node: string, decision: Decision, now: number): void {
    const before = this.all.get(node);
    const { state, cause } = decision;
    const isSame = before?.decision.state === state;
    this.all.set(node, { decision, since: isSame ? before.since : now });
    if (isSame && before.decision.cause === cause) return;
    this.#log.info({ node, state, cause }, 'node');
    this.#tell(node, decision);
  }

  /** @returns the nodes that are not among `nodes`, which it forgets */
  forgetOthers(nodes: readonly string[]): string[] {
    const living = new Set(nodes);
    const gone = [...this.all.keys()].filter((node) => !living.has(node));
    for (const node of gone) {
      this.all.delete(node);
      this.#tell(node, undefined);
    }
    return gone;
  }
}

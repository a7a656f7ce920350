/** Keeps the last thousand changes of nodes' states and causes. */

import type { NodeState } from './plan/world.ts';

export interface NodeEvent {
  /** Increases with each event. */
  readonly id: number;
  /** The time in ISO 8601. */
  readonly at: string;
  readonly node: string;
  readonly state: NodeState;
  readonly cause: string;
}

const MOST = 1000;

export class NodeEvents {
  readonly #kept: NodeEvent[] = [];
  #told = 0;

  tell(happened: Pick<NodeEvent, 'node' | 'state' | 'cause'>): void {
    this.#kept.push({ id: ++this.#told, at: new Date().toISOString(), ...happened });
    if (this.#kept.length > MOST) this.#kept.shift();
  }

  /** Returns the events after the event with this id, oldest first. */
  after(id: number): readonly NodeEvent[] {
    return this.#kept.filter((event) => event.id > id);
  }
}

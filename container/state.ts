/** The states of a hosted container. An event that does not fit the state is an error, never a second run. */

import { ServiceError } from '../errors/service-error.ts';
import type { ContainerId } from './identity.ts';

export type State = 'preparing' | 'created' | 'running' | 'assigned' | 'ready' | 'ending' | 'gone';

const NEXT: Readonly<Record<State, readonly State[]>> = {
  preparing: ['created', 'ending'],
  created: ['running', 'ending'],
  running: ['assigned', 'ending'],
  assigned: ['ready', 'ending'],
  ready: ['ending'],
  ending: ['gone'],
  gone: [],
};

/** A transition that was made, with what caused it. */
export interface Transition {
  readonly from: State;
  readonly to: State;
  readonly cause: string;
}

export class StateMachine {
  readonly #id: ContainerId;
  readonly #observe: (transition: Transition) => void;
  #current: State = 'preparing';

  constructor(id: ContainerId, observe: (transition: Transition) => void) {
    this.#id = id;
    this.#observe = observe;
  }

  get current(): State {
    return this.#current;
  }

  /** Whether the container runs and takes part in the set-up calls. */
  get serves(): boolean {
    return this.#current === 'running' || this.#current === 'assigned' || this.#current === 'ready';
  }

  /** @throws {ServiceError} `container.bad_transition` when `to` does not follow the current state */
  move(to: State, cause: string): void {
    const from = this.#current;
    if (!NEXT[from].includes(to)) {
      throw new ServiceError('container.bad_transition', { id: this.#id, from, to, cause });
    }
    this.#current = to;
    this.#observe({ from, to, cause });
  }
}

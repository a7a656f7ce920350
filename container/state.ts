/** The states of a hosted container. An event that does not fit the state is an error and is not processed again. */

import { ServiceError } from '../errors/service-error.ts';
import type { ContainerId } from './identity.ts';

export const STATES = ['preparing', 'created', 'running', 'assigned', 'ready', 'ending', 'gone'] as const;
export type State = (typeof STATES)[number];

const NEXT: Readonly<Record<State, readonly State[]>> = {
  preparing: ['created', 'ending'],
  created: ['running', 'ending'],
  running: ['assigned', 'ending'],
  assigned: ['ready', 'ending'],
  ready: ['ending'],
  ending: ['gone'],
  gone: [],
};

/** Why a container ends. Programs read these codes, so they must not change. */
export const END_CODES = [
  'exited',
  'removed',
  'missing',
  'not-started',
  'operator',
  'unclaimed',
  'never-ready',
  'idle',
  'over-disk-limit',
  'service-stopped',
  'service-died',
  'ec2-notice',
  'pool',
] as const;

/** Why it enters any state: until it is ready, at its end, and when the end is complete. */
export const CAUSE_CODES = [
  ...(['begun', 'created', 'started', 'assigned', 'furnished', 'taken-over'] as const),
  ...END_CODES,
  ...(['released', 'not-released'] as const),
] as const;

export interface Cause {
  readonly code: (typeof CAUSE_CODES)[number];
  /** For people. */
  readonly text: string;
}

/** Causes that are the same for every container. */
export const BEGUN = { to: 'preparing', code: 'begun', cause: 'it was requested' } as const;
export const SERVICE_ENDS: Cause = { code: 'service-stopped', text: 'the service ends' };
const TAKEN_OVER: Cause = { code: 'taken-over', text: 'adopted from a crashed service' };
export const ALL_RELEASED: Cause = { code: 'released', text: 'every resource was released' };
export const NOT_ALL_RELEASED: Cause = { code: 'not-released', text: 'not every resource was released' };

/** A completed transition and its cause. */
export interface Transition {
  readonly from: State;
  readonly to: State;
  readonly code: Cause['code'];
  readonly cause: string;
}

export class StateMachine {
  readonly #id: ContainerId;
  readonly #observe: (transition: Transition) => void;
  readonly #prepared = Promise.withResolvers<void>();
  #current: State = 'preparing';

  constructor(id: ContainerId, observe: (transition: Transition) => void) {
    this.#id = id;
    this.#observe = observe;
  }

  get current(): State {
    return this.#current;
  }

  /** Whether the container runs and accepts the set-up calls. */
  get serves(): boolean {
    return this.#current === 'running' || this.#current === 'assigned' || this.#current === 'ready';
  }

  /** Whether its end has begun. */
  get isOver(): boolean {
    return this.#current === 'ending' || this.#current === 'gone';
  }

  /** Resolves when its preparation is over. */
  get prepared(): Promise<void> {
    return this.#prepared.promise;
  }

  /** @throws {ServiceError} `container.bad_transition` if `to` cannot follow the current state */
  move(to: State, { code, text: cause }: Cause): void {
    const from = this.#current;
    if (!NEXT[from].includes(to)) {
      throw new ServiceError('container.bad_transition', { id: this.#id, from, to, cause });
    }
    this.#current = to;
    this.#prepared.resolve();
    this.#observe({ from, to, code, cause });
  }

  /** Restores the state before the hand-over. This is not a transition. */
  restore(state: State): void {
    this.#current = state;
    this.#prepared.resolve();
  }

  /** Restores the state before the crash of its service. */
  takeOver(isReady: boolean): void {
    const states = ['created', 'running', 'assigned', ...(isReady ? (['ready'] as const) : [])] as const;
    for (const state of states) this.move(state, TAKEN_OVER);
  }
}

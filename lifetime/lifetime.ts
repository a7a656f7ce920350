/**
 * The span in which resources are held. A `Lifetime` has a signal that aborts when its end begins, the tasks that run
 * within it, and the cleanups that undo what was taken.
 *
 * INVARIANTS
 * - Cleanups run last in, first out, once each. Each has a deadline. A failure is reported and does not stop the
 *   others.
 * - The end aborts the signal, then waits for the tasks, then runs the cleanups.
 * - What is registered after the end began is undone at once, or left if the lifetime was left. Nothing can be taken in
 *   an ended lifetime.
 * - A child ends with its parent or before it. A task must never await the end of its own lifetime.
 */

import { withDeadline } from './deadline.ts';
import { type Holding, Holdings, type Owner } from './holdings.ts';

/** How one resource is taken, released, and observed to be gone. */
export interface Resource<T> {
  readonly kind: string;
  readonly what: string;
  /** Takes everything or nothing. If it throws, nothing is held. */
  take(signal: AbortSignal): T | Promise<T>;
  release(value: T, signal: AbortSignal): unknown;
  /** Checks that the resource is gone and returns how it found out. Throws while it is still there. */
  seenGone(value: T, signal: AbortSignal): string | Promise<string>;
  /** Detaches this process from the resource without undoing anything: another process takes it over. */
  leave?(value: T): unknown;
  /** The limit for the release and the check together, in milliseconds. */
  readonly deadline?: number;
}

/** A cleanup or task that failed or did not end in time. */
export interface Failure {
  readonly lifetime: string;
  readonly owner: Owner;
  readonly what: string;
  readonly error: unknown;
}

interface Cleanup {
  readonly what: string;
  readonly deadline: number;
  readonly run: (signal: AbortSignal) => unknown;
  readonly leave?: () => unknown;
}

export interface LifetimeOptions {
  /** The owner of everything that this lifetime holds. */
  readonly owner?: Owner;
  readonly holdings?: Holdings;
  /** Called with each failure when it happens. */
  readonly report?: (failure: Failure) => void;
}

export interface ChildOptions {
  /** Default: the owner of the parent. */
  readonly owner?: Owner;
  /** Runs before the parent ends the child. If it throws, the child does not end and keeps what it holds. */
  readonly before?: () => unknown;
}

/** The default limit, in milliseconds, for a cleanup and for the tasks of a lifetime. */
export const DEFAULT_DEADLINE = 10_000;

export class Lifetime implements AsyncDisposable {
  readonly name: string;
  readonly owner: Owner;
  readonly holdings: Holdings;
  readonly #report: (failure: Failure) => void;
  readonly #abort = new AbortController();
  readonly #tasks = new Map<Promise<unknown>, string>();
  readonly #cleanups = new Set<Cleanup>();
  readonly #failures: Failure[] = [];
  #end: Promise<readonly Failure[]> | undefined;
  #whenEnded: () => void = () => {};
  #isLeft = false;
  #hasLeft = false;

  constructor(name: string, options: LifetimeOptions = {}) {
    const { owner = { kind: 'service' }, holdings = new Holdings(), report = () => {} } = options;
    this.name = name;
    this.owner = owner;
    this.holdings = holdings;
    this.#report = report;
  }

  /** Aborts when the end begins. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether this process has left something of it, which another process must undo. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Creates a lifetime within this one. @throws the reason of the end, if this lifetime has begun to end */
  child(name: string, { owner = this.owner, before }: ChildOptions = {}): Lifetime {
    this.signal.throwIfAborted();
    const child = new Lifetime(name, { owner, holdings: this.holdings, report: this.#report });
    const end = async () => {
      await before?.();
      this.#failures.push(...(await child.end(this.signal.reason)));
    };
    const leave = () => child.leave(this.signal.reason);
    const cleanup: Cleanup = { what: name, deadline: Infinity, run: end, leave };
    this.#cleanups.add(cleanup);
    child.#whenEnded = () => this.#cleanups.delete(cleanup);
    return child;
  }

  /**
   * Takes a resource and holds it until this lifetime ends. This is the only way to hold a resource.
   * @throws what `take` throws, or the reason of the end; nothing is held then
   */
  acquire<T>(resource: Resource<T>): Promise<T> {
    return this.track(`taking ${resource.kind} ${resource.what}`, this.#acquire(resource));
  }

  async #acquire<T>(resource: Resource<T>): Promise<T> {
    this.signal.throwIfAborted();
    const holding: Holding = {
      kind: resource.kind,
      what: resource.what,
      owner: this.owner,
      lifetime: this.name,
    };
    await this.holdings.enter(holding);
    let value: T;
    try {
      value = await resource.take(this.signal);
    } catch (error) {
      await this.holdings.notTaken(holding, error);
      throw error;
    }
    const cleanup: Cleanup = {
      what: `${resource.kind} ${resource.what}`,
      deadline: resource.deadline ?? DEFAULT_DEADLINE,
      run: (signal) => this.#release(resource, holding, value, signal, () => runInTime(cleanup)),
      leave: () => {
        this.holdings.leave(holding);
        return resource.leave?.(value);
      },
    };
    await this.#add(cleanup);
    this.signal.throwIfAborted();
    await this.holdings.taken(holding);
    return value;
  }

  async #release<T>(
    resource: Resource<T>,
    holding: Holding,
    value: T,
    signal: AbortSignal,
    again: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await this.holdings.releasing(holding);
      await resource.release(value, signal);
      await this.holdings.gone(holding, await resource.seenGone(value, signal));
    } catch (error) {
      await this.holdings.failed(holding, error, again);
      throw error;
    }
  }

  /** Runs `cleanup` at the end, or at once if the end has already begun. */
  async defer(what: string, cleanup: (signal: AbortSignal) => unknown, deadline = DEFAULT_DEADLINE) {
    await this.#add({ what, deadline, run: cleanup });
  }

  async #add(cleanup: Cleanup): Promise<void> {
    if (this.signal.aborted) await this.#undo(cleanup);
    else this.#cleanups.add(cleanup);
  }

  /** Makes the end wait for `task`. The caller handles the failure of the task. Returns the same promise. */
  track<T>(what: string, task: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = task.then(
      () => this.#tasks.delete(settled),
      () => this.#tasks.delete(settled),
    );
    this.#tasks.set(settled, what);
    return task;
  }

  /** Ends the lifetime once; every call returns the same promise. Never rejects: it resolves with the failures. */
  end(reason: unknown = new Error(`${this.name} has ended`)): Promise<readonly Failure[]> {
    if (this.#end) return this.#end;
    // The promise must exist before the end begins, because a listener of the signal may call `end` again.
    const { promise, resolve } = Promise.withResolvers<readonly Failure[]>();
    this.#end = promise;
    resolve(this.#finish(reason));
    return promise;
  }

  /**
   * Ends the lifetime without undoing anything. Its resources stay as they are for the process that finds them in the
   * ledger. As in any end, it waits for the tasks.
   */
  leave(reason: unknown): Promise<readonly Failure[]> {
    this.#isLeft = true;
    return this.end(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #finish(reason: unknown): Promise<readonly Failure[]> {
    this.#abort.abort(reason);
    await this.#awaitTasks();
    for (let last = this.#last(); last; last = this.#last()) {
      this.#cleanups.delete(last);
      await this.#undo(last);
    }
    this.#whenEnded();
    return this.#failures;
  }

  #last(): Cleanup | undefined {
    return [...this.#cleanups].at(-1);
  }

  async #awaitTasks(): Promise<void> {
    try {
      await withDeadline(DEFAULT_DEADLINE, `the tasks of ${this.name}`, async () => {
        while (this.#tasks.size > 0) await Promise.all(this.#tasks.keys());
      });
    } catch (error) {
      for (const what of this.#tasks.values()) this.#fail(what, error);
    }
  }

  async #undo(cleanup: Cleanup): Promise<void> {
    if (!this.#isLeft) return await this.#cleanUp(cleanup);
    this.#hasLeft = true;
    await cleanup.leave?.();
  }

  async #cleanUp(cleanup: Cleanup): Promise<void> {
    try {
      await runInTime(cleanup);
    } catch (error) {
      this.#fail(cleanup.what, error);
    }
  }

  #fail(what: string, error: unknown): void {
    const failure: Failure = { lifetime: this.name, owner: this.owner, what, error };
    this.#failures.push(failure);
    this.#report(failure);
  }
}

function runInTime({ deadline, what, run }: Cleanup): Promise<unknown> {
  return withDeadline(deadline, what, run);
}

/** What a service has from the previous one, and what it keeps for the next one. */

import { closeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContainerView } from '../../container/view.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import { SessionKey } from '../../httpserver/console/sessions.ts';
import type { Hosted } from '../../httpserver/hosting.ts';
import { type HandedRequest, Idempotency } from '../../httpserver/v1/idempotency.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Nodes } from '../../managed-nodes/nodes.ts';
import type { Step } from '../observe.ts';
import { DescriptorStore } from './descriptor-store.ts';
import { LeftTerminals } from './left-terminals.ts';
import { ownUnit } from './restarter.ts';
import { forgetHandOver, type HandOver, readHandOver } from './state.ts';

/** Milliseconds after which a service that has not taken the host over gives up. */
const LATE = 60_000;

export class Passing {
  /** The descriptors of this service wait there for the next one. */
  readonly store: DescriptorStore;
  readonly descriptors: Descriptors;
  /** The unit of this process; undefined if systemd does not watch it. */
  readonly unit: Promise<string | undefined>;
  readonly #paths: Paths;
  readonly #log: Logger;
  readonly #began = Promise.withResolvers<HandOver>();
  readonly #isOver = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  #handed: HandOver | undefined;
  #terminals: LeftTerminals;
  #requests = new Idempotency<ContainerView>();
  #sessionKey = new SessionKey();

  /** @param environment of this process, with what it has inherited from the store */
  constructor(environment: NodeJS.ProcessEnv, paths: Paths, log: Logger) {
    this.store = new DescriptorStore(environment);
    this.descriptors = new Descriptors(this.store.inherited(environment), this.store);
    this.unit = ownUnit(environment);
    this.#paths = paths;
    this.#log = log;
    this.#terminals = new LeftTerminals([], this.descriptors, log);
    this.#over.promise.catch(() => {});
  }

  /**
   * Resolves when the hand-over by which this service began is complete, or when there was none; rejects when it cannot be
   * completed.
   */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** The terminals of the previous service. */
  get terminals(): LeftTerminals {
    return this.#terminals;
  }

  /** The hand-over by which this service began; undefined if there was none. */
  get handed(): HandOver | undefined {
    return this.#handed;
  }

  /** Resolves when this service begins to take a host over; rejects when that takes too long. */
  async late(): Promise<never> {
    await this.#began.promise;
    const { signal } = this.#isOver;
    const isLate = await pause(LATE, true, { signal, ref: false }).catch(() => false);
    if (isLate) throw new ServiceError('handover.late', { seconds: LATE / 1000 });
    return await new Promise(() => {});
  }

  /** To be called when the hand-over cannot be completed. */
  giveUp(): void {
    this.#over.reject(new ServiceError('service.stopping', {}));
  }

  /**
   * To be called when the start is complete: removes what is left of a hand-over. A failure keeps descriptors open, and
   * is only logged.
   *
   * Terminals are taken over only now. If this start had failed, the next service would have needed their output.
   */
  async complete(hosted: Hosted, nodes: Pick<Nodes, 'lend'> | undefined, step: Step): Promise<void> {
    this.#isOver.abort();
    if (this.#handed) {
      await step('forgetting what was handed over', () => forgetHandOver(this.#paths));
      // From here on, a failure is a crash like any other.
      this.#handed = undefined;
      await step('taking terminals over', () => this.#terminals.takeOver(hosted.tracker, nodes));
      await step('emptying the store', () => this.#emptyStore());
      this.#log.info('took the host over');
    } else this.#emptyStore();
    this.#over.resolve();
  }

  #emptyStore(): void {
    try {
      for (const descriptor of this.descriptors.takeRest()) closeSync(descriptor);
      this.store.clear();
    } catch (error) {
      this.#log.error({ error }, `descriptors of the previous service stay open: ${messageOf(error)}`);
    }
  }

  /** The requests with an idempotency key. */
  get requests(): Idempotency<ContainerView> {
    return this.#requests;
  }

  /** The key of the web console's sessions. */
  get sessionKey(): SessionKey {
    return this.#sessionKey;
  }

  /** Looks for a hand-over. An unreadable one counts as a crash. Only the process that holds the lock may call this. */
  async find(): Promise<void> {
    try {
      this.#handed = await readHandOver(this.#paths);
    } catch (error) {
      this.#log.error({ error }, messageOf(error));
      await forgetHandOver(this.#paths);
    }
    if (!this.#handed) return this.#over.resolve();
    this.#began.resolve(this.#handed);
    this.#log.info(this.#handed.from, 'taking the host over from the previous service');
    this.#terminals = new LeftTerminals(this.#handed.terminals ?? [], this.descriptors, this.#log);
    this.#requests = new Idempotency(this.#handed.requests as HandedRequest<ContainerView>[]);
    this.#sessionKey = new SessionKey(this.#handed.sessions, this.over);
  }
}

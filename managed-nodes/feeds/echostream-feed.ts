/**
 * Follows the nodes that EchoStream has for a managed app. The feed asks EchoStream for the wanted nodes at the start,
 * every five minutes, and after each change. It acknowledges a change once the change has taken effect. Therefore a
 * change of a node may be lost, late or repeated without harm. The feed treats the app as removed only if a change said
 * so and EchoStream no longer knows the app.
 */

import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import type { Logger } from '../../logging/logger.ts';
import {
  type Change,
  ChangeReceiver,
  EchoStreamApi,
  EchoStreamError,
} from '../../packages/echostream-node/src/echostream-node.ts';
import type { LogConfig } from '../docker/create-body.ts';
import { whyUnusable } from '../spec/unusable.ts';
import { awsLogs } from './aws-logs.ts';
import type { Feed, Want } from './feed.ts';
import { type AppIdentity, GET_MANAGED_APP, type ManagedAppAnswer, specOf } from './managed-app.ts';
import { reactionTo } from './reaction.ts';

export interface EchoStreamFeedOptions extends AppIdentity {
  readonly app: string;
  /** The beginning of the CloudWatch log groups' names. */
  readonly logGroup: string;
  /** Called after the app itself was removed and its nodes are stopped. */
  readonly onAppRemoved: () => Promise<void>;
  readonly log: Logger;
  /** Milliseconds between two regular requests to EchoStream. */
  readonly interval?: number;
}

const INTERVAL = 300_000;
const AGAIN: Backoff = { shortest: 1_000, longest: 60_000 };
/** Milliseconds that a stopping receiver may take to finish its current work. */
const STOP = 5_000;

export class EchoStreamFeed implements Feed {
  readonly source: string;
  readonly #options: EchoStreamFeedOptions;
  #known: ManagedAppAnswer | undefined;
  #isRemovalTold = false;
  #isAppRemoved = false;
  /** Runs one request at a time, so that an older answer cannot overwrite a newer one. */
  readonly #oneLook = pLimit(1);

  constructor(options: EchoStreamFeedOptions) {
    this.#options = options;
    this.source = `EchoStream's app ${options.app} of the tenant ${options.tenant}`;
  }

  async follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void> {
    using api = new EchoStreamApi(this.#options);
    const look = async (restart: readonly string[] = []) =>
      await this.#oneLook(() => this.#look(api, want, restart, signal));
    const receiving = this.#receive(look, signal);
    for (let failures = 0; !signal.aborted; ) {
      let milliseconds = this.#options.interval ?? INTERVAL;
      try {
        // The regular request does not wait for its effect.
        void (await look()).effect.catch(() => {});
        failures = 0;
      } catch (error) {
        if (!signal.aborted) failed(error);
        milliseconds = backoff(failures++, AGAIN);
      }
      await pause(milliseconds, undefined, { signal, ref: false }).catch(() => {});
    }
    await receiving;
  }

  async logOf(node: string): Promise<LogConfig | undefined> {
    const { region } = this.#known?.tenant ?? {};
    return region === undefined ? undefined : awsLogs(this.#options.logGroup, node, region);
  }

  async #look(api: EchoStreamApi, want: Want, restart: readonly string[], signal: AbortSignal) {
    const { app } = this.#options;
    const specs = (await this.#ask(api, signal)).nodes.map((node) => specOf(node, this.#options));
    const [bad] = specs.flatMap((spec) => {
      const why = whyUnusable(spec);
      return why === undefined ? [] : [`of the node ${spec.name}, ${why}`];
    });
    if (bad !== undefined) throw new ServiceError('node.bad_feed', { source: this.source, why: bad });
    const nodes = specs.map((spec) => (this.#isAppRemoved ? { ...spec, stopped: true } : spec));
    return { effect: want({ app, nodes }, restart) };
  }

  async #ask(api: EchoStreamApi, signal: AbortSignal): Promise<ManagedAppAnswer> {
    const { app: name, tenant } = this.#options;
    try {
      this.#known = await api.query(GET_MANAGED_APP, { name, tenant }, signal);
      this.#isAppRemoved = false;
    } catch (error) {
      const isUnknown = error instanceof EchoStreamError && error.code === 'NODE_NOT_FOUND';
      if (!this.#isRemovalTold || !isUnknown || !this.#known) throw error;
      this.#isAppRemoved = true;
    }
    return this.#known;
  }

  /** Receives changes until the signal aborts. Replaces a receiver that ends or fails to start. */
  async #receive(
    look: (restart?: readonly string[]) => Promise<{ readonly effect: Promise<void> }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, app, onAppRemoved } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      const receiver = new Receiver(this.#options, async (change) => {
        const reaction = reactionTo(change, { app, nodes: this.#known?.nodes ?? [] });
        // The log leaves out the change itself, because a change may contain a config.
        const type = (change.new ?? change.old)?.type;
        log.info(
          { type, ...reaction },
          reaction.concerns ? 'a change of nodes' : 'a change that concerns no node',
        );
        if (!reaction.concerns) return;
        this.#isRemovalTold ||= reaction.isAppRemoved ?? false;
        await (await look(reaction.restart)).effect;
        if (this.#isAppRemoved) await onAppRemoved();
      });
      try {
        await receiver.start();
        failures = 0;
        await Promise.race([receiver.join(), aborted(signal)]);
      } catch (error) {
        if (!signal.aborted) log.warn({ why: messageOf(error) }, 'changes of nodes are not received');
      }
      await receiver.stop({ timeout: STOP }).catch(() => {});
      await pause(backoff(failures, AGAIN), undefined, { signal, ref: false }).catch(() => {});
    }
  }
}

class Receiver extends ChangeReceiver {
  readonly #changed: (change: Change) => Promise<void>;

  constructor(options: EchoStreamFeedOptions, changed: (change: Change) => Promise<void>) {
    super({ ...options, name: `${options.app}:Change Receiver`, logger: options.log });
    this.#changed = changed;
  }

  override async handleChange(change: Change): Promise<void> {
    await this.#changed(change);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

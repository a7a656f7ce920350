/**
 * Follows the nodes that EchoStream has for a managed app. The feed asks EchoStream for the wanted nodes at the start,
 * every five minutes, and after each change. It acknowledges a change once the change has taken effect. Therefore a
 * change of a node may be lost, late or repeated without harm. The feed treats the app as removed only if EchoStream does
 * not know it any more, and a change has said so or EchoStream keeps saying so.
 */

import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { messageOf } from '../../errors/service-error.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import type { Logger } from '../../logging/logger.ts';
import {
  type Change,
  ChangeReceiver,
  EchoStreamApi,
  EchoStreamError,
} from '../../packages/echostream-node/src/echostream-node.ts';
import type { LogConfig } from '../docker/create-body.ts';
import { awsLogs } from './aws-logs.ts';
import type { Feed, Want } from './feed.ts';
import { type AppIdentity, GET_MANAGED_APP, type ManagedApp, managedAppIn, wantedIn } from './managed-app.ts';
import { reactionTo } from './reaction.ts';
import type { RememberedApp } from './remembered-app.ts';

export interface EchoStreamFeedOptions extends AppIdentity {
  readonly app: string;
  /** The beginning of the CloudWatch log groups' names. */
  readonly logGroup: string;
  /** Called after the app itself was removed and its nodes are stopped. */
  readonly onAppRemoved: () => Promise<void>;
  /** The last answer of EchoStream about the app, even from before a restart of the service. */
  readonly remembered: RememberedApp;
  readonly log: Logger;
  readonly now?: () => number;
  /** Milliseconds between two regular requests to EchoStream. */
  readonly interval?: number;
}

const INTERVAL = 300_000;
/**
 * Milliseconds for which EchoStream must keep answering that it does not know the app until the app counts as removed
 * without a change that says so. Such a change is lost if the app is removed while the service does not run.
 */
const UNKNOWN_FOR = 600_000;
const AGAIN: Backoff = { shortest: 1_000, longest: 60_000 };
/** Milliseconds that a stopping receiver may take to finish its current work. */
const STOP = 5_000;

export class EchoStreamFeed implements Feed {
  readonly source: string;
  readonly #options: EchoStreamFeedOptions;
  readonly #now: () => number;
  #known: ManagedApp | undefined;
  #isRemovalTold = false;
  #isAppRemoved = false;
  #isRemovalOver = false;
  /** Since when EchoStream answers that it does not know the app, in milliseconds. */
  #unknownSince: number | undefined;
  /** Runs one request at a time, so that an older answer cannot overwrite a newer one. */
  readonly #oneLook = pLimit(1);

  constructor(options: EchoStreamFeedOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.source = `EchoStream's app ${options.app} of the tenant ${options.tenant}`;
  }

  async follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void> {
    using api = new EchoStreamApi(this.#options);
    this.#known = await this.#options.remembered.read();
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
    const { nodes, unusable } = wantedIn(await this.#ask(api, signal), this.#options);
    // A node that cannot be used would keep running with its last spec.
    const wanted = this.#isAppRemoved
      ? { app, nodes: nodes.map((spec) => ({ ...spec, stopped: true })) }
      : { app, nodes, unusable };
    return { effect: want(wanted, restart).then(() => this.#removed()) };
  }

  async #ask(api: EchoStreamApi, signal: AbortSignal): Promise<ManagedApp> {
    const { app: name, tenant, remembered } = this.#options;
    try {
      const answer = await api.query(GET_MANAGED_APP, { name, tenant }, signal);
      this.#known = managedAppIn(answer, this.source);
      this.#isAppRemoved = false;
      this.#isRemovalOver = false;
      this.#unknownSince = undefined;
      await remembered.keep(this.#known);
      return this.#known;
    } catch (error) {
      const isUnknown = error instanceof EchoStreamError && error.code === 'NODE_NOT_FOUND';
      if (!isUnknown || !this.#known) throw error;
      const now = this.#now();
      this.#unknownSince ??= now;
      if (!this.#isRemovalTold && now < this.#unknownSince + UNKNOWN_FOR) throw error;
      this.#isAppRemoved = true;
      return this.#known;
    }
  }

  /** Runs once the nodes of a removed app are stopped. */
  async #removed(): Promise<void> {
    if (!this.#isAppRemoved || this.#isRemovalOver) return;
    this.#isRemovalOver = true;
    try {
      // Otherwise a host that somebody starts again would be powered off again.
      await this.#options.remembered.forget();
      await this.#options.onAppRemoved();
    } catch (error) {
      this.#isRemovalOver = false;
      throw error;
    }
  }

  /** Receives changes until the signal aborts. Replaces a receiver that ends or fails to start. */
  async #receive(
    look: (restart?: readonly string[]) => Promise<{ readonly effect: Promise<void> }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, app } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      const receiver = new Receiver(this.#options, async (change) => {
        const reaction = reactionTo(change, { app, nodes: this.#known?.nodes ?? [] });
        // The log leaves out the change itself, because a change may contain a config.
        const type = (change.new ?? change.old)?.type;
        log.info(
          { type, ...reaction },
          reaction.concerns ? 'a change of nodes' : 'a change that affects no node',
        );
        if (!reaction.concerns) return;
        this.#isRemovalTold ||= reaction.isAppRemoved ?? false;
        await (await look(reaction.restart)).effect;
      });
      try {
        await receiver.start();
        failures = 0;
        await Promise.race([receiver.join(), aborted(signal)]);
      } catch (error) {
        if (!signal.aborted) log.warn({ why: messageOf(error) }, 'cannot receive changes of nodes');
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

/**
 * Connects EC2's notices with the service, or with a `wait` process, except in localdev and on hosts without metadata.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { Ending } from '../../container/ending.ts';
import type { Tracker } from '../../container/tracker.ts';
import type { Imds } from '../../host/imds.ts';
import type { HostFacts } from '../../host/metadata.ts';
import { NoticeWatch } from '../../host/notice-watch.ts';
import type { NoticeView } from '../../host/notices.ts';
import { TerminationHook } from '../../host/termination-hook.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Settings } from '../../settings/load.ts';
import type { UserConfigs } from '../../user-configs/user-configs.ts';
import { Notices, type NoticesOptions } from './notices.ts';

/** The parts of a service that this uses. */
export interface Heeded {
  readonly hosting: { readonly tracker: Tracker } | undefined;
  readonly hasAgent: boolean;
  /** undefined if user configs are not kept. */
  readonly userConfigs: Pick<UserConfigs, 'toSave' | 'uploaded'> | undefined;
  readonly draining: NoticesOptions['draining'];
  /** The number of containers whose users' files exist only on this host. */
  countUnsaved(): Promise<number>;
  readonly log: Logger;
}

export interface HeedingOptions {
  readonly settings: Settings;
  /** undefined if there is no metadata. */
  readonly imds: Imds | undefined;
  readonly facts: () => Promise<HostFacts>;
}

/**
 * In milliseconds: the limit for the completion of the lifecycle hook at the end, and the interval of checks for
 * unsaved files.
 */
const LAST_WORD = 5000;
const BETWEEN_COUNTS = 5000;

export class Heeding {
  readonly #service: Heeded;
  readonly #ending = new Ending();
  readonly #taken = Promise.withResolvers<void>();
  readonly #hosted = Promise.withResolvers<Tracker>();
  #notices: Notices | undefined;
  #hook: TerminationHook | undefined;

  constructor(service: Heeded) {
    this.#service = service;
  }

  /** Resolves when it is time to stop. */
  get taken(): Promise<void> {
    return this.#taken.promise;
  }

  /** Milliseconds until the last heartbeat must be sent; undefined: EC2 does not take the host soon. */
  get left(): number | undefined {
    return this.#notices?.left;
  }

  /** Milliseconds that saves may take yet; undefined: as long as always. */
  get leftToSave(): number | undefined {
    return this.#notices?.leftToSave;
  }

  get views(): readonly NoticeView[] {
    return this.#notices?.views ?? [];
  }

  /** Starts, and runs until the lifetime ends. */
  async begin(lifetime: Lifetime, { settings, imds, facts }: HeedingOptions): Promise<void> {
    if (!imds || settings.APP_ENV === 'localdev') return;
    const { log } = this.#service;
    const { TERMINATION_HOOK: hook, AWS_ENDPOINT_URL_AUTO_SCALING: endpoint } = settings;
    if (hook) {
      const held = new TerminationHook({ hook, endpoint, facts, log });
      this.#hook = held;
      await lifetime.defer('closing connections to Auto Scaling', () => held.close());
    }
    const notices = new Notices({
      actions: actionsOf(settings),
      draining: this.#draining(lifetime),
      ending: this.#ending,
      load: () => this.#load(),
      event: (...event) => this.#service.hosting?.tracker.host.events.tellNotice(...event),
      stop: () => this.#taken.resolve(),
      log,
    });
    this.#notices = notices;
    const watch = new NoticeWatch({ imds, log, tell: (change) => notices.heed(change) });
    void lifetime.track("looking for EC2's notices", watch.run(lifetime.signal));
    void lifetime.track("heeding EC2's notices", notices.run(lifetime.signal));
  }

  /** To be called when containers are hosted. */
  hosting(lifetime: Lifetime, tracker: Tracker): void {
    this.#ending.begin(lifetime, tracker);
    this.#hosted.resolve(tracker);
    this.#notices?.hosting();
  }

  /** To be called when nothing on this host is needed any longer. */
  async finish(): Promise<void> {
    await this.#hook?.complete(LAST_WORD);
  }

  /** The service's own drain, plus the lifecycle hook, which waits while Auto Scaling's notice is in effect. */
  #draining(lifetime: Lifetime): NoticesOptions['draining'] {
    const { draining } = this.#service;
    return {
      begin: (kind) => {
        draining.begin(kind);
        const held =
          kind === 'scale-in' && this.#hook?.hold(() => this.#empty(lifetime.signal), lifetime.signal);
        if (held) void lifetime.track('extending the lifecycle hook', held);
      },
      end: (kind) => {
        draining.end(kind);
        if (kind === 'scale-in') this.#hook?.letGo();
      },
    };
  }

  /** Resolves when no container is left, and no user's files exist only on this host. */
  async #empty(signal: AbortSignal): Promise<void> {
    const tracker = await this.#hosted.promise;
    await tracker.drain();
    await this.#service.userConfigs?.uploaded();
    // A failed save is retried regularly.
    while ((await this.#service.countUnsaved()) > 0) await pause(BETWEEN_COUNTS, undefined, { signal });
  }

  #load() {
    const { hosting, hasAgent, userConfigs } = this.#service;
    return { containers: hosting?.tracker.list().length ?? 0, hasAgent, toSave: userConfigs?.toSave };
  }
}

export function actionsOf(settings: Settings): NoticesOptions['actions'] {
  return {
    spot: settings.ON_SPOT_NOTICE,
    rebalance: settings.ON_REBALANCE_NOTICE,
    'scale-in': settings.ON_SCALE_IN,
    maintenance: settings.ON_MAINTENANCE_NOTICE,
  };
}

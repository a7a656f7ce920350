/**
 * Manages the nodes of this host: follows the feed, has the reconciler bring about the wanted state, and reports
 * progress.
 */

import { join } from 'node:path';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import type { ImagePulls } from '../docker-engine/image-pulls.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { removeDrafts } from '../host/atomic-file.ts';
import type { ClaimedPorts } from '../host/claimed-ports.ts';
import { makeWithParents } from '../host/directories.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { UpdateWindow } from '../settings/update-window.ts';
import { LOCAL_LOG } from './docker/create-body.ts';
import { NodeDocker } from './docker/node-docker.ts';
import { listen } from './docker/node-events.ts';
import { NodeImages, type NodeImagesOptions } from './docker/node-images.ts';
import { UsedImages } from './docker/used-images.ts';
import type { Feed, Want, WantedApp } from './feeds/feed.ts';
import { wantedFrom, whyUnusableNodes } from './feeds/wanted-from.ts';
import { NodeEvents } from './node-history.ts';
import { NodeReceipts } from './node-receipts.ts';
import { type NodeView, viewOf } from './node-view.ts';
import type { PlannedStep } from './plan/plan.ts';
import type { Wanted } from './plan/wanted.ts';
import type { NodeState } from './plan/world.ts';
import { Reconciler } from './reconciler.ts';
import { RejectedFile } from './rejected-file.ts';
import { wantedNode } from './spec/spec-hash.ts';
import { readSpecKey } from './spec/spec-key.ts';
import { stopNodes } from './stop-nodes.ts';
import { UpdateLock } from './update-lock.ts';

export interface NodesOptions {
  readonly feed: Feed;
  readonly docker: Docker;
  readonly pulls: ImagePulls;
  /** Gets the fixed host ports of nodes, so that no other container takes them. */
  readonly claimedPorts: Pick<ClaimedPorts, 'claim'>;
  readonly defaultRegistry: string | undefined;
  /** Returns the credentials for a registry. */
  readonly credentials: NodeImagesOptions['credentials'];
  readonly hostId: string;
  /** The directory for data that outlives the service. */
  readonly state: string;
  /** How many images of a repository stay after a replacement; undefined keeps all. */
  readonly keepImages: number | undefined;
  readonly window: UpdateWindow | undefined;
  /** Whether a graceful shutdown stops the nodes. */
  readonly onStop: 'leave' | 'stop';
  /** Called with a text that says how many nodes run, after each change. */
  readonly status: (text: string) => void;
  readonly log: Logger;
}

/** The longest time that a feed waits for the effect of a change, in milliseconds. */
const EFFECT = 60_000;

const receiptsIn = (state: string) => join(state, 'receipts');

export interface NodesView {
  readonly app?: string;
  readonly feed: string;
  /** Why the feed cannot be used. The nodes stay unchanged in the meantime. */
  readonly feedError?: string;
  /** Why the service cannot see Docker's containers. The states of nodes are older in the meantime. */
  readonly lookError?: string;
  readonly isLocked: boolean;
  readonly nodes: readonly NodeView[];
}

export class Nodes {
  readonly events = new NodeEvents();
  readonly receipts: NodeReceipts;
  readonly #options: NodesOptions;
  readonly #lifetime: Lifetime;
  readonly #key: Uint8Array;
  #app: string | undefined;
  #feedError: string | undefined;
  #lookError: string | undefined;
  #executor: NodeDocker | undefined;
  #reconciler: Reconciler | undefined;
  #lock: UpdateLock | undefined;
  #isLocked = false;

  /** Follows the feed until the lifetime ends. */
  static async open(lifetime: Lifetime, options: NodesOptions): Promise<Nodes> {
    await makeWithParents(options.state, 0o700);
    for (const directory of [options.state, receiptsIn(options.state)]) await removeDrafts(directory);
    const nodes = new Nodes(lifetime, options, await readSpecKey(join(options.state, 'spec-key')));
    const lockPath = join(options.state, 'lock');
    nodes.#lock = await UpdateLock.open(lockPath, (isLocked) => nodes.#locked(isLocked), lifetime.signal);
    let turn = Promise.resolve();
    const want: Want = async (wanted, restart) => {
      turn = turn.catch(() => {}).then(() => nodes.#want(wanted, restart));
      await turn;
      await nodes.#effect();
    };
    const following = options.feed.follow(want, (error) => nodes.#failed(error), lifetime.signal);
    void lifetime.track('following the feed of nodes', following);
    return nodes;
  }

  private constructor(lifetime: Lifetime, options: NodesOptions, key: Uint8Array) {
    this.#key = key;
    this.#lifetime = lifetime;
    this.#options = options;
    const { docker, state, log } = options;
    this.receipts = new NodeReceipts({ docker, directory: receiptsIn(state), log });
  }

  get view(): NodesView {
    return {
      ...(this.#app !== undefined && { app: this.#app }),
      feed: this.#options.feed.source,
      ...(this.#feedError !== undefined && { feedError: this.#feedError }),
      ...(this.#lookError !== undefined && { lookError: this.#lookError }),
      isLocked: this.#isLocked,
      nodes: this.#views,
    };
  }

  get states(): NodeState[] {
    return [...(this.#reconciler?.known.values() ?? [])].map(({ decision }) => decision.state);
  }

  get #views(): NodeView[] {
    const reconciler = this.#reconciler;
    return [...(reconciler?.known.keys() ?? [])].sort().map((node) => viewOf(reconciler as Reconciler, node));
  }

  /** @throws {ServiceError} `node.unknown` */
  named(node: string): NodeView {
    if (!this.#reconciler?.known.has(node)) throw new ServiceError('node.unknown', { node });
    return viewOf(this.#reconciler, node);
  }

  /**
   * Finds the node's container, preferring the one that has the node's name over its candidate.
   * @throws {ServiceError} `node.unknown`, `node.not_there`
   */
  containerOf(node: string): { readonly docker: Docker; readonly id: DockerId } {
    const { state, cause: why } = this.named(node);
    const own = this.#reconciler?.world.actual.of(node) ?? [];
    const found = own.find(({ rank }) => rank === 'current') ?? own[0];
    if (!found) throw new ServiceError('node.not_there', { node, state, why });
    return { docker: this.#options.docker, id: found.id };
  }

  /**
   * Creates a child lifetime for a terminal in a node. The service owns it, like a shell on the host, because the
   * ledger has no page for nodes.
   */
  lend(node: string): Lifetime {
    return this.#lifetime.child(`terminal of node ${node}`);
  }

  /** Lists all steps to the wanted state, assuming that each step succeeds. */
  plan(): PlannedStep[] {
    return this.#reconciler?.plan() ?? [];
  }

  /**
   * Lists all steps that another content of the feed would lead to, without carrying them out.
   * @param source for errors
   * @throws {ServiceError} `node.no_feed`, `node.bad_feed`
   */
  planFor(wanted: WantedApp, source: string): PlannedStep[] {
    const reconciler = this.#reconciler;
    if (!reconciler)
      throw new ServiceError('node.no_feed', { why: this.#feedError ?? 'it has not answered yet' });
    this.#checkApp(wanted.app, source);
    return reconciler.plan(this.#wantedIn(wanted, reconciler));
  }

  /** @throws {ServiceError} `node.unknown` */
  restart(node: string): NodeView {
    const view = this.named(node);
    this.#reconciler?.tryAgain(node);
    return view;
  }

  async lock(isLocked: boolean): Promise<void> {
    await this.#lock?.set(isLocked);
  }

  /** Must be called when the service is asked to stop. */
  async finish(): Promise<void> {
    if (this.#options.onStop === 'leave') return;
    const [reconciler, executor] = [this.#reconciler, this.#executor];
    if (!reconciler || !executor) return;
    const { docker, log } = this.#options;
    await stopNodes({ reconciler, look: () => executor.look(), docker, log });
  }

  #locked(isLocked: boolean): void {
    if (isLocked !== this.#isLocked) this.#options.log.info({ isLocked }, 'the lock on updates of nodes');
    this.#isLocked = isLocked;
    this.#reconciler?.lock(isLocked);
  }

  #failed(error: unknown): void {
    const why = messageOf(error);
    if (why !== this.#feedError) this.#options.log.error({ error }, why);
    this.#feedError = why;
  }

  /** Waits until all nodes are at rest, but at most a minute. The work goes on after that. */
  async #effect(): Promise<void> {
    const { signal } = this.#lifetime;
    const late = AbortSignal.any([signal, AbortSignal.timeout(EFFECT)]);
    await this.#reconciler?.until(() => this.#reconciler?.isAtRest ?? true, late).catch(() => {});
    signal.throwIfAborted();
  }

  async #want({ app, nodes, unusable = [] }: WantedApp, restart: readonly string[] = []): Promise<void> {
    const source = this.#options.feed.source;
    this.#checkApp(app, source);
    if (unusable.length > 0)
      this.#failed(new ServiceError('node.unusable', { source, why: whyUnusableNodes(unusable) }));
    else this.#feedError = undefined;
    this.#options.log.info({ app, nodes: nodes.length, source }, 'the feed wants these nodes');
    const reconciler = this.#reconciler ?? (await this.#begin(app));
    const before = reconciler.world.wanted;
    const wanted = this.#wantedIn({ app, nodes, unusable }, reconciler);
    const claiming = this.#options.claimedPorts.claim(wanted.fixedPorts, wanted.unusable.keys());
    reconciler.want(wanted);
    await claiming;
    for (const node of restart) {
      const hash = wanted.get(node)?.hash;
      if (hash !== undefined && hash === before.get(node)?.hash) reconciler.restart(node);
    }
  }

  #wantedIn(app: WantedApp, { world }: Reconciler): Wanted {
    return wantedFrom(app, world.wanted, (spec) => wantedNode(spec, this.#key));
  }

  /** @throws {ServiceError} `node.bad_feed` */
  #checkApp(app: string, source: string): void {
    if (this.#app === undefined || app === this.#app) return;
    const why = `it names the app ${app}, and this service has begun with ${this.#app}; start the service again`;
    throw new ServiceError('node.bad_feed', { source, why });
  }

  #tellStatus(): void {
    const { states } = this;
    const running = states.filter((state) => state === 'running').length;
    const seen = this.#lookError === undefined ? '' : '; Docker does not answer';
    this.#options.status(`${running} of ${states.length} nodes run${seen}`);
  }

  async #begin(app: string): Promise<Reconciler> {
    this.#app = app;
    const { docker, pulls, defaultRegistry, credentials, hostId, state, log } = this.#options;
    const rejected = new RejectedFile(join(state, 'rejected.json'));
    const images = new NodeImages({ docker, pulls, defaultRegistry, credentials, log });
    const executor = new NodeDocker({
      docker,
      owner: { hostId, app },
      images,
      used: await UsedImages.open(join(state, 'images.json'), log),
      keepImages: this.#options.keepImages,
      logOf: async (node) => (await this.#options.feed.logOf?.(node)) ?? LOCAL_LOG,
      log,
    });
    const reconciler = new Reconciler({
      executor: {
        look: () => executor.look(),
        currentDigests: (wanted) => executor.currentDigests(wanted),
        carryOut: this.receipts.around((...of) => executor.carryOut(...of)),
      },
      window: this.#options.window,
      rejected: await rejected.read(log),
      keepRejected: (now) => rejected.keep(now),
      tell: (node, decision) => {
        if (decision) this.events.tell({ node, state: decision.state, cause: decision.cause });
        this.#tellStatus();
      },
      tellLook: (why) => {
        this.#lookError = why;
        this.#tellStatus();
      },
      log,
    });
    reconciler.lock(this.#isLocked);
    this.#executor = executor;
    this.#reconciler = reconciler;
    const { signal } = this.#lifetime;
    const heard = (since: number) => reconciler.heard(since);
    const listening = listen({ docker, hostId, heard, told: () => reconciler.wake(), log }, signal);
    void this.#lifetime.track("listening to Docker's events of nodes", listening);
    void this.#lifetime.track('keeping nodes', reconciler.run(signal));
    return reconciler;
  }
}

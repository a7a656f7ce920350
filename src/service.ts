/** The parts of the service, and how each is started. `main.ts` determines the order. */

import { rm } from 'node:fs/promises';
import { HostedDocker } from '../container/hosted-docker.ts';
import type { WarmPools } from '../container/pool/warm-pools.ts';
import { Receipts } from '../container/receipts.ts';
import { reachDocker } from '../docker-engine/engine-start.ts';
import type { EcsAgent } from '../ecs-agent-bridge/agent/ecs-agent.ts';
import { holdSharedDirectory, MARK } from '../host/directories.ts';
import { lock } from '../host/lock.ts';
import type { NoticeView } from '../host/notices.ts';
import { type Paths, pathsBelow } from '../host/paths.ts';
import { Gate } from '../httpserver/gate.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import { Ledger } from '../lifetime/ledger.ts';
import { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Nodes } from '../managed-nodes/nodes.ts';
import { childEnvironment, type Settings } from '../settings/load.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';
import { countUnsaved } from './after-death/remains.ts';
import { runAgent, serveDockerApi } from './bridge.ts';
import { checkInputDevices } from './check-input-devices.ts';
import { Draining } from './draining.ts';
import { keepFrontConsole } from './front-console.ts';
import { gatherSurroundings, type HostingParts } from './gather-surroundings.ts';
import { Passing } from './hand-over/passing.ts';
import { hostContainers } from './host-containers.ts';
import { keepNodes } from './keep-nodes.ts';
import { keepUserConfigs } from './keep-user-configs.ts';
import { makeDirectories } from './make-directories.ts';
import { Metrics } from './metrics/metrics.ts';
import { Heeding } from './notices/heeding.ts';
import { type Observer, observeHoldings, type Step } from './observe.ts';
import { bePresent, type Presence, share } from './presence.ts';
import type { Reporting } from './reporting.ts';
import { checkRights } from './rights.ts';
import { serveCallers } from './serve-callers.ts';

export interface ServiceOptions {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly observer: Observer;
  readonly reporting: Reporting;
  /** `wait`: only hosts the assigned containers of a crashed service until they have ended. */
  readonly as?: 'service' | 'wait';
}

export class Service {
  readonly log: Logger;
  /** Holds all resources of the service. */
  readonly root: Lifetime;
  readonly ledger: Ledger;
  readonly reporting: Reporting;
  readonly gate = new Gate<Hosting>();
  /** Aborts when the end begins, so that no further step of the start runs. */
  readonly starting = new AbortController();
  /** undefined until Docker answers. */
  docker: HostedDocker | undefined;
  /** What must be ended; undefined until the last step of the start. */
  hosting: Hosted | undefined;
  /** undefined until containers are hosted. */
  warm: WarmPools | undefined;
  /** undefined if user configs are not kept. */
  userConfigs: UserConfigs | undefined;
  /** undefined if no feed is configured. */
  nodes: Nodes | undefined;
  /** undefined if this host has no ECS agent. */
  agent: EcsAgent | undefined;
  /** undefined until the service is recorded in the ledger. */
  presence: Presence | undefined;
  readonly metrics = new Metrics(this);
  readonly passing: Passing;
  /** Holds what callers reach; undefined until there is any. */
  callers: Lifetime | undefined;
  readonly draining: Draining;
  readonly heeding = new Heeding(this);
  readonly #settings: Settings;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #observer: Observer;
  readonly paths: Paths;
  readonly #receipts: Receipts;
  readonly #as: 'service' | 'wait';
  /** Whether the start is complete. */
  isStarted = false;

  constructor({ settings, environment, log, observer, reporting, as = 'service' }: ServiceOptions) {
    this.#as = as;
    this.#settings = settings;
    this.#environment = environment;
    this.log = log;
    this.reporting = reporting;
    this.#observer = observer;
    this.paths = pathsBelow(settings.ROOT);
    this.ledger = new Ledger(this.paths.ledger);
    this.#receipts = new Receipts(this.paths.receipts, log);
    const tell = (isDraining: boolean) => reporting.tellDraining(isDraining);
    this.draining = new Draining({ tracker: () => this.hosting?.tracker, tell });
    const { ledger, metrics } = this;
    this.passing = new Passing(environment, this.paths, log);
    this.root = new Lifetime('service', observeHoldings(log, observer, ledger, this.#receipts, metrics));
  }

  /** The state that operators see. */
  get state(): 'starting' | 'running' | 'draining' | 'stopping' {
    if (this.starting.signal.aborted) return 'stopping';
    return this.draining.isOn ? 'draining' : this.isStarted ? 'running' : 'starting';
  }

  get containers(): number {
    return this.hosting?.tracker.list().length ?? 0;
  }

  get hasAgent(): boolean {
    return this.agent !== undefined;
  }

  /** The notices of EC2 about this host. */
  get notices(): readonly NoticeView[] {
    return this.heeding.views;
  }

  /**
   * Accepts no more containers. The drain is reported, and its end awaited, once the start is complete. Repeated calls
   * have no effect.
   */
  drain(): void {
    this.draining.begin('operator');
  }

  /** @returns the result of the step, for later steps */
  async step<T>(name: string, take: () => Promise<T>): Promise<T> {
    this.starting.signal.throwIfAborted();
    return await this.handOverStep(name, take);
  }

  /** Takes a step of a hand-over, also when no further step of the start may run. */
  readonly handOverStep: Step = async (name, take) => {
    await this.#observer.step?.(name);
    const made = await take();
    this.log.info({ step: name }, 'step done');
    return made;
  };

  async openReporting(): Promise<void> {
    await this.reporting.open();
  }

  async lock(): Promise<Presence> {
    const { run, root } = this.paths;
    await holdSharedDirectory(this.root, run, MARK | 0o700);
    await lock(this.root, { run, root, as: this.#as });
    if (this.#as === 'service') {
      this.reporting.ownInstance();
      // This process has killed the `wait` process that wrote this log.
      await rm(this.paths.waitLog, { force: true });
    }
    const { ledger, reporting, log } = this;
    const presence = await bePresent(this.root, { ledger, reporting, as: this.#as, log });
    this.presence = presence;
    await this.passing.find();
    await this.reporting.keepLastLines(this.root, run);
    return presence;
  }

  async countUnsaved(): Promise<number> {
    return await countUnsaved(this.paths);
  }

  async makeDirectories(presence: Presence): Promise<void> {
    await makeDirectories(presence, this.paths, this.#receipts, this.log);
    this.callers = this.root.child('callers');
  }

  /** Whether this host may have containers other than managed nodes. */
  get #isInteractive(): boolean {
    return this.#settings.INTERACTIVE === 'on';
  }

  async describeHost(): Promise<void> {
    await this.heedNotices();
    await this.reporting.describeHost(this.root);
  }

  /** Starts to listen to EC2's notices. */
  async heedNotices(): Promise<void> {
    const { reporting } = this;
    const [settings, imds] = [this.#settings, await reporting.imds()];
    await this.heeding.begin(this.root, { settings, imds, facts: () => reporting.metadata.facts() });
  }

  /** @returns whether containers get input devices */
  async checkInputDevices(): Promise<boolean> {
    return await checkInputDevices(this.#settings, this.log);
  }

  async keepFrontConsole({ lifetime, left }: Presence): Promise<void> {
    if (!this.#isInteractive) return;
    await keepFrontConsole(lifetime, this.#settings.FRONT_CONSOLE, { left, log: this.log });
  }

  async serveHttps(): Promise<void> {
    const { gate, log, passing } = this;
    const [settings, environment, paths] = [this.#settings, this.#environment, this.paths];
    const { secrets } = this.reporting;
    await checkRights(settings, paths, log);
    const options = { settings, environment, paths, gate, service: this, secrets, passing, log };
    await serveCallers(this.callers as Lifetime, options);
  }

  async reachDocker(): Promise<HostedDocker> {
    const environment = childEnvironment(this.#environment);
    const docker = await HostedDocker.open(this.#settings.DOCKER_HOST, this.metrics.dockerCall);
    // A `wait` process does not start Docker.
    if (this.#as === 'wait') await docker.ping(this.root.signal);
    else await reachDocker(this.root, docker, { run: this.paths.run, environment, log: this.log });
    this.log.info(await docker.version(), 'Docker answers');
    this.docker = docker;
    return docker;
  }

  /** @returns undefined if user configs are not kept */
  async keepUserConfigs(presence: Presence): Promise<UserConfigs | undefined> {
    const { metrics, log, reporting } = this;
    const [settings, paths] = [this.#settings, this.paths];
    if (!this.#isInteractive) return undefined;
    const options = { settings, paths, region: reporting.region, metrics, log };
    const sharing = (path: string, mode: number) => share(presence, path, mode);
    this.userConfigs = await keepUserConfigs(this.root, sharing, options);
    return this.userConfigs;
  }

  async hostContainers({ docker, left, ...found }: HostingParts): Promise<Hosted> {
    const { LISTEN_PORT, LISTEN_ADDRESS } = this.#settings;
    const { paths, passing, metrics, log, ledger } = this;
    const own = { lifetime: this.root, settings: this.#settings, paths, passing, metrics, log, ledger };
    const host = await gatherSurroundings({ ...own, receipts: this.#receipts, docker, left, ...found });
    await metrics.follow(this.root, host.events);
    const hosting = await hostContainers(this.root, host, {
      settings: this.#settings,
      left,
      handed: passing.handed,
      spared: passing.terminals.ids,
      takesNew: this.#as === 'service',
      metrics,
      begun: (hosted) => {
        this.hosting = hosted;
      },
    });
    this.warm = hosting.warm;
    this.draining.hosting();
    this.heeding.hosting(this.root, hosting.tracker);
    this.gate.open(hosting);
    this.log.info({ address: LISTEN_ADDRESS, port: LISTEN_PORT }, 'hosting containers');
    return hosting;
  }

  async keepNodes(docker: HostedDocker, status: (text: string) => void): Promise<void> {
    const [settings, paths, { pulls, claimedPorts }] = [this.#settings, this.paths, this.gate.check()];
    const options = { settings, paths, docker, pulls, claimedPorts, status, log: this.log };
    this.nodes = await keepNodes(this.root, options);
  }

  async serveDocker(hosted: Hosted): Promise<void> {
    if (!this.#isInteractive) return;
    await serveDockerApi(this.callers as Lifetime, hosted, {
      settings: this.#settings,
      paths: this.paths,
      gate: this.gate,
      descriptors: this.passing.descriptors,
      agent: () => this.agent,
      log: this.log,
    });
  }

  async runAgent(docker: HostedDocker, presence: Presence): Promise<void> {
    if (!this.#isInteractive && this.#as === 'service') return;
    this.agent = await runAgent(this.root, this.#as, {
      settings: this.#settings,
      environment: this.#environment,
      paths: this.paths,
      docker,
      ledger: this.ledger,
      left: presence.left,
      secrets: this.reporting.secrets,
      log: this.log,
      share: (path: string, mode: number) => share(presence, path, mode),
      drain: () => this.drain(),
    });
  }

  async beginHeartbeats(): Promise<void> {
    this.reporting.beginHeartbeats(this.root, this.metrics.heartbeat);
    await this.passing.complete(this.hosting as Hosted, this.nodes, this.handOverStep);
    this.isStarted = true;
    this.draining.started();
  }
}

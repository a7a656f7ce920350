/** What the service consists of, and how each part of it is begun. The order is told in `main.ts`. */

import { rm } from 'node:fs/promises';
import { Docker } from '../container/docker.ts';
import { reachDocker } from '../container/docker-engine.ts';
import { ImagePulls } from '../container/image-pulls.ts';
import { KeptContainers } from '../container/kept-containers.ts';
import { removeOldLogs } from '../container/kept-logs.ts';
import { saveAllLeft } from '../container/left-behind.ts';
import { NeededImages } from '../container/needed-images.ts';
import { Receipts } from '../container/receipts.ts';
import { takeOver } from '../container/take-over.ts';
import { Tracker } from '../container/tracker.ts';
import { Watch } from '../container/watch.ts';
import { EcsAgent } from '../ecs-agent-bridge/agent/ecs-agent.ts';
import { stopLeftAgent } from '../ecs-agent-bridge/agent/left-agent.ts';
import { serveDocker } from '../ecs-agent-bridge/docker-proxy/docker-proxy.ts';
import { HostedCalls } from '../ecs-agent-bridge/docker-proxy/hosted-calls.ts';
import { ServiceError } from '../errors/service-error.ts';
import { holdSharedDirectory, MARK } from '../host/directories.ts';
import { readHostId } from '../host/host-id.ts';
import { lock } from '../host/lock.ts';
import type { NoticeView } from '../host/notices.ts';
import { type Paths, pathsBelow } from '../host/paths.ts';
import { Gate } from '../httpserver/gate.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import { Ledger, type Page } from '../lifetime/ledger.ts';
import { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { childEnvironment, type Settings } from '../settings/load.ts';
import { whyNoInputDevices } from '../uinput-native/input-devices.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';
import { Draining } from './draining.ts';
import { keepFrontConsole } from './front-console.ts';
import { gatherSurroundings } from './gather-surroundings.ts';
import { keepUserConfigs } from './keep-user-configs.ts';
import { Metrics } from './metrics.ts';
import { Heeding } from './notices/heeding.ts';
import { type Observer, observeHoldings, pageOf } from './observe.ts';
import { bePresent } from './presence.ts';
import { countUnsaved } from './remains.ts';
import { pageIn, type Reporting } from './reporting.ts';
import { checkRights } from './rights.ts';
import { beginRounds } from './rounds.ts';
import { serveCallers } from './serve-callers.ts';

export interface ServiceOptions {
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly observer: Observer;
  readonly reporting: Reporting;
  /** `wait`: only until the claimed containers of a dead service have ended. */
  readonly as?: 'service' | 'wait';
}

export class Service {
  readonly log: Logger;
  /** Everything that the service holds ends with it. */
  readonly root: Lifetime;
  readonly ledger: Ledger;
  readonly reporting: Reporting;
  readonly gate = new Gate<Hosting>();
  /** Aborts when the end begins: no further step of the start is taken then. */
  readonly starting = new AbortController();
  /** What there is to end; undefined until the last step of the start. */
  hosting: Hosted | undefined;
  /** undefined where user configs are not kept. */
  userConfigs: UserConfigs | undefined;
  /** undefined where ECS places no containers. */
  agent: EcsAgent | undefined;
  /** That there is a service, in the ledger; undefined until it is there. */
  presence: Lifetime | undefined;
  /** Pages of the ledger that a dead service left. */
  left: readonly Page[] = [];
  readonly metrics = new Metrics(this);
  readonly draining: Draining;
  readonly heeding = new Heeding(this);
  readonly #settings: Settings;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #observer: Observer;
  readonly #paths: Paths;
  readonly #receipts: Receipts;
  readonly #as: 'service' | 'wait';
  #isStarted = false;
  #canInput = false;
  docker: Docker | undefined;

  constructor({ settings, environment, log, observer, reporting, as = 'service' }: ServiceOptions) {
    this.#as = as;
    this.#settings = settings;
    this.#environment = environment;
    this.log = log;
    this.reporting = reporting;
    this.#observer = observer;
    this.#paths = pathsBelow(settings.ROOT);
    this.ledger = new Ledger(this.#paths.ledger, pageOf);
    this.#receipts = new Receipts(this.#paths.receipts, log);
    const tell = (isDraining: boolean) => reporting.tellDraining(isDraining);
    this.draining = new Draining({ tracker: () => this.hosting?.tracker, tell });
    const { ledger, metrics } = this;
    this.root = new Lifetime('service', observeHoldings(log, observer, ledger, this.#receipts, metrics));
  }

  /** As operators see it. */
  get state(): 'starting' | 'running' | 'draining' | 'stopping' {
    if (this.starting.signal.aborted) return 'stopping';
    return this.draining.isOn ? 'draining' : this.#isStarted ? 'running' : 'starting';
  }

  get containers(): number {
    return this.hosting?.tracker.list().length ?? 0;
  }

  get hasAgent(): boolean {
    return this.agent !== undefined;
  }

  /** What EC2 says that it will do with this host. */
  get notices(): readonly NoticeView[] {
    return this.heeding.views;
  }

  /** Takes no more containers; that is told, and the last one waited for, once the start is complete. Again, it changes nothing. */
  drain(): void {
    this.draining.begin('operator');
  }

  async step(name: string, take: () => Promise<void>): Promise<void> {
    this.starting.signal.throwIfAborted();
    await this.#observer.step?.(name);
    await take();
    this.log.info({ step: name }, 'step done');
  }

  async openReporting(): Promise<void> {
    await this.reporting.open();
  }

  async lock(): Promise<void> {
    const { run, root } = this.#paths;
    await holdSharedDirectory(this.root, run, MARK | 0o700);
    await lock(this.root, { run, root, as: this.#as });
    if (this.#as === 'service') {
      this.reporting.ownInstance();
      // Whoever has waited here was killed.
      await rm(this.#paths.waitLog, { force: true });
    }
    const { ledger, reporting, log } = this;
    const { lifetime, left } = await bePresent(this.root, { ledger, reporting, as: this.#as, log });
    this.presence = lifetime;
    this.left = left;
    await this.reporting.keepLastLines(this.root, run);
  }

  async countUnsaved(): Promise<number> {
    return await countUnsaved(this.#paths);
  }

  async makeDirectories(): Promise<void> {
    await this.#share(this.#paths.state, 0o700);
    await this.#share(this.#paths.receipts, 0o700);
    await this.#receipts.removeOld();
    await this.#share(this.#paths.logs, 0o700);
    await removeOldLogs(this.#paths.logs, this.log);
    await this.#share(this.#paths.private, 0o700);
    // Files of users that are kept may outlive the service that made it.
    await this.#share(this.#paths.containers, MARK | 0o755);
    await this.#share(this.#paths.temporary, 0o755);
  }

  /** It is left, for whoever comes next, when containers live on. */
  async #share(path: string, mode: number): Promise<void> {
    const left = pageIn(this.left)?.entries ?? [];
    const isLeft = left.some(({ kind, what }) => kind === 'shared directory' && what === path);
    await holdSharedDirectory(this.presence as Lifetime, path, mode, isLeft);
  }

  async describeHost(): Promise<void> {
    await this.heedNotices();
    await this.reporting.describeHost(this.root);
  }

  /** Listens to EC2 from now on. */
  async heedNotices(): Promise<void> {
    const { reporting } = this;
    const [settings, imds] = [this.#settings, await reporting.imds()];
    await this.heeding.begin(this.root, { settings, imds, facts: () => reporting.metadata.facts() });
  }

  async checkInputDevices(): Promise<void> {
    const why = await whyNoInputDevices();
    this.#canInput = why === undefined;
    if (why === undefined) return;
    if (this.#settings.INPUT_DEVICES === 'required') {
      throw new ServiceError('start.no_input_devices', { why });
    }
    this.log.warn({ why }, 'containers get no input devices');
  }

  async keepFrontConsole(): Promise<void> {
    const { log, left } = this;
    await keepFrontConsole(this.presence as Lifetime, this.#settings.FRONT_CONSOLE, { left, log });
  }

  async serveHttps(): Promise<void> {
    const { root, gate, log, reporting } = this;
    const [settings, environment, paths] = [this.#settings, this.#environment, this.#paths];
    const { secrets } = reporting;
    await checkRights(settings, paths, log);
    await serveCallers(root, { settings, environment, paths, gate, service: this, secrets, log });
  }

  async reachDocker(): Promise<void> {
    const environment = childEnvironment(this.#environment);
    const docker = await Docker.open(this.#settings.DOCKER_HOST, this.metrics.dockerCall);
    // Who only waits for containers leaves Docker to whoever keeps it.
    if (this.#as === 'wait') await docker.ping(this.root.signal);
    else await reachDocker(this.root, docker, { run: this.#paths.run, environment, log: this.log });
    this.log.info(await docker.version(), 'Docker answers');
    this.docker = docker;
  }

  async keepUserConfigs(): Promise<void> {
    const { metrics, log, reporting } = this;
    const [settings, paths] = [this.#settings, this.#paths];
    const options = { settings, paths, region: reporting.region, metrics, log };
    this.userConfigs = await keepUserConfigs(this.root, (path, mode) => this.#share(path, mode), options);
  }

  async hostContainers(): Promise<void> {
    const { LISTEN_PORT, LISTEN_ADDRESS } = this.#settings;
    const docker = this.docker as Docker;
    const host = await gatherSurroundings({
      lifetime: this.root,
      settings: this.#settings,
      paths: this.#paths,
      docker,
      ledger: this.ledger,
      receipts: this.#receipts,
      canInput: this.#canInput,
      userConfigs: this.userConfigs,
      left: this.left,
      log: this.log,
    });
    await this.metrics.follow(this.root, host.events);
    const kept = new KeptContainers(docker, host.hostId, this.root);
    const tracker = new Tracker(host, this.root);
    this.hosting = { tracker, kept };
    await takeOver(tracker, kept, this.left);
    const watch = await Watch.open(this.root, tracker, kept);
    await host.apart.begin();
    await saveAllLeft(tracker);
    const options = { settings: this.#settings, paths: this.#paths, log: this.log };
    await beginRounds(this.root, { tracker, kept, ...options, takesNew: this.#as === 'service' });
    this.draining.hosting();
    this.heeding.hosting(this.root, tracker);
    const pulls = new ImagePulls(docker, this.root, this.log);
    const images = new NeededImages({ docker, pulls, defaultRegistry: this.#settings.DEFAULT_REGISTRY });
    this.gate.open({ tracker, kept, watch, pulls, images });
    this.log.info({ address: LISTEN_ADDRESS, port: LISTEN_PORT }, 'hosting containers');
  }

  async serveDocker(): Promise<void> {
    const { tracker } = this.hosting as Hosted;
    await serveDocker(this.root, {
      path: this.#paths.dockerProxy,
      engine: this.#settings.DOCKER_HOST,
      calls: new HostedCalls({ tracker, pass: (work) => this.gate.pass(work) }),
      lost: async () => await this.agent?.dockerLost(),
      log: this.log,
    });
  }

  async runAgent(): Promise<void> {
    const options = {
      settings: this.#settings,
      environment: this.#environment,
      paths: this.#paths,
      hostId: await readHostId(this.#paths.state),
      docker: this.docker as Docker,
      proxySocket: this.#paths.dockerProxy,
      ledger: this.ledger,
      left: this.left,
      secrets: this.reporting.secrets,
      log: this.log,
      share: (path: string, mode: number) => this.#share(path, mode),
      drain: () => this.drain(),
    };
    // Who only waits has no tasks for it.
    if (this.#as === 'wait') await stopLeftAgent(this.left, options);
    else this.agent = await EcsAgent.open(this.root, options);
  }

  async beginHeartbeats(): Promise<void> {
    this.reporting.beginHeartbeats(this.root, this.metrics.heartbeat);
    this.#isStarted = true;
    this.draining.started();
  }
}

/**
 * One hosted container and everything that it owns, from beginning to end:
 *
 *   preparing → created → running → assigned → ready → ending → gone
 *
 * INVARIANTS
 * - Everything that it owns is held by its lifetime, which ends only after the container was proven not to run.
 * - Whatever ends the parent lifetime ends the container in this way first.
 */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { acceptCreateBody, checkMade } from './accept-create-body.ts';
import { amendCreateBody } from './amend-create-body.ts';
import { adoptCgroup, holdCgroup, holdCgroupPath } from './cgroups.ts';
import { startConfined } from './confined-start.ts';
import { type CreateBody, type CreateOptions, IDENTIFYING_PORT, wantsConsole } from './create-body.ts';
import { type ContainerDirectories, directoriesOf, holdDirectories } from './directories.ts';
import type { Claimed, ContainerFacts, Purpose } from './facts.ts';
import { Health } from './health.ts';
import { type ContainerId, newContainerId } from './identity.ts';
import { adoptInputDevices, holdInputDevices, offerInputDevices } from './input-devices.ts';
import { keepLog } from './kept-logs.ts';
import type { Prepared } from './prepared.ts';
import { provenGone, removeRevived } from './proven-gone.ts';
import { adoptPorts, holdPorts, portsWanted, takenPort } from './published-ports.ts';
import { ResourceMappings } from './resource-mappings.ts';
import { SetUp } from './set-up.ts';
import { ALL_RELEASED, BEGUN, type Cause, NOT_ALL_RELEASED, SERVICE_ENDS, StateMachine } from './state.ts';
import type { Surroundings } from './surroundings.ts';
import { UserConfig } from './user-config.ts';
import { type ContainerView, LastView } from './view.ts';

export class HostedContainer {
  readonly id: ContainerId;
  readonly health = new Health((change) => this.#host.events.tell(this.view, change));
  readonly #host: Surroundings;
  readonly #purpose: Purpose;
  readonly #lifetime: Lifetime;
  readonly #patience: AbortSignal;
  readonly #log: Logger;
  readonly #state: StateMachine;
  readonly #gone = Promise.withResolvers<void>();
  readonly #prepares = Promise.withResolvers<void>();
  #prepared: Prepared | undefined;
  #facts: ContainerFacts | undefined;
  readonly #began = new Date();
  #since = this.#began;
  readonly #view = new LastView();
  #isAdopting = false;
  #isSharing = false;
  #dockerId: DockerId | undefined;
  #starting: Promise<void> | undefined;
  #end: Promise<void> | undefined;

  /**
   * @param parent the lifetime within which it lives; @param patience aborts when its end need not be proven any more
   * @param id of one that a dead service left
   */
  constructor(
    host: Surroundings,
    purpose: Purpose,
    parent: Lifetime,
    patience: AbortSignal,
    id: ContainerId = newContainerId(),
  ) {
    this.id = id;
    this.#host = host;
    this.#purpose = purpose;
    this.#patience = patience;
    this.#lifetime = parent.child(`container ${this.id}`, () => this.end(SERVICE_ENDS));
    this.#log = host.log.child({ container: this.id, ...(purpose.task && { task: purpose.task }) });
    host.receipts.begin(this.id, purpose);
    this.#state = new StateMachine(this.id, (transition) => {
      this.#log.info(transition, `container is ${transition.to}`);
      host.receipts.moved(this.id, transition, this.#dockerId);
      this.#since = new Date();
      this.#prepares.resolve();
      host.events.tell(this.view, transition);
    });
    host.events.tell(this.view, BEGUN);
  }

  get dockerId(): DockerId | undefined {
    return this.#dockerId;
  }

  /** The host port by which callers name it; undefined until it is prepared. */
  get identifyingPort(): number | undefined {
    return this.#prepared?.identifyingPort;
  }

  get view(): ContainerView {
    return this.#view.of({
      id: this.id,
      docker: this.#dockerId,
      purpose: this.#purpose,
      state: this.#state.current,
      began: this.#began,
      since: this.#since,
      facts: this.#facts,
      port: this.identifyingPort,
      health: this.#state.serves ? this.health.view : undefined,
    });
  }

  /** In short, for the log. */
  describe(): object {
    const { id: container, docker, task, port, state } = this.view;
    return { container, docker, task, port, state };
  }

  /** Its set-up, while it runs and takes part in the set-up calls. */
  get setUp(): SetUp | undefined {
    return this.#state.serves ? this.#prepared?.setUp : undefined;
  }

  /** Whether Docker was told to start it, or will not be any more. */
  get isStarted(): boolean {
    return this.#starting !== undefined || this.#end !== undefined;
  }

  /** Whether it runs and a user has been assigned to it. */
  get isClaimed(): boolean {
    return (this.#isAdopting || this.#state.serves) && this.#facts?.startValues !== undefined;
  }

  /** For what is held within it for a while. @throws {ServiceError} `container.not_running` */
  lend(name: string): Lifetime {
    if (!this.#state.serves) throw new ServiceError('container.not_running', { id: this.id });
    return this.#lifetime.child(`${name} of container ${this.id}`);
  }

  /** Resolves when it has ended and nothing of it is held. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /**
   * Prepares all that the container will own, has it made of the amended body, and tells it its port and console.
   * @param make creates the container in Docker and returns its id
   */
  async create(
    body: CreateBody,
    make: (amended: CreateBody) => Promise<DockerId>,
    { timeout, idleTimeout, identifyingPort: needed, shared, granted }: CreateOptions = {},
  ): Promise<DockerId> {
    const accepted = await acceptCreateBody(body, this.#host, granted);
    const lifetime = this.#lifetime;
    const { directories, config } = this.#place();
    const wanted = portsWanted(accepted, shared);
    this.#isSharing = shared !== undefined;
    const prepare = () =>
      Promise.all([
        holdDirectories(lifetime, directories, { ...this.#host, config }),
        holdPorts(lifetime, this.#host.ports, { ...wanted, needed }),
        wantsConsole(accepted) ? this.#host.ttys.acquire(lifetime, () => this.#provenGone()) : undefined,
        holdInputDevices(lifetime, this.#host.eventNumbers),
      ]);
    const [project, ports, tty, inputs] = await this.#host.preparing(prepare);
    const port = shared ?? (ports.get(IDENTIFYING_PORT) as number);
    const devices = await offerInputDevices(lifetime, directories, inputs, this.#log);
    const cgroup = await holdCgroupPath(lifetime, directories.own);
    this.#prepare(directories, config, {
      ...this.#purpose,
      ports: { ...Object.fromEntries(ports), [IDENTIFYING_PORT]: port },
      chosen: wanted.chosen,
      ...(tty !== undefined && { tty }),
      ...(project !== undefined && { project }),
      devices: inputs.map(({ device, number }) => ({ number, sysname: device.sysname })),
      ...(idleTimeout !== undefined && { idleTimeout }),
    });

    const own = { ...this.#host, containerId: this.id, role: this.#purpose.role };
    const amended = amendCreateBody(accepted, { ...own, ports, tty, devices, cgroup });
    const dockerId = await make(amended);
    this.#dockerId = dockerId;
    this.#note({ dockerId });
    if (cgroup) await holdCgroup(lifetime, cgroup, amended, this.#host.cgroupDriver, dockerId);
    await checkMade(accepted, dockerId, this.#host);
    this.#state.move('created', { code: 'created', text: `Docker made ${dockerId.slice(0, 12)}` });
    await this.#prepared?.mappings.write({ hostPort_for_my_32262_tcp: port, tty, timeout });
    return dockerId;
  }

  /** Goes on with one that a dead service left: what it has is held again, and it is where it was. */
  async adopt(claimed: Claimed): Promise<void> {
    const lifetime = this.#lifetime;
    const { ports, chosen = [], tty, devices, dockerId, isReady } = claimed;
    const { directories, config } = this.#place();
    this.#dockerId = dockerId;
    this.#facts = claimed;
    this.#isAdopting = true;
    await config.find();
    await holdDirectories(lifetime, directories, { ...this.#host, config }, claimed);
    await adoptPorts(lifetime, this.#host.ports, ports, chosen);
    if (tty !== undefined) await this.#host.ttys.adopt(lifetime, tty, () => this.#provenGone());
    await adoptInputDevices(lifetime, directories, this.#host.eventNumbers, devices);
    if (claimed.cgroup) await adoptCgroup(lifetime, claimed.cgroup);
    await config.adopt();
    await this.#host.apart.adopt({ id: this.id, dockerId, lifetime });
    this.#prepare(directories, config, claimed);
    this.#state.takeOver(isReady ?? false);
    this.#isAdopting = false;
  }

  #prepare(directories: ContainerDirectories, config: UserConfig, facts: ContainerFacts): void {
    const port = facts.ports[IDENTIFYING_PORT] as number;
    const mappings = new ResourceMappings(directories.mappings, directories.own);
    const parts = { port, mappings, config, state: this.#state, lifetime: this.#lifetime, log: this.#log };
    const setUp = new SetUp({ ...parts, note: (more) => this.#note(more) }, facts);
    this.#prepared = { ports: new Map(Object.entries(facts.ports)), identifyingPort: port, mappings, setUp };
    this.#facts = facts;
    this.#note({});
  }

  /** Keeps what must be known after a death. @throws {ServiceError} `ledger.not_written` */
  #note(more: Partial<ContainerFacts>): void {
    const facts = { ...(this.#facts as ContainerFacts), ...more };
    this.#host.ledger.note(this.id, facts);
    this.#facts = facts;
  }

  /**
   * @param run has Docker start it
   * @throws {ServiceError} `port.taken`, after setting the port aside, when another program was faster
   */
  async start(run = (id: DockerId) => this.#host.docker.start(id)): Promise<void> {
    await this.#throwIfEnded();
    try {
      const { apart, quotas } = this.#host;
      await quotas.giveLayer(this.#facts?.project, this.#dockerId as DockerId);
      const one = { id: this.id, dockerId: this.#dockerId as DockerId, lifetime: this.#lifetime };
      this.#starting = apart.start(one, (id) => startConfined(this.#host, id, run), this.#isSharing);
      await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      const port = takenPort(this.#prepared?.ports ?? new Map(), messageOf(error));
      if (port === undefined) throw error;
      this.#host.ports.setAside(port.protocol, port.number);
      throw new ServiceError('port.taken', { port: port.number }, { cause: error });
    }
    await this.#throwIfEnded();
    this.#state.move('running', { code: 'started', text: 'Docker started it' });
  }

  async #throwIfEnded(): Promise<void> {
    if (!this.#end) return;
    await this.#end;
    throw new ServiceError('create.ended_at_once', { why: await this.#provenGone() });
  }

  /**
   * Ends the container, once: stops it if it runs, proves that it does not, and only then releases what it owned.
   * @throws {ServiceError} when Docker cannot tell; everything stays held then
   */
  end(cause: Cause): Promise<void> {
    this.#end ??= this.#finish(cause);
    return this.#end;
  }

  /** The same when somebody asks for it, who is answered when nothing is left: what Docker is making is waited for. */
  async stop(cause: Cause): Promise<void> {
    await this.#prepares.promise;
    await this.end(cause);
  }

  /** Lets go of it as it is: it lives on, and whoever reads the ledger goes on with it. */
  async leave(cause: string): Promise<void> {
    await this.#lifetime.leave(new Error(cause));
    this.#gone.resolve();
  }

  async #finish(cause: Cause): Promise<void> {
    this.#state.move('ending', cause);
    // Docker may be starting it at this moment, and would not say so yet.
    await this.#starting?.catch(() => {});
    await this.#provenGone();
    const kept = this.#dockerId && keepLog(this.#host, this.id, this.#dockerId);
    const failures = await this.#lifetime.end(new ServiceError('container.ended', { id: this.id }));
    await kept;
    this.#state.move('gone', failures.length === 0 ? ALL_RELEASED : NOT_ALL_RELEASED);
    this.#gone.resolve();
    await this.#host.receipts.end(this.id, this.#dockerId);
    // Somebody may have started it again meanwhile.
    await this.#provenGone((id) => removeRevived(this.#host, this.id, id));
  }

  #place(): { readonly directories: ContainerDirectories; readonly config: UserConfig } {
    const directories = directoriesOf(this.#host.paths, this.id);
    const parts = { ...this.#host, id: this.id, appName: this.#purpose.appName, directories };
    return { directories, config: new UserConfig({ ...parts, lifetime: this.#lifetime, log: this.#log }) };
  }

  async #provenGone(stop?: (id: DockerId) => Promise<void>): Promise<string> {
    if (!this.#dockerId) return 'it never was';
    return await provenGone(this.#host.docker, this.#dockerId, this.#patience, this.#log, stop);
  }
}

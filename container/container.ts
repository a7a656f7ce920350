/**
 * One hosted container and all its resources: preparing → created → running → assigned → ready → ending → gone
 *
 * INVARIANTS
 * - Its lifetime holds all its resources, and ends only after the container is proven not to run.
 * - Whatever ends the parent lifetime first ends the container in this way.
 */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { holdCgroup } from './cgroups.ts';
import { startConfined } from './confined-start.ts';
import { Course } from './course.ts';
import { acceptCreateBody, checkMade } from './creation/accept-create-body.ts';
import { amendCreateBody } from './creation/amend-create-body.ts';
import { type CreateBody, type CreateOptions, IDENTIFYING_PORT } from './creation/create-body.ts';
import type { ContainerFacts, LeftContainer, Purpose } from './facts.ts';
import type { HandedContainer, HandedUse } from './handed-over.ts';
import { Health } from './health.ts';
import { type ContainerId, newContainerId } from './identity.ts';
import { keepLog } from './kept-logs.ts';
import { setAsideTaken } from './network/published-ports.ts';
import type { Preparation } from './preparation.ts';
import { provenGone, removeRevived } from './proven-gone.ts';
import { adoptResources, type Owner, type Resources, takeResources } from './resources.ts';
import { SetUp, type SetUpParts } from './set-up.ts';
import { ALL_RELEASED, BEGUN, type Cause, NOT_ALL_RELEASED, SERVICE_ENDS, StateMachine } from './state.ts';
import type { Surroundings } from './surroundings.ts';
import { type ContainerView, LastView } from './view.ts';

export class HostedContainer {
  readonly id: ContainerId;
  readonly health: Health;
  /** Its last known use; undefined until it is watched for idleness. */
  use: HandedUse | undefined;
  readonly #host: Surroundings;
  readonly #purpose: Purpose;
  readonly #lifetime: Lifetime;
  readonly #patience: AbortSignal;
  readonly #log: Logger;
  readonly #state: StateMachine;
  readonly #gone = Promise.withResolvers<void>();
  #resources: Resources | undefined;
  #setUp: SetUp | undefined;
  #facts: ContainerFacts | undefined;
  readonly course: Course;
  readonly #view = new LastView();
  #sharesNetwork = false;
  #dockerId: DockerId | undefined;
  #starting: Promise<void> | undefined;
  #end: Promise<void> | undefined;

  /**
   * @param parent the lifetime in which it lives
   * @param patience aborts when its end need no longer be proven
   * @param id of a container that another service left
   * @param handed the other service's record of it
   */
  constructor(
    host: Surroundings,
    purpose: Purpose,
    parent: Lifetime,
    patience: AbortSignal,
    id: ContainerId = newContainerId(),
    handed?: HandedContainer,
  ) {
    this.id = id;
    this.course = new Course(handed);
    this.use = handed?.use;
    this.health = new Health((change) => this.#host.events.tell(this.view, change), handed?.health);
    this.#host = host;
    this.#purpose = purpose;
    this.#patience = patience;
    this.#lifetime = parent.child(`container ${this.id}`, {
      owner: { kind: 'container', id: this.id },
      before: () => this.end(SERVICE_ENDS),
    });
    this.#log = host.log.child({ container: this.id, ...(purpose.task && { task: purpose.task }) });
    host.receipts.begin(this.id, purpose, handed?.receipt);
    this.#state = new StateMachine(this.id, (transition) => {
      this.#log.info(transition, `container is ${transition.to}`);
      host.receipts.moved(this.id, transition, this.#dockerId);
      this.course.moved(transition);
      host.events.tell(this.view, transition);
    });
    if (!handed) host.events.tell(this.view, BEGUN);
  }

  get dockerId(): DockerId | undefined {
    return this.#dockerId;
  }

  /** The host port that identifies it to callers; undefined until it is prepared. */
  get identifyingPort(): number | undefined {
    return this.#resources?.facts.ports[IDENTIFYING_PORT];
  }

  get view(): ContainerView {
    return this.#view.of({
      id: this.id,
      docker: this.#dockerId,
      purpose: this.#purpose,
      state: this.#state.current,
      began: this.course.began,
      since: this.course.since,
      facts: this.#facts,
      port: this.identifyingPort,
      health: this.#state.serves ? this.health.view : undefined,
    });
  }

  /** A summary for the log. */
  describe(): object {
    const { id: container, docker, task, port, state } = this.view;
    return { container, docker, task, port, state };
  }

  /** Its set-up, while it runs and accepts the set-up calls. */
  get setUp(): SetUp | undefined {
    return this.#state.serves ? this.#setUp : undefined;
  }

  /** Whether Docker was told to start it, or never will be. */
  get isStarted(): boolean {
    return this.#starting !== undefined || this.#end !== undefined;
  }

  /** Whether it runs and is assigned. */
  get isClaimed(): boolean {
    return !this.#state.isOver && this.#facts?.startValues !== undefined;
  }

  /**
   * Creates a lifetime for something that is held within it for a while.
   * @throws {ServiceError} `container.not_running`
   */
  lend(name: string): Lifetime {
    if (!this.#state.serves) throw new ServiceError('container.not_running', { id: this.id });
    return this.#lifetime.child(`${name} of container ${this.id}`);
  }

  /** Resolves when it has ended and holds nothing. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /**
   * Takes all resources for the container. The caller then makes Docker create it and calls `made` and `start`.
   * @returns the body for Docker's create call
   * @throws {ServiceError} `create.*`, `docker.*`, or an error of a resource; `end` then releases what was taken
   */
  async prepare(body: CreateBody, options: CreateOptions = {}): Promise<Preparation> {
    const accepted = await acceptCreateBody(body, this.#host, options.granted);
    const { allotment, ...resources } = await takeResources(this.#owner, accepted, options);
    this.#hold(resources);
    const own = { ...this.#host, containerId: this.id, role: this.#purpose.role };
    const amended = amendCreateBody(accepted, { ...own, ...allotment });
    return { body: amended, accepted, options, allotment };
  }

  /**
   * To be called when Docker has created it.
   * @throws {ServiceError} when it is not what was accepted, or has ended meanwhile
   */
  async made(dockerId: DockerId, { body, accepted, allotment, options }: Preparation): Promise<void> {
    this.#dockerId = dockerId;
    this.#sharesNetwork = options.shared !== undefined;
    this.#note({ dockerId });
    const { cgroup, tty } = allotment;
    if (cgroup) await holdCgroup(this.#lifetime, cgroup, body, this.#host.cgroupDriver, dockerId);
    await checkMade(accepted, dockerId, this.#host);
    this.#state.move('created', { code: 'created', text: `Docker created ${dockerId.slice(0, 12)}` });
    const known = { hostPort_for_my_32262_tcp: this.identifyingPort, tty, timeout: options.timeout };
    await this.#lifetime.track('writing its mappings', (this.#resources as Resources).mappings.write(known));
  }

  /** Adopts a container that another service left: holds its resources again and restores its state. */
  async adopt(left: LeftContainer): Promise<void> {
    const { handed, dockerId } = left;
    this.#dockerId = dockerId;
    this.#sharesNetwork = handed?.sharesNetwork ?? false;
    this.#facts = left;
    this.#hold(await adoptResources(this.#owner, left), handed);
    if (handed) this.#state.restore(handed.state);
    else this.#state.takeOver(left.isReady ?? false);
    if (handed && handed.state !== 'created') this.#starting = Promise.resolve();
  }

  /**
   * The record for the next service. To be read before `leave`.
   * @returns undefined if the container cannot be handed over, because Docker has not created it or because it is gone
   */
  get handed(): HandedContainer | undefined {
    const course = this.#dockerId && this.course.handed(this.#state.current);
    if (!course) return undefined;
    return {
      id: this.id,
      ...course,
      sharesNetwork: this.#sharesNetwork,
      offers: [...(this.#setUp?.offers ?? [])],
      ...(this.use && { use: this.use }),
      ...(this.health.view && { health: this.health.view }),
      receipt: this.#host.receipts.handed(this.id),
    };
  }

  #hold(resources: Resources, handed?: HandedContainer): void {
    this.#resources = resources;
    this.#facts = resources.facts;
    const port = this.identifyingPort as number;
    const parts = { ...resources, port, state: this.#state, lifetime: this.#lifetime, log: this.#log };
    const note: SetUpParts['note'] = (more) => this.#note(more);
    this.#setUp = new SetUp({ ...parts, note }, resources.facts, handed?.offers);
    this.#note({});
  }

  /** Records what must be known after a crash. @throws {ServiceError} `ledger.not_written` */
  #note(more: Partial<ContainerFacts>): void {
    const facts = { ...(this.#facts as ContainerFacts), ...more };
    this.#host.ledger.note(this.id, facts);
    this.#facts = facts;
  }

  /**
   * @param run makes Docker start it
   * @throws {ServiceError} `port.taken` when another program took a port first; the port is then set aside
   */
  async start(run = (id: DockerId) => this.#host.docker.start(id)): Promise<void> {
    await this.#throwIfEnded();
    try {
      const { apart, quotas } = this.#host;
      await quotas.giveLayer(this.#facts?.project, this.#dockerId as DockerId);
      const one = { id: this.id, dockerId: this.#dockerId as DockerId, lifetime: this.#lifetime };
      this.#starting = apart.start(one, (id) => startConfined(this.#host, id, run), this.#sharesNetwork);
      await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw setAsideTaken(this.#host.ports, this.#facts?.ports ?? {}, error);
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
   * Ends the container once: stops it if it runs, proves that it does not run, and only then releases its resources.
   * @throws {ServiceError} when Docker cannot tell; everything stays held then
   */
  end(cause: Cause): Promise<void> {
    this.#end ??= this.#finish(cause);
    return this.#end;
  }

  /** Like `end`, for a request whose answer must wait until nothing is left. It waits for a creation in progress. */
  async stop(cause: Cause): Promise<void> {
    await this.#state.prepared;
    await this.end(cause);
  }

  /** Detaches from the container, which keeps running. The next process adopts it by the ledger. */
  async leave(cause: string): Promise<void> {
    this.#end ??= Promise.resolve();
    await this.#lifetime.leave(new Error(cause));
    this.#gone.resolve();
  }

  async #finish(cause: Cause): Promise<void> {
    this.#state.move('ending', cause);
    // Docker may be starting it at this moment without showing it yet.
    await this.#starting?.catch(() => {});
    await this.#provenGone();
    const kept = this.#dockerId && keepLog(this.#host, this.id, this.#dockerId);
    const failures = await this.#lifetime.end(new ServiceError('container.ended', { id: this.id }));
    await kept;
    // The next service ends it, and writes its receipt.
    if (this.#lifetime.hasLeft) return;
    this.#state.move('gone', failures.length === 0 ? ALL_RELEASED : NOT_ALL_RELEASED);
    this.#gone.resolve();
    await this.#host.receipts.end(this.id, this.#dockerId);
    // Another client may have started it again meanwhile.
    await this.#provenGone((id) => removeRevived(this.#host, this.id, id));
  }

  get #owner(): Owner {
    const parts = { id: this.id, purpose: this.#purpose, host: this.#host, lifetime: this.#lifetime };
    return { ...parts, log: this.#log, provenGone: () => this.#provenGone() };
  }

  async #provenGone(stop?: (id: DockerId) => Promise<void>): Promise<string> {
    if (!this.#dockerId) return 'Docker never created it';
    return await provenGone(this.#host.docker, this.#dockerId, this.#patience, this.#log, stop);
  }
}

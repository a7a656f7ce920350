/**
 * One hosted container and everything that it owns, from beginning to end:
 *
 *   preparing → created → running → assigned → ready → ending → gone
 *
 * INVARIANTS
 * - Everything that it owns is held by its lifetime, which ends only after the container was proven not to run.
 * - Whatever ends the parent lifetime ends the container in this way first.
 * - Start values take turns. What a client app sends waits for nobody, and nobody waits for it.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { mountsBelow } from '../host/directories.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Ttys } from '../ttys/ttys.ts';
import { amendCreateBody } from './amend-create-body.ts';
import { type CreateBody, IDENTIFYING_PORT, portsWanted } from './create-body.ts';
import { holdDirectories } from './directories.ts';
import type { Docker } from './docker.ts';
import type { HostPorts, Protocol } from './host-ports.ts';
import { type ContainerId, type DockerId, newContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import { ResourceMappings } from './resource-mappings.ts';
import { Candidates, proves, type StartValues, sameStartValues, type TokenOffer } from './setup.ts';
import { type State, StateMachine } from './state.ts';

/** What a host lends to each of its containers. */
export interface Surroundings {
  readonly hostId: string;
  readonly paths: Paths;
  readonly docker: Docker;
  readonly ports: HostPorts;
  readonly ttys: Ttys;
  readonly log: Logger;
}

/** What a container has once it is prepared. */
interface Prepared {
  readonly ports: ReadonlyMap<string, number>;
  readonly identifyingPort: number;
  readonly mappings: ResourceMappings;
}

/** Seconds that a container gets to end by itself when it is stopped. */
const STOP_GRACE = 10;

export class HostedContainer {
  readonly id: ContainerId = newContainerId();
  readonly #host: Surroundings;
  readonly #role: Role;
  readonly #lifetime: Lifetime;
  /** Aborts when an end that cannot be proven must be given up. */
  readonly #patience: AbortSignal;
  readonly #log: Logger;
  readonly #state: StateMachine;
  readonly #candidates = new Candidates();
  readonly #gone = Promise.withResolvers<void>();
  #prepared: Prepared | undefined;
  #dockerId: DockerId | undefined;
  #processSeenGone = 'it never ran';
  #startValues: StartValues | undefined;
  #furnished: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #starting: Promise<void> | undefined;
  #end: Promise<void> | undefined;

  /** @param parent the lifetime within which the container lives */
  constructor(host: Surroundings, role: Role, parent: Lifetime) {
    this.#role = role;
    this.#host = host;
    this.#patience = parent.signal;
    this.#lifetime = parent.child(`container ${this.id.slice(0, 12)}`, () => this.end('the service ends'));
    this.#log = host.log.child({ container: this.id });
    this.#state = new StateMachine(this.id, (transition) => {
      this.#log.info(transition, `container is ${transition.to}`);
    });
  }

  get state(): State {
    return this.#state.current;
  }

  get dockerId(): DockerId | undefined {
    return this.#dockerId;
  }

  /** Whether it runs and takes part in the set-up calls. */
  get serves(): boolean {
    return this.#state.serves;
  }

  /** Resolves when it has ended and nothing of it is held. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** The host port by which callers name it; undefined until it is prepared. */
  get identifyingPort(): number | undefined {
    return this.#prepared?.identifyingPort;
  }

  /** Host port by container port. */
  get ports(): ReadonlyMap<string, number> {
    return this.#prepared?.ports ?? new Map();
  }

  /**
   * Prepares everything that the container will own, has it made from the amended body, and tells it its
   * port and console.
   * @param make creates the container in Docker and returns its id
   */
  async create(body: CreateBody, make: (amended: CreateBody) => Promise<DockerId>): Promise<DockerId> {
    const wanted = portsWanted(body);
    const [directories, ports, tty, cgroupMounts] = await Promise.all([
      holdDirectories(this.#lifetime, this.#host.paths, this.id),
      this.#holdPorts(wanted),
      this.#host.ttys.acquire(this.#lifetime, () => this.#processSeenGone),
      mountsBelow('/sys/fs/cgroup'),
    ]);
    const mappings = new ResourceMappings(directories.mappings, directories.own);
    const identifyingPort = ports.get(IDENTIFYING_PORT) as number;
    this.#prepared = { ports, mappings, identifyingPort };

    const labels = { hostId: this.#host.hostId, containerId: this.id, role: this.#role };
    const dockerId = await make(amendCreateBody(body, { ...labels, ports, tty, cgroupMounts }));
    this.#dockerId = dockerId;
    this.#state.move('created', `Docker made ${dockerId.slice(0, 12)}`);

    await mappings.write('hostPort_for_my_32262_tcp', identifyingPort);
    await mappings.write('tty', tty);
    return dockerId;
  }

  /** Says how long the container's program waits for its first client, in seconds; -1: for ever. */
  async setTimeout(seconds: number): Promise<void> {
    await this.#prepared?.mappings.write('timeout', seconds);
  }

  /** @throws {ServiceError} `port.taken`, after setting the port aside, when another program was faster */
  async start(): Promise<void> {
    try {
      this.#starting = this.#host.docker.start(this.#dockerId as DockerId);
      await this.#starting;
    } catch (error) {
      const port = this.#takenPort(messageOf(error));
      if (port === undefined) throw error;
      this.#host.ports.setAside(port);
      throw new ServiceError('port.taken', { port }, { cause: error });
    }
    if (this.#end) {
      await this.#end;
      throw new ServiceError('create.ended_at_once', { why: this.#processSeenGone });
    }
    this.#state.move('running', 'Docker started it');
  }

  #takenPort(message: string): number | undefined {
    if (!/already (allocated|in use)/.test(message)) return undefined;
    return [...this.ports.values()].find((port) => new RegExp(`:${port}\\b`).test(message));
  }

  /** What the webserver says. The same again has no effect. @throws {ServiceError} `container.*` */
  assign(values: StartValues): Promise<void> {
    const turn = this.#turn.then(() => this.#assign(values));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #assign(values: StartValues): Promise<void> {
    const { mappings, identifyingPort: port } = this.#serving();
    if (!values.clientAppAuthSecret) throw new ServiceError('container.no_client_secret', {});
    if (this.#startValues) {
      if (sameStartValues(this.#startValues, values)) return;
      throw new ServiceError('container.other_start_values', { port });
    }
    if (values.dpi !== null) await mappings.write('DPI', values.dpi);
    await mappings.write('ContainerARN', values.containerArn);
    this.#state.move('assigned', 'start values came');
    this.#startValues = values;
    const proven = this.#candidates.settle(values);
    if (proven) this.#furnishLater(proven);
  }

  /**
   * What a client app says: resolves when the container is ready, or, before the start values have come,
   * when the token is kept. @throws {ServiceError} `container.*`
   */
  async offerToken(offer: TokenOffer): Promise<void> {
    if (!offer.configEncryptionToken) throw new ServiceError('container.empty_token', {});
    const { identifyingPort: port } = this.#serving();
    if (this.#startValues) {
      if (!proves(offer, this.#startValues)) throw new ServiceError('container.token_mismatch', { port });
      await this.#furnish();
    } else if (!this.#candidates.keep(offer)) {
      throw new ServiceError('container.too_many_tokens', { port });
    }
  }

  /** Gets the user's place in order, once, and says that it is ready as the last thing. */
  #furnish(): Promise<void> {
    this.#furnished ??= this.#writeReady().catch((error: unknown) => {
      this.#furnished = undefined;
      throw error;
    });
    return this.#furnished;
  }

  async #writeReady(): Promise<void> {
    await this.#prepared?.mappings.write('.ready', '.ready');
    this.#state.move('ready', 'both set-up calls came');
  }

  #furnishLater(offer: TokenOffer): void {
    const furnished = this.#furnish().catch((error: unknown) => {
      this.#log.error(
        { error, source: offer.source },
        'container could not be made ready; its client app must call again',
      );
    });
    void this.#lifetime.track('furnishing', furnished);
  }

  /**
   * Ends the container, once: stops it if it runs, proves that it does not, and only then releases what it
   * owned. @throws {ServiceError} when Docker cannot tell; everything stays held then
   */
  end(cause: string): Promise<void> {
    this.#end ??= this.#finish(cause);
    return this.#end;
  }

  async #finish(cause: string): Promise<void> {
    this.#state.move('ending', cause);
    // Docker may be starting it at this moment, and would not say so yet.
    await this.#starting?.catch(() => {});
    if (this.#dockerId) this.#processSeenGone = await this.#provenGone(this.#dockerId);
    const failures = await this.#lifetime.end(new ServiceError('container.ended', { id: this.id }));
    this.#state.move(
      'gone',
      failures.length === 0 ? 'everything was seen released' : 'not everything was released',
    );
    this.#gone.resolve();
  }

  /** Asks until Docker can tell; a container that may still run keeps what it owns. */
  async #provenGone(id: DockerId): Promise<string> {
    for (;;) {
      try {
        const found = await this.#host.docker.inspect(id);
        if (!found) return 'Docker does not know its container any more';
        if (!found.running) return `its container is ${found.status}, code ${found.exitCode}`;
        await this.#host.docker.stop(id, STOP_GRACE);
      } catch (error) {
        if (this.#patience.aborted) throw error;
        this.#log.warn({ why: messageOf(error) }, 'cannot tell yet whether the container still runs');
        await pause(500, undefined, { signal: this.#patience }).catch(() => {});
      }
    }
  }

  async #holdPorts(wanted: ReadonlyMap<string, number | undefined>): Promise<Map<string, number>> {
    const held = [...wanted].map(async ([port, wish]): Promise<[string, number]> => {
      const protocol = port.endsWith('/udp') ? 'udp' : ('tcp' satisfies Protocol);
      return [port, await this.#host.ports.acquire(this.#lifetime, protocol, wish)];
    });
    return new Map(await Promise.all(held));
  }

  #serving(): Prepared {
    if (this.#prepared && this.#state.serves) return this.#prepared;
    throw new ServiceError('container.unknown_port', { port: this.identifyingPort ?? 0 });
  }
}

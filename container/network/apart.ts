/**
 * Isolates hosted containers from each other in Docker's default bridge, which connects every container that asks for
 * no other network. The kernel forwards no frame between two isolated ports of a bridge. The host and the ports of
 * other containers stay reachable.
 *
 * INVARIANTS
 * - Each new port of the bridge is isolated at once, before anything in its container runs. It cannot send frames under
 *   the addresses of a hosted container. It stays isolated until the service knows that it belongs to no hosted
 *   container.
 * - The kernel tells which container a port belongs to, by the network namespace of the port's other end. No container
 *   can change that.
 */

import { readlinkSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import pLimit from 'p-limit';
import type { Endpoint, Inspected } from '../../docker-engine/answers.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import type { BridgePort, PortGuard } from '../../uinput-native/addon.ts';
import {
  filterNewPorts,
  isolatePorts,
  listPorts,
  setPort,
  stopIsolating,
} from '../../uinput-native/bridge-ports.ts';
import type { ContainerId } from '../identity.ts';
import { frameFilter, newcomersFilter } from './frame-filter.ts';
import { type End, link } from './linked.ts';

/** A container that is isolated in the network until its lifetime ends. */
export interface Placed {
  readonly id: ContainerId;
  readonly dockerId: DockerId;
  readonly lifetime: Lifetime;
}

/** The network namespace of a hosted container. */
interface Member {
  readonly dockerId: DockerId;
  readonly path: string;
  /**
   * The namespace that the path led to. The path may later lead to another one, because the kernel reuses process ids.
   */
  readonly namespace: string;
  readonly endpoint: Endpoint | undefined;
  /** The names of its ports that are isolated and filtered, by interface index. */
  readonly settled: Map<number, string>;
}

const NOTHING = new Uint32Array();

export class Apart {
  readonly #docker: Docker;
  readonly #bridge: string;
  readonly #log: Logger;
  readonly #members = new Map<ContainerId, Member>();
  /** Containers that are being started or adopted and are not placed yet. Any new port may belong to one of them. */
  readonly #coming = new Set<ContainerId | 'those of a dead service'>(['those of a dead service']);
  readonly #alone = pLimit(1);
  /** The next pass. All callers share it until it begins. */
  #next: Promise<void> | undefined;
  /** The interface indexes of ports that existed before this service started. */
  readonly #old: ReadonlySet<number>;
  /**
   * The filter for ports whose owner is unknown. `#waiting` holds the filter that each of these ports has now, by
   * index.
   */
  #newcomers: Uint32Array = NOTHING;
  readonly #waiting = new Map<number, Uint32Array>();
  #guard: PortGuard | undefined;

  private constructor(docker: Docker, bridge: string, old: readonly BridgePort[], log: Logger) {
    this.#docker = docker;
    this.#bridge = bridge;
    this.#old = new Set(old.map(({ index }) => index));
    this.#log = log;
  }

  /** Isolates new ports until the lifetime ends. */
  static async open(lifetime: Lifetime, docker: Docker, log: Logger): Promise<Apart> {
    const bridge = await docker.defaultBridge();
    const { ports } = await listPorts(bridge, []);
    const apart = new Apart(docker, bridge, ports, log);
    apart.#guard = await lifetime.acquire({
      kind: 'watch of bridge ports',
      what: apart.#bridge,
      take: () => isolatePorts(apart.#bridge, () => apart.#changed()),
      leave: (guard) => stopIsolating(guard),
      release: (guard) => stopIsolating(guard),
      seenGone: () => 'its thread has ended',
    });
    return apart;
  }

  /** Must be called once all containers that a dead service left are placed or gone. */
  async begin(): Promise<void> {
    this.#coming.delete('those of a dead service');
    await this.#settle();
  }

  /**
   * Starts a container so that it is isolated from its first moment on.
   * @param run returns what Docker says about the container then
   * @param isSharing whether it shares the network of another container, which runs already
   * @throws {ServiceError} `network.not_apart`, `network.not_linked`, `docker.*`; or the error that `run` throws
   */
  async start(
    one: Placed,
    run: (id: DockerId) => Promise<Inspected | undefined>,
    isSharing: boolean,
  ): Promise<void> {
    await this.#expect(one);
    if (isSharing) await this.#place(one);
    const found = await run(one.dockerId);
    await this.#place(one, found);
    await this.#link(one, found?.links);
  }

  /**
   * Takes over a container that a dead service left. If the container cannot be isolated, this logs an error and the
   * container keeps running for its user.
   */
  async adopt(one: Placed): Promise<void> {
    await this.#expect(one);
    await this.#place(one).catch((error: unknown) => this.#log.error({ error }, messageOf(error)));
  }

  /**
   * Registers a container. Until it is placed, any new port may belong to it. Its place is freed when its lifetime
   * ends.
   */
  async #expect({ id, lifetime }: Placed): Promise<void> {
    this.#coming.add(id);
    await lifetime.defer('its place in the network', () => {
      this.#coming.delete(id);
      this.#members.delete(id);
      this.#changed();
    });
  }

  /** Isolates the container if it runs. */
  async #place({ id, dockerId }: Placed, known?: Inspected): Promise<void> {
    const found = await this.#inNetworkOf(dockerId, known);
    if (!found?.running) return;
    const member = memberOf(found);
    if (!member) return;
    this.#members.set(id, member);
    try {
      await this.#settle();
      if (member.endpoint && member.settled.size === 0) throw new Error(`it has no port in ${this.#bridge}`);
    } catch (error) {
      // A container that has already ended cannot reach anything. Docker may not know of its end yet.
      if (!(await this.#docker.inspect(dockerId))?.running || !isThere(member)) return;
      throw new ServiceError('network.not_apart', { why: messageOf(error) }, { cause: error });
    }
    this.#coming.delete(id);
    this.#changed();
  }

  /** Connects the container with the containers that its task links it to, in both directions. */
  async #link({ id }: Placed, links: readonly string[] = []): Promise<void> {
    const one = endOf(this.#members.get(id));
    for (const name of one ? links : []) {
      const linked = await this.#docker.inspect(name);
      const other = endOf([...this.#members.values()].find((member) => member.dockerId === linked?.dockerId));
      if (!one || !other) continue;
      await link(one, other).catch((error: unknown) => {
        throw new ServiceError('network.not_linked', { name, why: messageOf(error) }, { cause: error });
      });
    }
  }

  /** Inspects the container that owns the network: the container itself, or the one whose network it shares. */
  async #inNetworkOf(dockerId: DockerId, known?: Inspected): Promise<Inspected | undefined> {
    const found = known ?? (await this.#docker.inspect(dockerId));
    return found?.sharedWith ? await this.#inNetworkOf(found.sharedWith as DockerId) : found;
  }

  #changed(): void {
    if (this.#next) return;
    this.#settle().catch((error: unknown) => this.#log.error({ error }, messageOf(error)));
  }

  /** All who ask before a pass begins wait for the same one. */
  #settle(): Promise<void> {
    this.#next ??= this.#alone(async () => {
      this.#next = undefined;
      const members = [...this.#members].filter(([, member]) => isThere(member));
      this.#filterNewcomers(members.flatMap(([, { endpoint }]) => endpoint ?? []));
      const paths = members.map(([, { path }]) => path);
      const {
        ports: [bridge, ...ports],
        ids,
      } = await listPorts(this.#bridge, paths);
      if (!bridge) return;
      for (const index of this.#waiting.keys())
        if (!ports.some((port) => port.index === index)) this.#waiting.delete(index);
      const owners = new Map(ids.map((netns, i) => [netns, members[i]?.[0]]));
      for (const port of ports) {
        const owner = owners.get(port.netns);
        await this.#settleOne(port, owner, [bridge.address, port.address]);
      }
    });
    return this.#next;
  }

  #filterNewcomers(placed: readonly Endpoint[]): void {
    const program = newcomersFilter(placed);
    if (!this.#guard || isDeepStrictEqual(program, this.#newcomers)) return;
    this.#newcomers = program;
    filterNewPorts(this.#guard, program);
  }

  async #settleOne(
    port: BridgePort,
    owner: ContainerId | undefined,
    local: readonly string[],
  ): Promise<void> {
    const member = owner && this.#members.get(owner);
    // The other end of a new port is in the host's namespace until Docker moves it into the container.
    if (port.netns === -1) return;
    if (member && owner) {
      if (port.isolated && member.settled.has(port.index)) return;
      const { endpoint = await this.#look(owner, member) } = member;
      const isThere = await this.#set(port, true, endpoint ? frameFilter(endpoint, local) : NOTHING);
      if (isThere) member.settled.set(port.index, port.name);
    } else if (port.isolated && this.#coming.size === 0) {
      await this.#set(port, false, NOTHING);
    } else if (
      port.isolated &&
      !this.#old.has(port.index) &&
      this.#waiting.get(port.index) !== this.#newcomers
    ) {
      this.#waiting.set(port.index, this.#newcomers);
      await this.#set(port, true, this.#newcomers);
    }
  }

  /** @returns whether the port still exists; it disappears when its container ends */
  async #set({ index, name }: BridgePort, isolated: boolean, program: Uint32Array): Promise<boolean> {
    try {
      await setPort(index, isolated, program);
      return true;
    } catch (error) {
      // EINVAL: the port has left the bridge and is about to disappear.
      if (!isSystemError(error, 'ENODEV') && !isSystemError(error, 'EINVAL')) throw error;
      this.#log.debug({ port: name }, 'a port has gone');
      return false;
    }
  }

  /** Finds the endpoint of a container that was connected to the bridge after it had started. */
  async #look(owner: ContainerId, member: Member): Promise<Endpoint | undefined> {
    const endpoint = (await this.#docker.inspect(member.dockerId))?.bridge;
    if (endpoint) this.#members.set(owner, { ...member, endpoint });
    return endpoint;
  }
}

function endOf(member: Member | undefined): End | undefined {
  const [port] = member?.settled.values() ?? [];
  return member?.endpoint && port ? { port, endpoint: member.endpoint } : undefined;
}

function memberOf({ dockerId, pid, bridge: endpoint }: Inspected): Member | undefined {
  const path = `/proc/${pid}/ns/net`;
  const namespace = namespaceOf(path);
  return namespace === undefined ? undefined : { dockerId, path, namespace, endpoint, settled: new Map() };
}

/** Whether its first process still runs. */
function isThere({ path, namespace }: Member): boolean {
  return namespaceOf(path) === namespace;
}

/** @returns undefined if the process has ended */
function namespaceOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

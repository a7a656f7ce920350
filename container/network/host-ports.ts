/**
 * Allots host ports to containers, from 1025 to 49150. It leaves out the kernel's ephemeral ports, reserved ports, and
 * ports that another program uses at that moment. tcp and udp ports are independent.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { isSystemError, ServiceError } from '../../errors/service-error.ts';
import { ClaimedPorts } from '../../host/claimed-ports.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { Pool, PoolExhaustedError, type PoolUse } from '../../lifetime/pool.ts';

export type Protocol = 'tcp' | 'udp';

const FIRST = 1025;
const LAST = 49_150;
/** The pool starts here, above the ports that programs are commonly configured with. */
const ROUND_STARTS_AT = 20_000;
/** Milliseconds for which a port is not allotted after Docker found it taken. */
const SET_ASIDE = 5 * 60_000;
/** The number of checks whether Docker has released a port, and the milliseconds between them. */
const LOOKS = 100;
const BETWEEN_LOOKS = 20;

export class HostPorts {
  readonly #pools: Readonly<Record<Protocol, Pool>>;
  /** The ports of managed nodes, which no container gets, not even on request. */
  readonly claimed = new ClaimedPorts();
  readonly #reserved: readonly number[];
  readonly #isFree: (protocol: Protocol, port: number) => Promise<boolean>;

  /** @param reserved ports that no container gets, not even on request */
  constructor(usable: readonly number[], isFree = isPortFree, reserved: readonly number[] = []) {
    this.#reserved = reserved;
    this.#pools = { tcp: new Pool(usable, ROUND_STARTS_AT), udp: new Pool(usable, ROUND_STARTS_AT) };
    this.#isFree = isFree;
  }

  /** Reads the usable ports from the kernel's settings. @param reserved ports that no container gets */
  static async ofThisHost(reserved: readonly number[]): Promise<HostPorts> {
    const { usable } = await portsOfThisHost(reserved);
    return new HostPorts(usable, isPortFree, reserved);
  }

  /**
   * Holds a port until the lifetime ends.
   * @param wish the port to take if it is free
   * @throws {ServiceError} `port.none_free`
   */
  async acquire(lifetime: Lifetime, protocol: Protocol, wish?: number): Promise<number> {
    try {
      return await this.#pools[protocol].acquire(lifetime, {
        ...this.#allotment(protocol),
        usable: (port) => !this.claimed.has(protocol, port) && this.#isFree(protocol, port),
        wishes: wish === undefined ? [] : [wish],
      });
    } catch (error) {
      if (!(error instanceof PoolExhaustedError)) throw error;
      throw new ServiceError('port.none_free', { protocol, why: error.message }, { cause: error });
    }
  }

  /**
   * Holds exactly this port until the lifetime ends.
   * @throws {ServiceError} `port.of_node`, or `port.of_scripts` if it is not free
   */
  async acquireThe(lifetime: Lifetime, protocol: Protocol, port: number): Promise<void> {
    if (this.claimed.has(protocol, port)) throw new ServiceError('port.of_node', { protocol, port });
    const usable = () => !this.#reserved.includes(port) && this.#isFree(protocol, port);
    if (await this.#pools[protocol].acquireThe(lifetime, port, { ...this.#allotment(protocol), usable }))
      return;
    throw new ServiceError('port.of_scripts', { port });
  }

  /**
   * Holds exactly the port that a caller chose.
   * @throws {ServiceError} `port.reserved`, `port.of_node`, or `port.in_use` if another container has it
   */
  async take(lifetime: Lifetime, protocol: Protocol, port: number): Promise<void> {
    if (this.#reserved.includes(port)) throw new ServiceError('port.reserved', { port });
    if (this.claimed.has(protocol, port)) throw new ServiceError('port.of_node', { protocol, port });
    this.#throwIfHeld(protocol, port);
    await this.#pools[protocol].adopt(lifetime, port, this.#allotment(protocol));
  }

  /**
   * Holds the identifying port of another container, for a container that shares its network. The release does not wait
   * until the port is free.
   * @throws {ServiceError} `port.in_use` if a hosted container has it
   */
  async share(lifetime: Lifetime, protocol: Protocol, port: number): Promise<void> {
    this.#throwIfHeld(protocol, port);
    const seenGone = () => 'it is the port of the container whose network was shared';
    await this.#pools[protocol].adopt(lifetime, port, { ...this.#allotment(protocol), seenGone });
  }

  #throwIfHeld(protocol: Protocol, port: number): void {
    if (this.#pools[protocol].isHeld(port)) throw new ServiceError('port.in_use', { protocol, port });
  }

  /** Holds the port of a container that a dead service left. */
  async adopt(lifetime: Lifetime, protocol: Protocol, port: number): Promise<void> {
    await this.#pools[protocol].adopt(lifetime, port, this.#allotment(protocol));
  }

  /** Returns the number of usable ports and the number of held ones. */
  use(protocol: Protocol): PoolUse {
    return this.#pools[protocol];
  }

  /** Keeps a port from being allotted for a while, because Docker found it taken. */
  setAside(protocol: Protocol, port: number): void {
    this.#pools[protocol].setAside(port, SET_ASIDE);
  }

  #allotment(protocol: Protocol) {
    return {
      kind: 'port',
      describe: (port: number) => `${protocol} ${port}`,
      seenGone: (port: number, signal: AbortSignal) => this.#seenGone(protocol, port, signal),
    };
  }

  /** The container no longer runs. If the port stays taken, another program has it. */
  async #seenGone(protocol: Protocol, port: number, signal: AbortSignal): Promise<string> {
    for (let look = 0; look < LOOKS; look++) {
      if (await this.#isFree(protocol, port)) return 'nobody listens';
      if (this.#pools[protocol].isSetAside(port)) break;
      await pause(BETWEEN_LOOKS, undefined, { signal });
    }
    return 'another program has it';
  }
}

/** Reads the kernel's ephemeral range, as `first-last`, and the other ports, which containers may have. */
export async function portsOfThisHost(
  reserved: readonly number[],
): Promise<{ readonly ephemeral: string; readonly usable: readonly number[] }> {
  const [ephemeral, kept] = await Promise.all([
    sysctl('ip_local_port_range'),
    sysctl('ip_local_reserved_ports'),
  ]);
  return { ephemeral: asRange(ephemeral), usable: usablePorts(ephemeral, kept, reserved) };
}

function asRange(ephemeral: string): string {
  return ephemeral.trim().replace(/\s+/, '-');
}

/**
 * @param ephemeral the kernel's `first<TAB>last`
 * @param kept the kernel's reserved ports and ranges, such as `8080,9000-9010`
 */
export function usablePorts(ephemeral: string, kept: string, reserved: readonly number[]): number[] {
  const ranges = [asRange(ephemeral), ...kept.trim().split(',')].filter(Boolean).map((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return { first, last };
  });
  return Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i).filter(
    (port) => !reserved.includes(port) && !ranges.some(({ first, last }) => port >= first && port <= last),
  );
}

function sysctl(name: string): Promise<string> {
  return readFile(`/proc/sys/net/ipv4/${name}`, 'utf8');
}

/** Binds the port for a moment to find out whether it is free on every address of both families. */
export async function isPortFree(protocol: Protocol, port: number): Promise<boolean> {
  const bind = protocol === 'tcp' ? bindTcp : bindUdp;
  try {
    await bind(port, '::');
    return true;
  } catch (error) {
    if (!isSystemError(error, 'EAFNOSUPPORT') && !isSystemError(error, 'EADDRNOTAVAIL')) return false;
  }
  return await bind(port, '0.0.0.0').then(
    () => true,
    () => false,
  );
}

async function bindTcp(port: number, host: string): Promise<void> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

async function bindUdp(port: number, address: string): Promise<void> {
  const socket = createSocket(address === '::' ? 'udp6' : 'udp4');
  try {
    socket.bind({ port, address, exclusive: true });
    await once(socket, 'listening');
  } finally {
    socket.close();
  }
}

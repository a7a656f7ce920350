/**
 * Works out and holds the host ports of a container: allotted ports, ports that the caller chose in the create body,
 * and the port of the container whose network it shares.
 */

import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { type CreateBody, IDENTIFYING_PORT } from '../creation/create-body.ts';
import type { Shortage } from '../pool/shortage.ts';
import type { HostPorts, Protocol } from './host-ports.ts';

/**
 * The container ports that programs in the images listen on: for discovery, and for the client's datagrams and stream.
 */
export const CLIENT_PORTS: readonly string[] = [IDENTIFYING_PORT, '32263/udp', '32273/tcp'];

export interface HostPort {
  readonly protocol: Protocol;
  readonly number: number;
}

export interface PublishedPorts {
  /** Container ports for which the service allots a host port, each with the host port to prefer. */
  readonly allotted: ReadonlyMap<string, number | undefined>;
  /** Host ports that the caller chose. The body keeps them unchanged. */
  readonly chosen: readonly HostPort[];
  /** The identifying host port of the container whose network it shares. */
  readonly shared: number | undefined;
  /** The only host port that may be its identifying one; undefined if any may. */
  readonly needed?: number | undefined;
}

/**
 * Finds the ports that a body publishes. The service allots the host port of each port in `CLIENT_PORTS`, and of each
 * port for which the caller names no host port.
 * @param shared the identifying host port of the container whose network it shares
 * @throws {ServiceError} `create.no_identifying_port`
 */
export function portsWanted(body: CreateBody, shared?: number): PublishedPorts {
  if (shared !== undefined) return { allotted: new Map(), chosen: [], shared };
  const allotted = new Map<string, number | undefined>();
  // Several bindings to different addresses may name the same host port, which is held once.
  const chosen = new Map<string, HostPort>();
  for (const [port, bindings] of Object.entries(body.HostConfig?.PortBindings ?? {})) {
    if (!/^\d+\/(tcp|udp)$/.test(port)) continue;
    const asked = (bindings ?? []).map(({ HostPort }) => HostPort ?? '');
    const numbers = asked.map(Number).filter((number) => Number.isInteger(number) && number > 0);
    const isOpen = asked.length === 0 || (asked.length === 1 && ['', '0'].includes(asked[0] as string));
    if (CLIENT_PORTS.includes(port) || isOpen) allotted.set(port, numbers[0]);
    else for (const number of numbers) chosen.set(`${protocolOf(port)} ${number}`, hostPort(port, number));
  }
  if (!allotted.has(IDENTIFYING_PORT)) throw new ServiceError('create.no_identifying_port', {});
  return { allotted, chosen: [...chosen.values()], shared };
}

/**
 * Holds the ports until the lifetime ends.
 * @returns the allotted host port of each container port
 * @throws {ServiceError} `port.*`
 */
export async function holdPorts(
  lifetime: Lifetime,
  ports: HostPorts,
  { allotted, chosen, shared, needed }: PublishedPorts,
  shortage: Shortage,
): Promise<Map<string, number>> {
  if (shared !== undefined) await ports.share(lifetime, protocolOf(IDENTIFYING_PORT), shared);
  await Promise.all(chosen.map(({ protocol, number }) => ports.take(lifetime, protocol, number)));
  const held = [...allotted].map(async ([port, wish]): Promise<[string, number]> => {
    if (port !== IDENTIFYING_PORT || needed === undefined)
      return [port, await shortage.relieve(() => ports.acquire(lifetime, protocolOf(port), wish))];
    await ports.acquireThe(lifetime, protocolOf(port), needed);
    return [port, needed];
  });
  return new Map(await Promise.all(held));
}

/** Holds the ports of a container that a dead service left. @param published host port by container port */
export async function adoptPorts(
  lifetime: Lifetime,
  ports: HostPorts,
  published: Readonly<Record<string, number>>,
  chosen: readonly HostPort[],
): Promise<void> {
  const held = Object.entries(published).map(([port, number]) => hostPort(port, number));
  for (const { protocol, number } of [...held, ...chosen]) await ports.adopt(lifetime, protocol, number);
}

/** Finds the port that Docker's error message names as taken. @param published host port by container port */
export function takenPort(published: Readonly<Record<string, number>>, said: string): HostPort | undefined {
  if (!/already (allocated|in use)/.test(said)) return undefined;
  const taken = Object.entries(published).find(([, number]) => new RegExp(`:${number}\\b`).test(said));
  return taken && hostPort(...taken);
}

/**
 * Keeps the port that Docker found taken from being allotted for a while.
 * @param published host port by container port
 * @param error of the start of the container
 * @returns {ServiceError} `port.taken`, or the error itself if it has another cause
 */
export function setAsideTaken(
  ports: HostPorts,
  published: Readonly<Record<string, number>>,
  error: unknown,
): unknown {
  const port = takenPort(published, messageOf(error));
  if (port === undefined) return error;
  ports.setAside(port.protocol, port.number);
  return new ServiceError('port.taken', { port: port.number }, { cause: error });
}

function hostPort(port: string, number: number): HostPort {
  return { protocol: protocolOf(port), number };
}

/** @param port such as `32262/tcp` */
function protocolOf(port: string): Protocol {
  return port.endsWith('/udp') ? 'udp' : 'tcp';
}

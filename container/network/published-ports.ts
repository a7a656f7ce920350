/**
 * The host ports by which a container is reached: those that it is allotted, those that its body insists on, and that
 * of the container whose network it shares.
 */

import { ServiceError } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { type CreateBody, IDENTIFYING_PORT } from '../creation/create-body.ts';
import type { HostPorts, Protocol } from './host-ports.ts';

/** The container ports that programs in the images listen on: discovery, and the client's datagrams and stream. */
export const CLIENT_PORTS: readonly string[] = [IDENTIFYING_PORT, '32263/udp', '32273/tcp'];

export interface HostPort {
  readonly protocol: Protocol;
  readonly number: number;
}

export interface PublishedPorts {
  /** Container ports that get a host port of ours, with the one to take if it is free. */
  readonly allotted: ReadonlyMap<string, number | undefined>;
  /** Host ports that are the caller's choice; the body keeps them as they are. */
  readonly chosen: readonly HostPort[];
  /** The identifying host port of the container whose network it shares. */
  readonly shared: number | undefined;
  /** Its identifying host port, where it can be no other one. */
  readonly needed?: number | undefined;
}

/**
 * What a body publishes. Of the ports that programs in the images listen on, and where the caller leaves it open, the
 * host port is ours to choose. @param shared the identifying host port of the container whose network it shares
 * @throws {ServiceError} `create.no_identifying_port`
 */
export function portsWanted(body: CreateBody, shared?: number): PublishedPorts {
  if (shared !== undefined) return { allotted: new Map(), chosen: [], shared };
  const allotted = new Map<string, number | undefined>();
  // Once each, though it may be bound to several addresses.
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
 * Holds them until the lifetime ends. @returns host port by container port, of those that were allotted
 * @throws {ServiceError} `port.*`
 */
export async function holdPorts(
  lifetime: Lifetime,
  ports: HostPorts,
  { allotted, chosen, shared, needed }: PublishedPorts,
): Promise<Map<string, number>> {
  if (shared !== undefined) await ports.share(lifetime, protocolOf(IDENTIFYING_PORT), shared);
  await Promise.all(chosen.map(({ protocol, number }) => ports.take(lifetime, protocol, number)));
  const held = [...allotted].map(async ([port, wish]): Promise<[string, number]> => {
    if (port !== IDENTIFYING_PORT || needed === undefined)
      return [port, await ports.acquire(lifetime, protocolOf(port), wish)];
    await ports.acquireThe(lifetime, protocolOf(port), needed);
    return [port, needed];
  });
  return new Map(await Promise.all(held));
}

/** Holds again what a container has which a dead service left. @param published host port by container port */
export async function adoptPorts(
  lifetime: Lifetime,
  ports: HostPorts,
  published: Readonly<Record<string, number>>,
  chosen: readonly HostPort[],
): Promise<void> {
  const held = Object.entries(published).map(([port, number]) => hostPort(port, number));
  for (const { protocol, number } of [...held, ...chosen]) await ports.adopt(lifetime, protocol, number);
}

/** The port that Docker, by its own words, found taken. @param published host port by container port */
export function takenPort(published: Readonly<Record<string, number>>, said: string): HostPort | undefined {
  if (!/already (allocated|in use)/.test(said)) return undefined;
  const taken = Object.entries(published).find(([, number]) => new RegExp(`:${number}\\b`).test(said));
  return taken && hostPort(...taken);
}

function hostPort(port: string, number: number): HostPort {
  return { protocol: protocolOf(port), number };
}

/** @param port such as `32262/tcp` */
function protocolOf(port: string): Protocol {
  return port.endsWith('/udp') ? 'udp' : 'tcp';
}

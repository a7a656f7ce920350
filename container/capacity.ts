/** Computes how many more containers fit on this host, and which resource runs out first. */

import type { Memory } from '../host/memory.ts';
import type { PoolUse } from '../lifetime/pool.ts';
import { CLIENT_PORTS } from './network/published-ports.ts';
import type { Surroundings } from './surroundings.ts';
import type { ContainerView } from './view.ts';

/** In the order of the table for people. */
export const RESOURCES = ['consoles', 'tcp ports', 'udp ports', 'gpus', 'memory'] as const;

/** A resource of which the host has a fixed amount; memory in bytes. */
export interface Resource {
  readonly name: (typeof RESOURCES)[number];
  /** The total amount, and the amount that is held. */
  readonly size: number;
  readonly held: number;
  /** The part of `held` that belongs to warm containers. The pools give them up if another container needs it. */
  readonly warm: number;
  /** The amount for each container. */
  readonly each: number;
  /** The number of containers for which the rest is enough, unless other programs use it. */
  readonly fits: number;
}

export interface Capacity {
  /** How many more containers fit. */
  readonly fits: number;
  /** The scarcest resource. */
  readonly short: Resource['name'];
  readonly resources: readonly Resource[];
  readonly memory: Memory;
  /** The number of warm containers. */
  readonly warm: number;
}

type Viewed = Pick<ContainerView, 'pool' | 'tty' | 'ports' | 'gpus'>;

const KIB = 1024;

type Lending = Pick<Surroundings, 'ttys' | 'ports' | 'gpus'>;

/** The resources of which a host has a fixed number. @param warm the containers that wait in pools */
export function poolsOf({ ttys, ports, gpus }: Lending, warm: readonly Viewed[] = []): Resource[] {
  const published = warm.flatMap((one) => Object.keys(one.ports ?? {}));
  const of = (protocol: string) => published.filter((port) => port.endsWith(`/${protocol}`)).length;
  const consoles = warm.filter(({ tty }) => tty !== undefined).length;
  const shares = warm.flatMap((one) => one.gpus ?? []).length;
  return [
    resource('consoles', ttys.use, 1, consoles),
    resource('tcp ports', ports.use('tcp'), clientPorts('tcp'), of('tcp')),
    resource('udp ports', ports.use('udp'), clientPorts('udp'), of('udp')),
    ...(gpus.use.size > 0 ? [resource('gpus', gpus.use, 1, shares)] : []),
  ];
}

/**
 * @param containers the containers of this host
 * @param each the bytes of memory for each container; missing: memory is not counted
 */
export function capacityOf(
  host: Lending,
  memory: Memory,
  containers: readonly Viewed[],
  each?: number,
): Capacity {
  const { total, available } = memory;
  const bytes = { size: KIB * total, held: KIB * (total - available) };
  const warm = containers.filter(({ pool }) => pool !== undefined);
  const resources = [
    ...poolsOf(host, warm),
    ...(each === undefined ? [] : [resource('memory', bytes, each)]),
  ];
  const { name: short, fits } = resources.reduce((least, one) => (one.fits < least.fits ? one : least));
  return { fits, short, resources, memory, warm: warm.length };
}

/** @returns how many times `each` bytes are available */
export function roomIn({ available }: Memory, each: number): number {
  return Math.floor((KIB * available) / each);
}

function resource(name: Resource['name'], { size, held }: PoolUse, each: number, warm = 0): Resource {
  return { name, size, held, warm, each, fits: Math.floor((size - held + warm) / each) };
}

function clientPorts(protocol: string): number {
  return CLIENT_PORTS.filter((port) => port.endsWith(`/${protocol}`)).length;
}

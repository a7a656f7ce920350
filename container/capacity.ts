/** Computes how many more containers fit on this host, and which resource runs out first. */

import type { Memory } from '../host/memory.ts';
import type { PoolUse } from '../lifetime/pool.ts';
import { CLIENT_PORTS } from './network/published-ports.ts';
import type { Surroundings } from './surroundings.ts';

/** In the order of the table for people. */
export const RESOURCES = ['consoles', 'tcp ports', 'udp ports', 'memory'] as const;

/** A resource of which the host has a fixed amount; memory in bytes. */
export interface Resource {
  readonly name: (typeof RESOURCES)[number];
  /** The total amount, and the amount that is held. */
  readonly size: number;
  readonly held: number;
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
}

const KIB = 1024;

type Lending = Pick<Surroundings, 'ttys' | 'ports'>;

/** The resources of which a host has a fixed number. */
export function poolsOf({ ttys, ports }: Lending): Resource[] {
  return [
    resource('consoles', ttys.use, 1),
    resource('tcp ports', ports.use('tcp'), clientPorts('tcp')),
    resource('udp ports', ports.use('udp'), clientPorts('udp')),
  ];
}

/** @param each the bytes of memory for each container; missing: memory is not counted */
export function capacityOf(host: Lending, memory: Memory, each?: number): Capacity {
  const { total, available } = memory;
  const bytes = { size: KIB * total, held: KIB * (total - available) };
  const resources = [...poolsOf(host), ...(each === undefined ? [] : [resource('memory', bytes, each)])];
  const { name: short, fits } = resources.reduce((least, one) => (one.fits < least.fits ? one : least));
  return { fits, short, resources, memory };
}

function resource(name: Resource['name'], { size, held }: PoolUse, each: number): Resource {
  return { name, size, held, each, fits: Math.floor((size - held) / each) };
}

function clientPorts(protocol: string): number {
  return CLIENT_PORTS.filter((port) => port.endsWith(`/${protocol}`)).length;
}

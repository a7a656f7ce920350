/** How many more containers this host has room for, and which resource is the first to run short. */

import type { Memory } from '../host/memory.ts';
import type { PoolUse } from '../lifetime/pool.ts';
import { CLIENT_PORTS } from './network/published-ports.ts';
import type { Surroundings } from './surroundings.ts';

/** In the order of the table that people read. */
export const RESOURCES = ['consoles', 'tcp ports', 'udp ports', 'memory'] as const;

/** Something of which a host has so much and no more; memory in bytes. */
export interface Resource {
  readonly name: (typeof RESOURCES)[number];
  /** How much this host has, and how much of it is held. */
  readonly size: number;
  readonly held: number;
  /** How much each container takes. */
  readonly each: number;
  /** For how many containers the rest suffices, unless other programs have some of it. */
  readonly fits: number;
}

export interface Capacity {
  /** How many more containers have room. */
  readonly fits: number;
  /** Of what there is the least. */
  readonly short: Resource['name'];
  readonly resources: readonly Resource[];
  readonly memory: Memory;
}

const KIB = 1024;

type Lending = Pick<Surroundings, 'ttys' | 'ports'>;

/** Of which a host has a fixed number. */
export function poolsOf({ ttys, ports }: Lending): Resource[] {
  return [
    resource('consoles', ttys.use, 1),
    resource('tcp ports', ports.use('tcp'), clientPorts('tcp')),
    resource('udp ports', ports.use('udp'), clientPorts('udp')),
  ];
}

/** @param each bytes of memory that each container is to have; left out: memory is not counted */
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

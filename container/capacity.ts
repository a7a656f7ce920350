/** How many more containers this host has room for, and which resource is the first to run short. */

import type { Memory } from '../host/memory.ts';
import type { PoolUse } from '../lifetime/pool.ts';
import { CLIENT_PORTS } from './published-ports.ts';
import type { Surroundings } from './surroundings.ts';

/** Something of which a host has a fixed number. */
export interface PooledResource {
  readonly name: 'consoles' | 'tcp ports' | 'udp ports';
  /** How many this host has, and how many are held. */
  readonly size: number;
  readonly held: number;
  /** How many each container takes. */
  readonly each: number;
  /** For how many containers the others suffice, unless other programs have some of them. */
  readonly fits: number;
}

export interface Capacity {
  /** How many more containers have room; 0 when no more are taken. */
  readonly fits: number;
  /** Of what there is the least. */
  readonly short: PooledResource['name'];
  readonly resources: readonly PooledResource[];
  /** In bytes. */
  readonly memory: Memory;
}

export function capacityOf({ ttys, ports }: Pick<Surroundings, 'ttys' | 'ports'>): Omit<Capacity, 'memory'> {
  const resources = [
    pooled('consoles', ttys.use, 1),
    pooled('tcp ports', ports.use('tcp'), clientPorts('tcp')),
    pooled('udp ports', ports.use('udp'), clientPorts('udp')),
  ];
  const { name: short, fits } = resources.reduce((least, one) => (one.fits < least.fits ? one : least));
  return { fits, short, resources };
}

function pooled(name: PooledResource['name'], { size, held }: PoolUse, each: number): PooledResource {
  return { name, size, held, each, fits: Math.floor((size - held) / each) };
}

function clientPorts(protocol: string): number {
  return CLIENT_PORTS.filter((port) => port.endsWith(`/${protocol}`)).length;
}

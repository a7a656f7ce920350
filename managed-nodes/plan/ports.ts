/** Finds fixed host ports that prevent a node's container from starting. */

import { ownOf } from './fitting.ts';
import { fixedPorts, type HostPort, isActive, type NodeContainer } from './node-container.ts';
import type { World } from './world.ts';

/** A container that holds a port which another container needs. */
export interface Holder {
  /** undefined if this service did not create the container. */
  readonly container?: NodeContainer;
  /** Why the container cannot start. */
  readonly why: string;
}

const ANY = ['', '0.0.0.0', '::'];

export function overlap(one: HostPort, other: HostPort): boolean {
  if (one.port !== other.port || one.protocol !== other.protocol) return false;
  return one.address === other.address || ANY.includes(one.address) || ANY.includes(other.address);
}

function common(some: readonly HostPort[], others: readonly HostPort[]): HostPort | undefined {
  return some.find((one) => others.some((other) => overlap(one, other)));
}

/**
 * Checks the ports in the node's spec against the containers of others and against nodes that come before it.
 * @returns why the container cannot be created; undefined if no such port is taken
 */
export function whyPortsTaken({ wanted, actual }: World, node: string): string | undefined {
  const spec = wanted.get(node)?.spec;
  const ports = spec ? fixedPorts(spec) : [];
  const numbers = ports.map(({ port }) => port);
  for (const { name, ports: theirs } of numbers.flatMap((port) => actual.strangersWithPort(port))) {
    const port = common(ports, theirs);
    if (port) return takenBy(port, name);
  }
  for (const { node: other, ports: theirs } of numbers.flatMap((port) => wanted.claimsOn(port))) {
    const port = other === node ? undefined : common(ports, theirs);
    if (port && comesFirst(actual, other, node, port))
      return `${words(port)} is wanted by the node ${other} too; give one of them another port`;
  }
  return undefined;
}

/**
 * If two nodes want the same port, the node whose container already has it comes first, otherwise the first by name.
 */
function comesFirst(actual: World['actual'], one: string, other: string, port: HostPort): boolean {
  const has = (name: string) => common([port], ownOf({ actual }, name, 'current')?.ports ?? []) !== undefined;
  return has(one) === has(other) ? one < other : has(one);
}

/** Lists the containers that now hold a port which this container needs. */
export function holdersOf({ actual }: World, { id, ports }: NodeContainer): Holder[] {
  const numbers = ports.map(({ port }) => port);
  const own = new Set(numbers.flatMap((port) => actual.withPort(port)));
  const others = new Set(numbers.flatMap((port) => actual.strangersWithPort(port)));
  return [
    ...[...own].flatMap((container): Holder[] => {
      const port = container.id === id || !isActive(container) ? undefined : common(ports, container.ports);
      return port
        ? [{ container, why: `${words(port)} is still held by a container of the node ${container.node}` }]
        : [];
    }),
    ...[...others].flatMap(({ name, ports: theirs }): Holder[] => {
      const port = common(ports, theirs);
      return port ? [{ why: takenBy(port, name) }] : [];
    }),
  ];
}

/**
 * Whether nodes wait for each other's ports in a circle: the container that holds a port for this node's new container
 * waits, directly or through other nodes, for a port of this node.
 */
export function waitsInCircle(world: World, node: string): boolean {
  const reached = new Set<string>();
  const visit = (one: string): void => {
    const candidate = ownOf(world, one, 'candidate');
    for (const { container } of candidate ? holdersOf(world, candidate) : []) {
      if (!container || container.node === one || reached.has(container.node)) continue;
      reached.add(container.node);
      visit(container.node);
    }
  };
  visit(node);
  return reached.has(node);
}

function takenBy(port: HostPort, name: string): string {
  return `${words(port)} is taken by the container ${name}, which this service did not make; stop that container, or choose another port`;
}

function words({ port, protocol, address }: HostPort): string {
  return `host port ${address && `${address}:`}${port}/${protocol}`;
}

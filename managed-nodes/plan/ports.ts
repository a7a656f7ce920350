/** Which fixed ports of the host stand against a node's start. */

import type { NodeSpec } from '../spec/node-spec.ts';
import { ownOf } from './fitting.ts';
import { type HostPort, isActive, type NodeContainer, type World } from './world.ts';

/** Who holds a port that a container needs. */
export interface Holder {
  /** Undefined: a stranger. */
  readonly container?: NodeContainer;
  /** Why the container cannot start. */
  readonly why: string;
}

export function fixedPorts({ ports = [] }: NodeSpec): HostPort[] {
  return ports.flatMap(({ hostPort: port, hostAddress: address = '', protocol = 'tcp' }) =>
    port === undefined ? [] : [{ port, protocol, address }],
  );
}

const ANY = ['', '0.0.0.0', '::'];

export function overlap(one: HostPort, other: HostPort): boolean {
  if (one.port !== other.port || one.protocol !== other.protocol) return false;
  return one.address === other.address || ANY.includes(one.address) || ANY.includes(other.address);
}

function common(some: readonly HostPort[], others: readonly HostPort[]): HostPort | undefined {
  return some.find((one) => others.some((other) => overlap(one, other)));
}

/** Who has a port that the node's spec asks for, and does not give it up by itself. @returns why the node cannot be made */
export function whyPortsTaken(world: World, node: string): string | undefined {
  const { wanted, actual } = world;
  const spec = wanted.get(node)?.spec;
  const ports = spec ? fixedPorts(spec) : [];
  for (const { name, ports: theirs } of actual.strangers) {
    const port = common(ports, theirs);
    if (port) return takenBy(port, name);
  }
  for (const [other, { spec: theirs }] of wanted) {
    const port = other === node || theirs.stopped ? undefined : common(ports, fixedPorts(theirs));
    if (port && comesFirst(world, other, node, port))
      return `${words(port)} is wanted by the node ${other} too; give one of them another port`;
  }
  return undefined;
}

/** Of two nodes that want one port: whichever has a container with it already, else the first by name. */
function comesFirst(world: World, one: string, other: string, port: HostPort): boolean {
  const has = (name: string) => common([port], ownOf(world, name, 'current')?.ports ?? []) !== undefined;
  return has(one) === has(other) ? one < other : has(one);
}

/** Who holds ports that the container needs, at this moment. */
export function holdersOf({ actual }: World, { id, ports }: NodeContainer): Holder[] {
  const own = actual.containers.flatMap((container): Holder[] => {
    const port = container.id === id || !isActive(container) ? undefined : common(ports, container.ports);
    return port
      ? [{ container, why: `${words(port)} is still held by a container of the node ${container.node}` }]
      : [];
  });
  const others = actual.strangers.flatMap(({ name, ports: theirs }): Holder[] => {
    const port = common(ports, theirs);
    return port ? [{ why: takenBy(port, name) }] : [];
  });
  return [...own, ...others];
}

/** Whether the new container of a node waits for a port whose holder, or who that waits for, waits for one of this node's. */
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

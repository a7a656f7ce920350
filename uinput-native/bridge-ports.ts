/** Lists, isolates and filters the ports of a bridge. */

import { addon, type BridgePorts, type PortGuard } from './addon.ts';

/** @param namespaces paths such as `/proc/1/ns/net` @returns no ports if there is no such bridge */
export async function listPorts(bridge: string, namespaces: readonly string[]): Promise<BridgePorts> {
  return await addon().listPorts(bridge, namespaces);
}

/**
 * @param index of the interface
 * @param program a classic BPF program, four numbers for each instruction; empty: no filter
 */
export async function setPort(index: number, isolated: boolean, program: Uint32Array): Promise<void> {
  await addon().setPort(index, isolated, program);
}

/**
 * Isolates each new port of the bridge within microseconds.
 * @param onChange called after each new port and after each change of a port
 */
export function isolatePorts(bridge: string, onChange: () => void): PortGuard {
  return addon().isolatePorts(bridge, onChange);
}

/** @param program as in `setPort`; applies at once to each port that is added from now on */
export function filterNewPorts(guard: PortGuard, program: Uint32Array): void {
  addon().filterNewPorts(guard, program);
}

export function stopIsolating(guard: PortGuard): void {
  addon().stopIsolating(guard);
}

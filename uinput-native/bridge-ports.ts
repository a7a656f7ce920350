/** The ports of a bridge: whose they are, and what may pass them. */

import { addon, type BridgePorts, type PortGuard } from './addon.ts';

/** @param namespaces paths such as `/proc/1/ns/net` @returns no ports when there is no such bridge */
export async function listPorts(bridge: string, namespaces: readonly string[]): Promise<BridgePorts> {
  return await addon().listPorts(bridge, namespaces);
}

/**
 * @param index of the interface
 * @param program a classic BPF program, four numbers for each instruction; empty: everything may pass
 */
export async function setPort(index: number, isolated: boolean, program: Uint32Array): Promise<void> {
  await addon().setPort(index, isolated, program);
}

/** Isolates each port that the bridge gets, within microseconds. @param onChange is called after each, and whenever one changes */
export function isolatePorts(bridge: string, onChange: () => void): PortGuard {
  return addon().isolatePorts(bridge, onChange);
}

/** @param program as in `setPort`: each port that the bridge gets from now on has it at once */
export function filterNewPorts(guard: PortGuard, program: Uint32Array): void {
  addon().filterNewPorts(guard, program);
}

export function stopIsolating(guard: PortGuard): void {
  addon().stopIsolating(guard);
}

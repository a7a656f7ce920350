/**
 * The shape of a container: everything that its creator asks for, except the user. A warm container can stand in for a
 * new one only if both have the same shape. The parts have the names of the fields of `POST /v1/containers`.
 */

import { type Requested, SHARED_MEMORY } from '../creation/spin-up-body.ts';
import type { SpinUpRequest } from '../spin-up.ts';

/** The JSON of each part. */
export type Shape = Readonly<Record<string, string>>;

export function shapeOf(request: SpinUpRequest): Shape {
  const { limits = {}, ports = [], mounts, gpu, console = true } = request;
  const parts = {
    image: request.appImage,
    app: request.appName,
    environment: sorted(request.environment),
    cpus: limits.cpus,
    memory: limits.memory,
    pids: limits.pids,
    sharedMemory: limits.sharedMemory ?? SHARED_MEMORY,
    ports: ports.map(({ container, host }) => `${host ?? ''}:${container}`).sort(),
    mounts: mounts.map((mount) => JSON.stringify(mount)).sort(),
    gpu,
    console,
    labels: sorted(request.labels),
    timeout: request.protocolTimeout,
    idleTimeout: request.idleTimeout,
  };
  return Object.fromEntries(
    Object.entries(parts).map(([name, part]) => [name, JSON.stringify(part ?? null)]),
  );
}

/** @returns the names of the parts that differ */
export function differences(one: Shape, other: Shape): string[] {
  return Object.keys(one).filter((name) => one[name] !== other[name]);
}

function sorted(pairs: Requested['labels'] = {}): [string, string][] {
  return Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What this service reads of the Docker Engine's answers. */

import type Dockerode from 'dockerode';
import { linesIn } from '../parsing/lines.ts';
import type { DockerId } from './docker-id.ts';

export type Labels = Readonly<Record<string, string>>;

export const CHECK_HEALTHS = ['starting', 'healthy', 'unhealthy'] as const;
export type CheckHealth = (typeof CHECK_HEALTHS)[number];

/** A container, as Docker lists it. */
export interface Listed {
  readonly dockerId: DockerId;
  /** With those that its image gave it. */
  readonly labels: Labels;
  /** The id of its image. */
  readonly image: string;
  /** `created`, `running`, `exited`, … */
  readonly state: string;
  /** What its own health check says; undefined when it has none. */
  readonly health?: CheckHealth | undefined;
}

/** Where a container is in Docker's default bridge. */
export interface Endpoint {
  readonly mac: string;
  readonly address: string;
  readonly prefix: number;
  readonly gateway: string;
  /** Left out: it has none. */
  readonly address6?: string;
  readonly prefix6: number;
  readonly gateway6: string;
}

/** What a container may open: the paths of its device mappings, on the host and in it. */
export interface DeviceList {
  readonly dockerId: DockerId;
  readonly paths: readonly string[];
}

/** A container that Docker knows. */
export interface Inspected {
  readonly dockerId: DockerId;
  readonly labels: Labels;
  /** The id of its image. */
  readonly image: string;
  /** Host port by container port, such as `32262/tcp`, while it runs. */
  readonly ports: ReadonlyMap<string, number>;
  readonly running: boolean;
  readonly status: string;
  readonly exitCode: number;
  /** Whether the kernel has killed a program of it because it had used up its memory. */
  readonly lackedMemory?: boolean;
  /** Of its first process; 0 when it does not run. */
  readonly pid: number;
  /** As it was asked for; '': Docker's default. */
  readonly cgroupParent: string;
  /** IPv4, in the first of its networks that has one. */
  readonly address: string | undefined;
  /** In which it is, or is to be: the id is empty until Docker has looked for it. */
  readonly networks?: readonly { readonly name: string; readonly id: string }[];
  /** The docker id of the container whose network it shares. */
  readonly sharedWith: string | undefined;
  /** Where it is in Docker's default bridge; undefined when it is not in it. */
  readonly bridge?: Endpoint | undefined;
  /** Names of the containers that it is linked to. */
  readonly links?: readonly string[];
}

/** What Docker says of itself, as far as it is asked. */
export interface Info {
  readonly Runtimes?: unknown;
  readonly DockerRootDir: string;
  readonly CgroupDriver: string;
  readonly SecurityOptions: readonly string[] | null;
  readonly PidsLimit?: boolean;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly LoggingDriver?: string;
  readonly Driver: string;
}

export interface EngineFacts {
  readonly version: string;
  /** Where it keeps images and containers. */
  readonly directory: string;
  /** Such as `name=seccomp,profile=builtin`. */
  readonly security: readonly string[];
  /** Which limits of a container the kernel can keep. */
  readonly canLimit: { readonly pids: boolean; readonly memory: boolean; readonly swap: boolean };
  /** The driver of a container's log that names none. */
  readonly logDriver: string;
  /** What keeps images, and what containers change of them: `overlay2`, … */
  readonly storageDriver: string;
  /** What makes control groups: `cgroupfs` or `systemd`. */
  readonly cgroupDriver: string;
}

/** @param version of the Engine */
export function factsOf(version: string, info: Info): EngineFacts {
  const { PidsLimit: pids = false, MemoryLimit: memory = false, SwapLimit: swap = false } = info;
  return {
    version,
    directory: info.DockerRootDir,
    security: info.SecurityOptions ?? [],
    canLimit: { pids, memory, swap },
    logDriver: info.LoggingDriver ?? '',
    storageDriver: info.Driver,
    cgroupDriver: info.CgroupDriver,
  };
}

export interface DockerEvent {
  readonly action: 'create' | 'start' | 'die' | 'destroy';
  readonly dockerId: DockerId;
  /** Of the container. */
  readonly labels: Labels;
  /** Unix time in whole seconds. */
  readonly time: number;
  readonly exitCode: string | undefined;
}

/** @param status such as `Up 3 minutes (health: starting)` */
export function healthIn(status: string): CheckHealth | undefined {
  const [, word] = /\((?:health: )?(starting|healthy|unhealthy)\)$/.exec(status) ?? [];
  return CHECK_HEALTHS.find((health) => health === word);
}

export function portsOf(
  ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>,
): Map<string, number> {
  const published = Object.entries(ports).flatMap(([port, bindings]): [string, number][] => {
    const [first] = bindings ?? [];
    return first ? [[port, Number(first.HostPort)]] : [];
  });
  return new Map(published);
}

/** The directories of a container's own layer, as the driver overlay2 has them: what it changed, and where that is prepared. */
export function layerIn(found: Dockerode.ContainerInspectInfo | undefined): string[] {
  const { UpperDir, WorkDir } = (found?.GraphDriver?.Data ?? {}) as Partial<Record<string, string>>;
  return [UpperDir, WorkDir].filter((path) => path !== undefined);
}

/** Bytes: all labels of a container are in an event. */
const LONGEST_EVENT = 16 * 2 ** 20;

export async function* eventsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<DockerEvent> {
  for await (const lines of linesIn(stream, LONGEST_EVENT)) {
    for (const line of lines) {
      const { Action, Actor, time } = JSON.parse(line);
      const { ID: dockerId, Attributes: labels } = Actor;
      yield { action: Action, dockerId, labels, time, exitCode: labels.exitCode };
    }
  }
}

/** Of an endpoint in Docker's answer; undefined while it is in no network. */
export function endpointIn(found: Dockerode.NetworkInfo | undefined): Endpoint | undefined {
  if (!found?.IPAddress || !found.MacAddress) return undefined;
  return {
    mac: found.MacAddress,
    address: found.IPAddress,
    prefix: found.IPPrefixLen,
    gateway: found.Gateway,
    address6: found.GlobalIPv6Address,
    prefix6: found.GlobalIPv6PrefixLen,
    gateway6: found.IPv6Gateway,
  };
}

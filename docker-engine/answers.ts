/** The parts of the Docker Engine's answers that this service reads. */

import type Dockerode from 'dockerode';
import { linesIn } from '../parsing/lines.ts';
import type { DockerId } from './docker-id.ts';

export type Labels = Readonly<Record<string, string>>;

export const CHECK_HEALTHS = ['starting', 'healthy', 'unhealthy'] as const;
export type CheckHealth = (typeof CHECK_HEALTHS)[number];

/** A container in Docker's list. */
export interface Listed {
  readonly dockerId: DockerId;
  /** Including the labels of its image. */
  readonly labels: Labels;
  /** The id of its image. */
  readonly image: string;
  /** `created`, `running`, `exited`, … */
  readonly state: string;
  /** The state of its own health check; undefined if it has none. */
  readonly health?: CheckHealth | undefined;
}

/** The addresses of a container in Docker's default bridge. */
export interface Endpoint {
  readonly mac: string;
  readonly address: string;
  readonly prefix: number;
  readonly gateway: string;
  /** Missing if it has none. */
  readonly address6?: string;
  readonly prefix6: number;
  readonly gateway6: string;
}

/** The devices that a container may open: the paths of its device mappings, on the host and in the container. */
export interface DeviceList {
  readonly dockerId: DockerId;
  readonly paths: readonly string[];
}

/** A container as Docker describes it. */
export interface Inspected {
  readonly dockerId: DockerId;
  readonly labels: Labels;
  /** The id of its image. */
  readonly image: string;
  /** Host ports by container port, such as `32262/tcp`, while it runs. */
  readonly ports: ReadonlyMap<string, number>;
  readonly running: boolean;
  readonly status: string;
  readonly exitCode: number;
  /** Whether the kernel's OOM killer has killed one of its programs. */
  readonly lackedMemory?: boolean;
  /** The id of its first process; 0 if it does not run. */
  readonly pid: number;
  /** As requested; '': Docker's default. */
  readonly cgroupParent: string;
  /** IPv4, in the first of its networks in which it has such an address. */
  readonly address: string | undefined;
  /** The networks that it is in, or will be in. The id is empty until Docker has resolved the name. */
  readonly networks?: readonly { readonly name: string; readonly id: string }[];
  /** The docker id of the container whose network it shares. */
  readonly sharedWith: string | undefined;
  /** Its addresses in Docker's default bridge; undefined if it is not in it. */
  readonly bridge?: Endpoint | undefined;
  /** The names of the containers that it is linked to. */
  readonly links?: readonly string[];
}

/** The facts about Docker that this service reads. */
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
  /** Since version 1.50 of the API. */
  readonly DiscoveredDevices?: readonly { readonly Source: string; readonly ID: string }[] | null;
}

export interface EngineFacts {
  readonly version: string;
  /** The directory of images and containers. */
  readonly directory: string;
  /** Such as `name=seccomp,profile=builtin`. */
  readonly security: readonly string[];
  /** Which limits of a container the kernel can enforce. */
  readonly canLimit: { readonly pids: boolean; readonly memory: boolean; readonly swap: boolean };
  /** The log driver of containers that name none. */
  readonly logDriver: string;
  /** The driver that stores images and the containers' changes: `overlay2`, … */
  readonly storageDriver: string;
  /** The driver that creates control groups: `cgroupfs` or `systemd`. */
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
  /** The labels of the container. */
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

/**
 * The directories of a container's own layer with the driver overlay2: its changes, and the working directory for them.
 */
export function layerIn(found: Dockerode.ContainerInspectInfo | undefined): string[] {
  const { UpperDir, WorkDir } = (found?.GraphDriver?.Data ?? {}) as Partial<Record<string, string>>;
  return [UpperDir, WorkDir].filter((path) => path !== undefined);
}

/** In bytes. An event contains all labels of its container. */
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

/** The addresses in Docker's answer; undefined while the container is in no network. */
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

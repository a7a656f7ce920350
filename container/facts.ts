/**
 * What the ledger records about a container in addition to its resources. It is enough for another process to adopt or
 * end it. It contains the client app's secret, so the ledger is readable by root only and never on a disk.
 */

import type { DockerId } from '../docker-engine/docker-id.ts';
import type { HandedContainer } from './handed-over.ts';
import type { ContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { HostPort } from './network/published-ports.ts';
import type { StartValues } from './start-values.ts';

/** What a container is for. */
export interface Purpose {
  readonly role: Role;
  /** The app, which selects the user's files. */
  readonly appName: string;
  /** The ARN of its ECS task. */
  readonly task?: string;
  /** The pool that it was made for. */
  readonly pool?: string;
}

/** An input device, with the data to find it again when its descriptor is closed. */
export interface MadeDevice {
  /** N of /dev/input/eventN. */
  readonly number: number;
  /** Its name in sysfs, inputN, which the kernel does not reuse until a reboot. */
  readonly sysname: string;
}

export interface ContainerFacts extends Purpose {
  /**
   * Host ports by container port, such as `32262/tcp`. If it shares another container's network, only that container's
   * identifying port.
   */
  readonly ports: Readonly<Record<string, number>>;
  /** Host ports that its creator chose; older versions did not record them. */
  readonly chosen?: readonly HostPort[];
  /** Missing: it has no console. */
  readonly tty?: number;
  readonly devices: readonly MadeDevice[];
  /** UUIDs; missing: it has no GPUs, or it is unknown which. */
  readonly gpus?: readonly string[];
  /** The quota project of its files, if the host has quotas. */
  readonly project?: number;
  /** In seconds; 0: no limit; missing: the host's default. */
  readonly idleTimeout?: number;
  /** Set once Docker has created it. */
  readonly dockerId?: DockerId;
  /** Set once it is assigned. */
  readonly startValues?: StartValues;
  readonly isReady?: true;
}

/** A container that another service left, and that can be adopted. */
export interface LeftContainer extends ContainerFacts {
  readonly id: ContainerId;
  readonly dockerId: DockerId;
  /** The control group that it may write to, if it has one. */
  readonly cgroup: string | undefined;
  /** The other service's record of it, if that service handed it over. */
  readonly handed?: HandedContainer;
}

/** An assigned container, which keeps running if the service dies. */
export interface Claimed extends LeftContainer {
  readonly startValues: StartValues;
}

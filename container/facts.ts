/**
 * What the ledger says of a container beside what it holds: enough to host it on, or to end it, without the process
 * that made it. The client app's secret is among it, which is why the ledger is root's and never on a disk.
 */

import type { DockerId } from '../docker-engine/docker-id.ts';
import type { ContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { HostPort } from './network/published-ports.ts';
import type { StartValues } from './start-values.ts';

/** What a container is made for. */
export interface Purpose {
  readonly role: Role;
  /** Whose files of a user it has. */
  readonly appName: string;
  /** ARN of the ECS task that it is of. */
  readonly task?: string;
}

/** An input device, as it is found again when nobody has its descriptor. */
export interface MadeDevice {
  /** N of /dev/input/eventN. */
  readonly number: number;
  /** Its name in sysfs, which the kernel gives once in a boot: inputN. */
  readonly sysname: string;
}

export interface ContainerFacts extends Purpose {
  /** Host port by container port, such as `32262/tcp`; of one that shares another's network, that one alone. */
  readonly ports: Readonly<Record<string, number>>;
  /** Host ports that its maker chose; older versions did not note them. */
  readonly chosen?: readonly HostPort[];
  /** Left out: it has no console. */
  readonly tty?: number;
  readonly devices: readonly MadeDevice[];
  /** That its files are of, where there are disk quotas. */
  readonly project?: number;
  /** Seconds; 0: for ever; left out: as the host has it. */
  readonly idleTimeout?: number;
  /** Once Docker has made it. */
  readonly dockerId?: DockerId;
  /** Once it is claimed. */
  readonly startValues?: StartValues;
  readonly isReady?: true;
}

/** A container that a user has been assigned to: it lives on when the service dies. */
export interface Claimed extends ContainerFacts {
  readonly id: ContainerId;
  readonly dockerId: DockerId;
  readonly startValues: StartValues;
  /** The control group that it may write, if it has one. */
  readonly cgroup: string | undefined;
}

/** The parts of the host that all containers share. */

import type { LimitFunction } from 'p-limit';
import type { Paths } from '../host/paths.ts';
import type { Descriptors } from '../lifetime/descriptors.ts';
import type { Ledger } from '../lifetime/ledger.ts';
import type { Logger } from '../logging/logger.ts';
import type { Allowance } from '../settings/hosted-allow.ts';
import type { Terminals } from '../ttys/terminals.ts';
import type { Ttys } from '../ttys/ttys.ts';
import type { EventNumbers } from '../uinput-native/event-numbers.ts';
import type { DefaultLimits } from './creation/default-limits.ts';
import type { DiskQuotas } from './disk-quotas.ts';
import type { Events } from './events.ts';
import type { Gpus } from './gpus.ts';
import type { HostedDocker } from './hosted-docker.ts';
import type { Apart } from './network/apart.ts';
import type { HostPorts } from './network/host-ports.ts';
import type { Shortage } from './pool/shortage.ts';
import type { Receipts } from './receipts.ts';
import type { ConfigKeeping } from './user-config.ts';

export interface Surroundings {
  readonly hostId: string;
  readonly paths: Paths;
  readonly docker: HostedDocker;
  /** What hosted containers may ask of Docker beyond the built-in rules. */
  readonly allowed: Allowance;
  /** The ledger of what the containers hold, with a page for each. */
  readonly ledger: Ledger;
  readonly ports: HostPorts;
  /** Isolates containers from each other in Docker's default bridge. */
  readonly apart: Pick<Apart, 'start' | 'adopt'>;
  readonly ttys: Ttys;
  readonly gpus: Gpus;
  readonly quotas: DiskQuotas;
  /** Docker's driver for control groups: `cgroupfs` or `systemd`. */
  readonly cgroupDriver: string;
  /** undefined if containers get no input devices. */
  readonly eventNumbers: EventNumbers | undefined;
  /** undefined if user configs are not kept. */
  readonly keeping: ConfigKeeping | undefined;
  /** Limits how many containers prepare at the same time, so that the first of many reach Docker early. */
  readonly limitPreparations: LimitFunction;
  /** JSON; undefined if Docker supports none. */
  readonly seccompProfile: string | undefined;
  /** They apply to each container whose create body sets none. */
  readonly limits: DefaultLimits;
  readonly terminals: Terminals;
  readonly shortage: Shortage;
  readonly receipts: Receipts;
  readonly events: Events;
  /** What a hand-over passes on. */
  readonly descriptors: Descriptors;
  readonly log: Logger;
}

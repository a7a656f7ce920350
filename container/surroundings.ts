/** What a host lends to each of its containers. */

import type { LimitFunction } from 'p-limit';
import type { Paths } from '../host/paths.ts';
import type { Ledger } from '../lifetime/ledger.ts';
import type { Logger } from '../logging/logger.ts';
import type { Allowance } from '../settings/hosted-allow.ts';
import type { Terminals } from '../ttys/terminals.ts';
import type { Ttys } from '../ttys/ttys.ts';
import type { EventNumbers } from '../uinput-native/event-numbers.ts';
import type { DefaultLimits } from './creation/default-limits.ts';
import type { DiskQuotas } from './disk-quotas.ts';
import type { Events } from './events.ts';
import type { HostedDocker } from './hosted-docker.ts';
import type { Apart } from './network/apart.ts';
import type { HostPorts } from './network/host-ports.ts';
import type { Receipts } from './receipts.ts';
import type { ConfigKeeping } from './user-config.ts';

export interface Surroundings {
  readonly hostId: string;
  readonly paths: Paths;
  readonly docker: HostedDocker;
  /** What hosted containers may ask of Docker beyond what all of them may. */
  readonly allowed: Allowance;
  /** Of what all containers hold, with a page for each. */
  readonly ledger: Ledger;
  readonly ports: HostPorts;
  /** Keeps containers from each other in Docker's default bridge. */
  readonly apart: Pick<Apart, 'start' | 'adopt'>;
  readonly ttys: Ttys;
  readonly quotas: DiskQuotas;
  /** What Docker makes control groups with: `cgroupfs` or `systemd`. */
  readonly cgroupDriver: string;
  /** undefined where containers get no input devices. */
  readonly eventNumbers: EventNumbers | undefined;
  /** undefined where user configs are not kept. */
  readonly keeping: ConfigKeeping | undefined;
  /** Lets a few containers prepare at a time: of many, the first ones reach Docker while the others still wait. */
  readonly limitPreparations: LimitFunction;
  /** JSON; undefined where Docker takes none. */
  readonly seccompProfile: string | undefined;
  /** Of each container whose create body sets none. */
  readonly limits: DefaultLimits;
  readonly terminals: Terminals;
  readonly receipts: Receipts;
  readonly events: Events;
  readonly log: Logger;
}

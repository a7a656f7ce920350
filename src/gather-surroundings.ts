/** Finds out what this host can lend to its containers. */

import pLimit from 'p-limit';
import { Events } from '../container/events.ts';
import { HostPorts } from '../container/host-ports.ts';
import { readEventNumbers } from '../container/input-devices.ts';
import type { Surroundings } from '../container/surroundings.ts';
import { readHostId } from '../host/host-id.ts';
import type { Settings } from '../settings/load.ts';
import { Terminals } from '../ttys/terminals.ts';
import { Ttys } from '../ttys/ttys.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';

/** Containers that are prepared at a time. */
const AT_A_TIME = 4;

/** The ECS agent's, on loopback; it has them by name in its own code. */
const AGENT_PORTS = [51_678, 51_679];

function shellUser({
  HOST_SHELL_USER: name,
  HOST_SHELL_AS_ROOT: mayBeRoot,
  DOCKER_HOST: dockerSocket,
}: Settings) {
  return name === undefined ? undefined : { name, mayBeRoot, dockerSocket };
}

export interface Found extends Pick<Surroundings, 'paths' | 'docker' | 'ledger' | 'receipts' | 'log'> {
  readonly settings: Settings;
  readonly canInput: boolean;
  readonly userConfigs: UserConfigs | undefined;
}

export async function gatherSurroundings({
  settings,
  canInput,
  userConfigs,
  ...found
}: Found): Promise<Surroundings> {
  const { RESERVED_PORTS, LISTEN_PORT, USER_CONFIG_CHECKPOINT_SECONDS } = settings;
  const [hostId, ports, ttys, eventNumbers] = await Promise.all([
    readHostId(found.paths.state),
    HostPorts.ofThisHost([...RESERVED_PORTS, LISTEN_PORT, ...AGENT_PORTS]),
    Ttys.ofThisHost(),
    canInput ? readEventNumbers(found.docker) : undefined,
  ]);
  return {
    ...found,
    hostId,
    ports,
    ttys,
    eventNumbers,
    keeping: userConfigs && { configs: userConfigs, checkpoints: 1000 * USER_CONFIG_CHECKPOINT_SECONDS },
    preparing: pLimit(AT_A_TIME),
    events: new Events(),
    terminals: new Terminals(
      {
        all: settings.TERMINALS,
        each: settings.TERMINALS_PER_CONTAINER,
        idle: 1000 * settings.TERMINAL_IDLE_SECONDS,
        hostUser: shellUser(settings),
      },
      found.log,
    ),
  };
}

/** Determines what this host can provide to its containers. */

import pLimit from 'p-limit';
import { projectsIn } from '../container/after-death/take-over.ts';
import { limitsOf, warnOfUnkept } from '../container/creation/default-limits.ts';
import { seccompProfile, takesProfiles } from '../container/creation/seccomp-profile.ts';
import { clearLimits, DiskQuotas } from '../container/disk-quotas.ts';
import { Events, type HandedEvents } from '../container/events.ts';
import { Gpus } from '../container/gpus.ts';
import { readEventNumbers } from '../container/input-devices.ts';
import { Apart } from '../container/network/apart.ts';
import { HostPorts } from '../container/network/host-ports.ts';
import { Shortage } from '../container/pool/shortage.ts';
import type { Surroundings } from '../container/surroundings.ts';
import type { EngineFacts } from '../docker-engine/answers.ts';
import { readHostId } from '../host/host-id.ts';
import { readMemory } from '../host/memory.ts';
import type { Page } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { reservedPorts } from '../settings/reserved-ports.ts';
import type { ShellUser } from '../ttys/host-shell.ts';
import { Terminals } from '../ttys/terminals.ts';
import { Ttys } from '../ttys/ttys.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';
import type { Passing } from './hand-over/passing.ts';

const KIB = 1024;
/** The number of containers that are prepared at the same time. */
const AT_A_TIME = 4;

function shellUser(
  { HOST_SHELL_USER: name, HOST_SHELL_AS_ROOT: mayBeRoot, DOCKER_HOST: dockerSocket }: Settings,
  unit: string | undefined,
): ShellUser | undefined {
  return name === undefined ? undefined : { name, mayBeRoot, dockerSocket, hasScope: unit !== undefined };
}

/** The results of the previous steps of the start. */
export interface HostingParts extends Pick<Surroundings, 'docker'> {
  /** Whether containers get input devices. */
  readonly canInput: boolean;
  readonly userConfigs: UserConfigs | undefined;
  /** The pages that a crashed service left in the ledger. */
  readonly left: readonly Page[];
}

export interface Found extends HostingParts, Pick<Surroundings, 'paths' | 'ledger' | 'receipts' | 'log'> {
  readonly lifetime: Lifetime;
  readonly passing: Passing;
  readonly settings: Settings;
}

export async function gatherSurroundings({
  lifetime,
  settings,
  canInput,
  userConfigs,
  left,
  passing: { handed, descriptors, unit, over },
  ...found
}: Found): Promise<Surroundings & { readonly apart: Apart }> {
  const { USER_CONFIG_CHECKPOINT_SECONDS } = settings;
  const looks = [
    readHostId(found.paths.state),
    HostPorts.ofThisHost(reservedPorts(settings)),
    Ttys.ofThisHost(),
    canInput ? readEventNumbers(found.docker) : Promise.resolve(undefined),
    found.docker.describe(),
    readMemory(),
    Apart.open(lifetime, found.docker, found.log),
    Gpus.ofThisHost(found.docker, settings.CONTAINERS_PER_GPU),
  ] as const;
  // Waits for all before it reports a failure, because a call to Docker in progress would keep the process alive.
  await Promise.allSettled(looks);
  const [hostId, ports, ttys, eventNumbers, engine, { total }, apart, gpus] = await Promise.all(looks);
  warnOfUnkept(settings, engine, found.log);
  const directories = [found.paths.containers, engine.directory];
  await clearLimits(directories, projectsIn(left, handed));
  return {
    ...found,
    descriptors,
    allowed: settings.HOSTED_ALLOW,
    hostId,
    ports,
    ttys,
    gpus,
    apart,
    cgroupDriver: engine.cgroupDriver,
    quotas: new DiskQuotas({ ...found, directories, amount: settings.CONTAINER_DISK }),
    eventNumbers,
    keeping: userConfigs && { configs: userConfigs, checkpoints: 1000 * USER_CONFIG_CHECKPOINT_SECONDS },
    limitPreparations: pLimit(AT_A_TIME),
    seccompProfile: profileFor(engine, found.log),
    limits: limitsOf(settings, engine, KIB * total),
    events: new Events(undefined, handed?.events as HandedEvents | undefined),
    shortage: new Shortage(),
    terminals: new Terminals(
      {
        all: settings.TERMINALS,
        each: settings.TERMINALS_PER_CONTAINER,
        idle: 1000 * settings.TERMINAL_IDLE_SECONDS,
        hostUser: shellUser(settings, await unit),
      },
      found.log,
      over,
    ),
  };
}

function profileFor({ security }: EngineFacts, log: Logger): string | undefined {
  if (takesProfiles(security)) return seccompProfile();
  log.warn(
    'Docker has no seccomp support on this host, so containers can reach consoles and kernel interfaces that they do not need; see doctor',
  );
  return undefined;
}

/** What the service needs of a host, and how to provide what is missing. */

import { unkept } from '../../container/creation/default-limits.ts';
import { takesProfiles } from '../../container/creation/seccomp-profile.ts';
import type { EngineFacts } from '../../docker-engine/answers.ts';
import type { Amount } from '../../settings/amount.ts';
import type { HostFacts, LimitsAsked } from './host-facts.ts';

/**
 * `error`: the service does not start, or a part of it does not work. `warning`: it works, but less safely or less
 * well.
 */
export type Grade = 'ok' | 'warning' | 'error';

export interface Finding {
  readonly check: string;
  readonly grade: Grade;
  readonly found: string;
  /** How to fix it. */
  readonly advice?: string;
}

type Verdict = Omit<Finding, 'check'>;

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ALL_TTYS = 54;
const INSTALL = 'run install.sh of the tarball';
/** The addresses at which EC2 serves an instance's credentials, and ECS a task's. */
const METADATA = ['169.254.169.254', '169.254.170.2'];

const CHECKS: Readonly<Record<string, (facts: HostFacts) => Verdict>> = {
  kernel: ({ kernel }) =>
    isAtLeast(kernel, 5, 10)
      ? ok(kernel)
      : error(
          `${kernel}; 5.10 or newer is needed`,
          'choose a newer image; this kernel cannot unpack user configs safely',
        ),
  cgroups: ({ cgroups }) =>
    cgroups
      ? ok(`version ${cgroups}`)
      : error(
          '/sys/fs/cgroup has no controllers',
          'mount it; without it, every container can open every device',
        ),
  docker: ({ docker }) => judgeDocker(docker),
  'seccomp profile': ({ docker }) => judgeSeccomp(docker),
  'container limits': ({ docker, limits }) => judgeLimits(docker, limits),
  'disk quotas': (facts) => judgeQuotas(facts),
  uinput: ({ noInputDevices, needsInputDevices }) => {
    if (noInputDevices === undefined) return ok('input devices can be created');
    const advice = 'install the package that has uinput for this kernel, such as linux-modules-extra';
    return needsInputDevices
      ? error(noInputDevices, `${advice}; or set INPUT_DEVICES=optional`)
      : warning(noInputDevices, advice);
  },
  consoles: ({ ttys }) => judgeConsoles(ttys),
  'front console': ({ frontConsole }) =>
    frontConsole === 'own'
      ? ok('the service keeps its own console in the foreground while it runs')
      : warning(
          'FRONT_CONSOLE=leave: a container can read the keys that are typed in other containers',
          'set FRONT_CONSOLE=own, except on a machine with a desktop',
        ),
  'login prompts': ({ gettys }) => {
    if (!gettys) return ok('there are none on virtual consoles');
    const units = gettys.split('\n').map((line) => line.split(' ', 1)[0]);
    return warning(`on virtual consoles: ${units.join(', ')}`, `${INSTALL}, which masks them`);
  },
  programs: ({ missingPrograms }) =>
    missingPrograms.length === 0
      ? ok('all there')
      : error(`missing: ${missingPrograms.join(', ')}`, 'install them; packages: tar, zstd, lz4, util-linux'),
  'network filters': ({ missingModules }) =>
    missingModules.length === 0
      ? ok('containers can be isolated from each other')
      : error(
          `missing kernel modules: ${missingModules.join(', ')}; containers in Docker's default bridge cannot start`,
          'install the package that has them, such as linux-modules-extra or kernel-modules-extra',
        ),
  'run directory': ({ run: { directory, isInMemory } }) =>
    isInMemory
      ? ok(`${directory} is a tmpfs`)
      : error(`${directory} is not a tmpfs`, 'mount a tmpfs there; secrets must not be on a disk'),
  disk: ({ free }) => judgeDisk(free),
  clock: ({ isClockSynchronised }) => {
    if (isClockSynchronised) return ok('synchronised');
    const found =
      isClockSynchronised === false ? 'is not synchronised' : 'cannot tell whether it is synchronised';
    return warning(found, 'run chrony or systemd-timesyncd; S3 refuses requests if the clock is minutes off');
  },
  'SysRq key': ({ sysrq }) =>
    sysrq === '0'
      ? ok('off')
      : warning(
          `kernel.sysrq is ${sysrq ?? 'unknown'}: a container's keyboard can restart the host`,
          INSTALL,
        ),
  'Ctrl-Alt-Del': ({ isCtrlAltDelMasked }) =>
    isCtrlAltDelMasked ? ok('masked') : warning("a container's keyboard can restart the host", INSTALL),
  'udev rules': ({ hasUdevRules }) =>
    hasUdevRules ? ok('installed') : warning("a container's power key acts on the host", INSTALL),
  'metadata guard': ({ rules }) =>
    METADATA.every((address) => rules?.includes(`-d ${address}/32 -j DROP`))
      ? ok('containers cannot reach EC2 metadata')
      : warning("containers can ask EC2 for the host's credentials", INSTALL),
  'ecs.service': ({ ecsUnit }) =>
    ecsUnit === 'enabled'
      ? warning(
          'systemd starts the ECS agent itself, but this service does that',
          'run "systemctl disable ecs.service"',
        )
      : ok(ecsUnit ?? 'not installed'),
};

export function checkHost(facts: HostFacts): Finding[] {
  return Object.entries(CHECKS).map(([check, judge]) => ({ check, ...judge(facts) }));
}

function judgeDocker(docker: EngineFacts | string): Verdict {
  if (typeof docker === 'string') return error(docker, 'install Docker 20.10 or newer and start it');
  if (!isAtLeast(docker.version, 20, 10)) return error(`${docker.version}`, 'install Docker 20.10 or newer');
  return ok(docker.version);
}

function judgeSeccomp(docker: EngineFacts | string): Verdict {
  if (typeof docker === 'string')
    return warning('unknown, because Docker does not answer', 'see docker above');
  if (takesProfiles(docker.security)) return ok('each hosted container gets the profile of the service');
  return warning(
    'Docker has no seccomp support: a container can switch consoles, create input devices, and use every system call of this kernel',
    'use a kernel with CONFIG_SECCOMP_FILTER, and a Docker Engine built with seccomp',
  );
}

function judgeLimits(docker: EngineFacts | string, limits: LimitsAsked): Verdict {
  if (typeof docker === 'string')
    return warning('unknown, because Docker does not answer', 'see docker above');
  const cannot = unkept(limits, docker);
  const found = [
    `processes ${limits.CONTAINER_PIDS ?? 'any'}`,
    `memory ${inWords(limits.CONTAINER_MEMORY)}${docker.canLimit.swap ? '' : ' beside swap'}`,
    `log ${inWords(limits.CONTAINER_LOG_SIZE)} (${docker.logDriver})`,
    `disk ${inWords(limits.CONTAINER_DISK)}`,
  ].join(', ');
  if (cannot.length > 0) {
    const advice =
      'choose a kernel with the control groups pids and memory; some need cgroup_enable=memory at boot';
    return warning(`${found}; Docker cannot enforce ${cannot.join(' and ')} here`, advice);
  }
  const off = Object.entries(limits).filter(([, value]) => value === undefined);
  if (off.length === 0) return ok(found);
  const names = off.map(([name]) => name).join(', ');
  return warning(
    found,
    `without ${names}, one container can take down the host; set a limit, unless every task sets its own`,
  );
}

const QUOTAS_ON = {
  xfs: 'mount it with the option prjquota; the root filesystem needs rootflags=prjquota at boot',
  ext4: 'while it is not mounted, run "tune2fs -O project,quota" on its device; then mount it with the option prjquota',
};

function judgeQuotas({ disks, docker, limits }: HostFacts): Verdict {
  if (limits.CONTAINER_DISK === undefined) return ok('not needed: CONTAINER_DISK=none');
  const without = disks.filter(({ hasQuotas }) => !hasQuotas);
  const [first] = without;
  const driver = typeof docker === 'string' ? undefined : docker.storageDriver;
  const watched = 'so the service monitors the disk, and ends a container only when the disk is nearly full';
  if (first) {
    const names = without.map(({ directory }) => directory).join(' and ');
    const advice = first.type
      ? QUOTAS_ON[first.type]
      : 'move it to xfs or ext4, mounted with the option prjquota';
    return warning(`none in ${names}, ${watched}`, `${first.directory}: ${advice}`);
  }
  if (driver !== 'overlay2') {
    const found = `none for layers, as Docker keeps them with ${driver ?? 'an unknown driver'}, ${watched}`;
    return warning(found, 'use the driver overlay2');
  }
  return ok(
    `hold each container to CONTAINER_DISK in ${disks.map(({ directory }) => directory).join(' and ')}`,
  );
}

function inWords(amount: Amount | number | undefined): string {
  if (amount === undefined) return 'any';
  if (typeof amount === 'object' && 'percent' in amount) return `${amount.percent}%`;
  const bytes = typeof amount === 'number' ? amount : amount.bytes;
  return `${Math.round(bytes / MIB)} MiB`;
}

function judgeConsoles(ttys: number): Verdict {
  if (ttys === ALL_TTYS) return ok(`${ttys}`);
  const found = `${ttys} of the ${ALL_TTYS} from /dev/tty10 to /dev/tty63`;
  const advice = 'each container needs one; use a kernel with virtual consoles (CONFIG_VT)';
  return ttys === 0 ? error(found, advice) : warning(found, advice);
}

function judgeDisk(free: ReadonlyMap<string, number>): Verdict {
  const found = [...free]
    .map(([path, bytes]) => `${path} has ${(bytes / GIB).toFixed(1)} GiB free`)
    .join(', ');
  const least = Math.min(...free.values());
  const advice = 'free some space; containers and saved user configs need it';
  if (least < GIB) return error(found, advice);
  return least < 5 * GIB ? warning(found, advice) : ok(found);
}

/** @param version a version that starts with two numbers */
function isAtLeast(version: string, major: number, minor: number): boolean {
  const [first = 0, second = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}

function ok(found: string): Verdict {
  return { grade: 'ok', found };
}

function warning(found: string, advice: string): Verdict {
  return { grade: 'warning', found, advice };
}

function error(found: string, advice: string): Verdict {
  return { grade: 'error', found, advice };
}

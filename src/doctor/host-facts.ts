/** Collects the facts about this host that the service depends on. It changes nothing; unknown facts are undefined. */

import { execFile } from 'node:child_process';
import { access, constants, readFile, readlink, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { LimitSettings } from '../../container/creation/default-limits.ts';
import type { EngineFacts } from '../../docker-engine/answers.ts';
import { Docker } from '../../docker-engine/docker.ts';
import { messageOf } from '../../errors/service-error.ts';
import { exists } from '../../host/directories.ts';
import { pathsBelow } from '../../host/paths.ts';
import type { Settings } from '../../settings/load.ts';
import { Ttys } from '../../ttys/ttys.ts';
import { whyNoInputDevices } from '../../uinput-native/input-devices.ts';
import { keepsProjects } from '../../uinput-native/projects.ts';

/** The time limit for another program in milliseconds. */
const PATIENCE = 10_000;
/** Types of file systems. Source: the kernel's magic.h. */
const CGROUP2 = 0x63677270;
const TMPFS = 0x01021994;
const XFS = 0x58465342;
const EXT4 = 0xef53;
const PROGRAMS = ['tar', 'zstd', 'lz4', 'unshare', 'setpriv', 'flock'];
const GETTYS = ['--state=active,activating', 'getty@*.service', 'autovt@*.service'];
const RULES = ['69-fractal-input.rules', '90-fractal-input.rules'];

/** The kernel modules that filter the frames of hosted containers, if they are not built in. */
const MODULES = ['sch_ingress', 'cls_bpf'];

/** The settings that say what to check, and where. */
export type Where = Pick<Settings, 'ROOT' | 'DOCKER_HOST' | 'INPUT_DEVICES' | 'FRONT_CONSOLE'> & LimitsAsked;

/** The settings that limit what a container may use. */
export type LimitsAsked = LimitSettings & Pick<Settings, 'CONTAINER_DISK'>;

/** A filesystem that containers write to. */
export interface Disk {
  readonly directory: string;
  readonly type: 'xfs' | 'ext4' | undefined;
  /** Whether it enforces project quotas. */
  readonly hasQuotas: boolean;
}

export interface HostFacts {
  readonly kernel: string;
  readonly cgroups: 1 | 2 | undefined;
  /** The facts, or why Docker does not answer. */
  readonly docker: EngineFacts | string;
  readonly limits: LimitsAsked;
  readonly noInputDevices: string | undefined;
  readonly needsInputDevices: boolean;
  readonly ttys: number;
  readonly frontConsole: Settings['FRONT_CONSOLE'];
  /** Login prompts on virtual consoles according to systemd, one per line. */
  readonly gettys: string | undefined;
  readonly run: { readonly directory: string; readonly isInMemory: boolean };
  /** Free bytes by directory. */
  readonly free: ReadonlyMap<string, number>;
  readonly disks: readonly Disk[];
  readonly isClockSynchronised: boolean | undefined;
  readonly missingPrograms: readonly string[];
  readonly missingModules: readonly string[];
  readonly sysrq: string | undefined;
  readonly isCtrlAltDelMasked: boolean;
  readonly hasUdevRules: boolean;
  /** The iptables rules for containers' traffic. */
  readonly rules: string | undefined;
  /** The state of ecs.service according to systemd: `enabled`, … */
  readonly ecsUnit: string | undefined;
}

export async function lookAtHost({
  ROOT: root,
  DOCKER_HOST: socket,
  INPUT_DEVICES,
  FRONT_CONSOLE: frontConsole,
  ...limits
}: Where): Promise<HostFacts> {
  const { state, run, containers } = pathsBelow(root);
  const docker = await dockerFacts(socket);
  const dockers = typeof docker === 'string' ? [] : [docker.directory];
  const directories = [state, ...dockers];
  return {
    kernel: release(),
    cgroups: await cgroups(),
    docker,
    limits,
    noInputDevices: await whyNoInputDevices(),
    needsInputDevices: INPUT_DEVICES === 'required',
    ttys: (await Ttys.ofThisHost()).use.size,
    frontConsole,
    gettys: await told('systemctl', 'list-units', '--plain', '--no-legend', ...GETTYS),
    run: { directory: dirname(run), isInMemory: (await fileSystemOf(dirname(run))).type === TMPFS },
    free: new Map(await Promise.all(directories.map(async (path) => [path, await freeIn(path)] as const))),
    disks: await Promise.all([containers, ...dockers].map(diskOf)),
    isClockSynchronised: yesOrNo(await told('timedatectl', 'show', '--property=NTPSynchronized', '--value')),
    missingPrograms: await without(PROGRAMS, isOnPath),
    missingModules: await missingModules(`/lib/modules/${release()}`),
    sysrq: (await readFile('/proc/sys/kernel/sysrq', 'utf8').catch(() => undefined))?.trim(),
    isCtrlAltDelMasked:
      (await readlink('/etc/systemd/system/ctrl-alt-del.target').catch(() => '')) === '/dev/null',
    hasUdevRules: (await without(RULES, (name) => exists(join('/etc/udev/rules.d', name)))).length === 0,
    rules: await told('iptables', '--wait', '5', '--list-rules', 'DOCKER-USER'),
    ecsUnit: await told('systemctl', 'is-enabled', 'ecs.service'),
  };
}

async function dockerFacts(socket: string): Promise<EngineFacts | string> {
  try {
    return await (await Docker.open(socket)).describe();
  } catch (error) {
    return messageOf(error);
  }
}

async function cgroups(): Promise<1 | 2 | undefined> {
  const { type } = await fileSystemOf('/sys/fs/cgroup');
  if (type === CGROUP2) return 2;
  return (await exists('/sys/fs/cgroup/devices')) ? 1 : undefined;
}

/** Of the directory, or of its nearest existing parent. */
async function fileSystemOf(directory: string) {
  return await statfs(await nearest(directory));
}

async function nearest(directory: string): Promise<string> {
  return (await exists(directory)) ? directory : await nearest(dirname(directory));
}

async function diskOf(directory: string): Promise<Disk> {
  const path = await nearest(directory);
  const { type } = await statfs(path);
  const known = type === XFS ? 'xfs' : type === EXT4 ? 'ext4' : undefined;
  return { directory, type: known, hasQuotas: keepsProjects(path) };
}

async function freeIn(directory: string): Promise<number> {
  const { bavail, bsize } = await fileSystemOf(directory);
  return bavail * bsize;
}

async function isOnPath(program: string): Promise<boolean> {
  const directories = (process.env.PATH ?? '').split(':');
  const found = directories.map((directory) => access(join(directory, program), constants.X_OK));
  return await Promise.any(found).then(
    () => true,
    () => false,
  );
}

/** @param directory where this kernel's modules are; where there is none, everything is built in */
async function missingModules(directory: string): Promise<string[]> {
  if (!(await exists(directory))) return [];
  const canLoad = async (name: string) =>
    (await told('modprobe', '--dry-run', '--quiet', name)) !== undefined;
  return await without(MODULES, canLoad);
}

async function without<T>(all: readonly T[], isThere: (one: T) => Promise<boolean>): Promise<T[]> {
  const found = await Promise.all(all.map(isThere));
  return all.filter((_, i) => !found[i]);
}

/** @returns the output of a program; undefined if it does not exist or fails */
async function told(program: string, ...words: string[]): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  execFile(program, words, { timeout: PATIENCE }, (error, stdout) =>
    // systemctl prints the state of a disabled unit and exits with an error.
    resolve(error && !stdout ? undefined : stdout.trim()),
  );
  return await promise;
}

function yesOrNo(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text === 'yes';
}

/**
 * The rules for the fields that say how the host runs a container. Names in backquotes are fields of HOSTED_ALLOW that
 * allow more. Source: moby's api/types, API versions 1.41 to 1.51.
 */

import { posix } from 'node:path';
import { ServiceError } from '../../errors/service-error.ts';
import { isRecord } from '../../parsing/json.ts';
import { realPath } from '../host-paths.ts';
import { TASK } from '../labels.ts';
import {
  anyForm,
  anyText,
  type Fields,
  flag,
  isAllowed,
  isEmpty,
  judged,
  list,
  mapOf,
  misshapen,
  nothing,
  number,
  object,
  type Rule,
  refusal,
  text,
  texts,
} from './accepted-fields.ts';
import { logConfig } from './accepted-logging.ts';
import { binds, mounts, tmpfs } from './accepted-mounts.ts';

/** Docker's own defaults, and SYS_NICE, which programs of the predecessor's images need. */
const CAPABILITIES =
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT SYS_NICE';

const capability = judged(CAPABILITIES, (value, at, asker) => {
  const name = value.toUpperCase().replace(/^CAP_/, '');
  if (!CAPABILITIES.split(' ').includes(name) && !isAllowed(asker, 'CapAdd', name)) {
    throw refusal(at, value, name === 'ALL' ? undefined : `CapAdd=${name}`);
  }
  return value;
});

const securityOpt = judged('no-new-privileges', (value, at, asker) => {
  const option = value.replace(/^([\w-]+):/, '$1=');
  const isHarmless = /^(no-new-privileges(=(true|false))?|apparmor=docker-default)$/.test(option);
  if (!isHarmless && !isAllowed(asker, 'SecurityOpt', option)) {
    throw refusal(at, value, option.startsWith('seccomp={') ? undefined : `SecurityOpt=${option}`);
  }
  return value;
});

/** The paths that Docker hides or makes read-only in each container. Source: moby's oci/defaults. */
const MASKED =
  '/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware';
const READ_ONLY = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger';

/** An empty list, or one that lacks a path, would remove the protection. */
function systemPaths(defaults: string): Rule {
  return anyForm('null, or all that Docker itself has, and more', (value, at, asker) => {
    const paths = texts.accept(value, at, asker) as string[];
    const isWhole = defaults.split(' ').every((path) => paths.includes(path));
    if (isWhole || isAllowed(asker, 'SecurityOpt', 'systempaths=unconfined')) return value;
    throw refusal(at, value, 'SecurityOpt=systempaths=unconfined');
  });
}

/** GPU devices of nvidia's toolkit, and the render nodes of other GPUs, which only compute and draw. */
const GPU = /^\/dev\/(nvidia[\w-]*|nvidia-caps\/[\w-]+|dri\/renderD\d+)$/;

const device = object({
  PathOnHost: judged('a GPU (`/dev/nvidia…`, `/dev/dri/renderD…`); `Devices=PATH`', (value, at, asker) => {
    const isGpu = GPU.test(value) && GPU.test(realPath(value));
    if (isGpu || isAllowed(asker, 'Devices', value)) return value;
    throw refusal(at, value, `Devices=${posix.normalize(value)}`);
  }),
  PathInContainer: text('a path', /^(\/[^\0]*)?$/),
  CgroupPermissions: text('of r, w and m', /^[rwm]{0,3}$/),
});

const deviceRule = judged('none; `DeviceCgroupRules=RULE`', (value, at, asker) => {
  if (isAllowed(asker, 'DeviceCgroupRules', value)) return value;
  throw refusal(at, value, `DeviceCgroupRules=${value}`);
});

const GPU_ABILITIES = /^(gpu|nvidia|compute|compat32|graphics|utility|video|display)$/;

const deviceRequest = object({
  Driver: text('nvidia', /^(nvidia)?$/),
  Count: number(-1),
  DeviceIDs: list(text('a GPU', /^(\d+|GPU-[\w-]+|MIG-[\w/-]+|all)$/)),
  Capabilities: list(list(text('of a GPU', GPU_ABILITIES))),
  Options: nothing,
});

export const restartPolicy = anyForm(
  'none',
  (value, at) => {
    if (!isRecord(value)) throw misshapen(at, 'an object');
    const { Name: name, ...rest } = value;
    if (!isEmpty(name) && typeof name !== 'string') throw misshapen(at, 'a restart policy');
    if (name && name !== 'no') throw new ServiceError('create.restart_policy', { policy: name as string });
    if (!isEmpty(rest)) throw refusal(at, value);
    return undefined;
  },
  { fields: { Name: anyText, MaximumRetryCount: anyText } },
);

const privileged = anyForm('false', (value) => {
  if (value !== false) throw new ServiceError('create.privileged', {});
  return false;
});

/** The control group of its ECS task, as the agent creates it. */
const cgroupParent = judged('that of its ECS task; `CgroupParent=GROUP`', (value, at, asker) => {
  const task = asker.labels[TASK]?.split('/').at(-1) ?? '';
  const isOwn = /^[\w-]+$/.test(task) && [`/ecs/${task}`, `ecstasks-${task}.slice`].includes(value);
  if (value === '' || isOwn || isAllowed(asker, 'CgroupParent', value)) return value;
  throw refusal(at, value, `CgroupParent=${value}`);
});

const PARTNER = 'container:NAME (of its own task, or a hosted one)';

/** @param words accepted in addition to a container's namespace, which is looked up in Docker */
function namespace(field: string, words: string): Rule {
  const accepted = new RegExp(`^(${words.replaceAll(', ', '|')}|container:.+)?$`);
  return text(`${[words, PARTNER].filter(Boolean).join(', ')}; \`${field}=host\``, accepted, field);
}

const sysctls = anyForm('of its own network and IPC namespaces; `Sysctls=NAME`', (value, at, asker) => {
  if (!isRecord(value)) throw misshapen(at, 'an object');
  for (const name of Object.keys(value)) {
    const isOwn =
      /^(net\.(core|ipv4|ipv6)\.[\w./-]+|fs\.mqueue\.\w+|kernel\.(msg(max|mnb|mni)|sem|shm(all|max|mni|_rmid_forced)))$/.test(
        name,
      );
    if (!isOwn && !isAllowed(asker, 'Sysctls', name)) throw refusal(at, name, `Sysctls=${name}`);
  }
  return value;
});

const throttle = list(
  object({ Path: text('a device', /^\/dev\/[\w/-]+$/), Rate: number(0), Weight: number(0) }),
);

const ulimit = object({ Name: text('a name', /^[a-z]+$/), Soft: number(-1), Hard: number(-1) });

const oomKillDisable = anyForm('false; `OomKillDisable=true`', (value, at, asker) => {
  if (isEmpty(value) || isAllowed(asker, 'OomKillDisable', 'true')) return value;
  throw refusal(at, value, 'OomKillDisable=true');
});

/** The fields that can be changed in an existing container: its limits. */
export const limits: Fields = {
  BlkioWeight: number(0),
  CpuPeriod: number(0),
  CpuQuota: number(-1),
  CpuShares: number(0),
  CpusetCpus: text('any', /^[\d,-]*$/),
  CpusetMems: text('any', /^[\d,-]*$/),
  KernelMemory: number(0),
  KernelMemoryTCP: number(0),
  Memory: number(0),
  MemoryReservation: number(0),
  MemorySwap: number(-1),
  NanoCpus: number(0),
};

export const network = object(
  {
    Aliases: list(text('names', /^[\w.-]+$/)),
    Links: list(text('names', /^[\w./-]+(:[\w.-]+)?$/)),
    IPAMConfig: object({
      IPv4Address: text('an address', /^[\d.]*$/),
      IPv6Address: text('an address', /^[\da-fA-F:.]*$/),
    }),
    GwPriority: number(-Infinity, 'any'),
  },
  'aliases, links and addresses',
);

const portBinding = object({
  HostIp: text('an address', /^[\da-fA-F:.]*$/),
  HostPort: text('a port or a range', /^(\d+(-\d+)?)?$/),
});

export const HOST_CONFIG: Fields = {
  ...limits,
  AutoRemove: flag,
  Binds: binds,
  BlkioDeviceReadBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceWriteIOps: throttle,
  BlkioWeightDevice: throttle,
  CapAdd: list(capability, `${CAPABILITIES.replaceAll(' ', ', ')}; \`CapAdd=NAME\``),
  CapDrop: texts,
  CgroupParent: cgroupParent,
  CgroupnsMode: text('private; `CgroupnsMode=host`', /^(private)?$/, 'CgroupnsMode'),
  ConsoleSize: list(number(0)),
  DeviceCgroupRules: list(deviceRule, deviceRule.says),
  DeviceRequests: list(deviceRequest, "nvidia's GPUs"),
  Devices: list(device, 'GPUs (`/dev/nvidia…`, `/dev/dri/renderD…`); `Devices=PATH`'),
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  Init: flag,
  IpcMode: namespace('IpcMode', 'none, private, shareable'),
  Isolation: text('default', /^(default)?$/),
  Links: list(text('of containers of its own task, or hosted ones; `Links=NAME`')),
  LogConfig: logConfig,
  MaskedPaths: systemPaths(MASKED),
  MemorySwappiness: number(-1),
  Mounts: mounts,
  NetworkMode: text(
    `default, bridge, a user-defined network, ${PARTNER}; \`NetworkMode=NAME\``,
    /^[\w.:-]*$/,
  ),
  OomKillDisable: oomKillDisable,
  OomScoreAdj: number(0, '0 to 1000', 1000),
  PidMode: namespace('PidMode', ''),
  PidsLimit: number(0),
  PortBindings: mapOf(list(portBinding), 'any', /^\d+(-\d+)?(\/(tcp|udp|sctp))?$/),
  Privileged: privileged,
  PublishAllPorts: flag,
  ReadonlyPaths: systemPaths(READ_ONLY),
  ReadonlyRootfs: flag,
  RestartPolicy: restartPolicy,
  Runtime: text('runc, nvidia; `Runtime=NAME`', /^(runc|io\.containerd\.runc\.v2|nvidia)?$/, 'Runtime'),
  SecurityOpt: list(securityOpt, 'no-new-privileges; `SecurityOpt=OPTION`'),
  ShmSize: number(0),
  StorageOpt: mapOf(text('size'), 'size', /^size$/),
  Sysctls: sysctls,
  Tmpfs: tmpfs,
  UTSMode: text('none; `UTSMode=host`', /^$/, 'UTSMode'),
  Ulimits: list(ulimit, 'any'),
  UsernsMode: text('none; `UsernsMode=host`', /^$/, 'UsernsMode'),
  VolumeDriver: text('local', /^(local)?$/),
  VolumesFrom: list(
    text('see below', /^[a-zA-Z0-9][\w.-]*(:(ro|rw))?$/),
    'containers whose mounts are all volumes, apart from those that this container mounts over',
  ),
};

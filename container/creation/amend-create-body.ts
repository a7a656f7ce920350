/**
 * The one function that turns a Docker create body into that of a hosted container, whoever wrote it. It adds the
 * container's resources. `accept-create-body.ts` has checked the request before.
 */

import { resolve } from 'node:path';
import { ServiceError } from '../../errors/service-error.ts';
import { deviceRule } from '../../ttys/ttys.ts';
import { CGROUPS, WRITABLE_CGROUP } from '../host-paths.ts';
import { type Labelled, labelsOf } from '../labels.ts';
import { isCgroupRoot } from './accepted-mounts.ts';
import {
  type CreateBody,
  type DeviceMapping,
  type HostConfig,
  type Mount,
  PLACEHOLDER,
} from './create-body.ts';
import { type DefaultLimits, withDefaultLimits } from './default-limits.ts';
import { type GpuAccess, withGpus } from './gpu-requests.ts';
import { confine } from './seccomp-profile.ts';

/** The resources of the container, which are taken before Docker knows it. */
export interface Allotted extends Labelled {
  /** Host ports by container port, such as `32262/tcp` → 32262. */
  readonly ports: ReadonlyMap<string, number>;
  /** Missing: it has no console. */
  readonly tty?: number | undefined;
  /** Its own input devices. */
  readonly devices: readonly DeviceMapping[];
  /** JSON; undefined if Docker supports none. */
  readonly seccompProfile: string | undefined;
  /** They apply where the body sets none. */
  readonly limits: DefaultLimits;
  /** The path of its own control group in systemd's hierarchy; undefined if there is none. */
  readonly cgroup: string | undefined;
  /** The UUIDs of the GPUs that it gets, and how. */
  readonly gpus: readonly string[];
  readonly gpuAccess: GpuAccess;
}

/** Does not change the body in place. */
export function amendCreateBody(accepted: CreateBody, allotted: Allotted): CreateBody {
  const body = withGpus(accepted, allotted.gpus, allotted.gpuAccess);
  const host = body.HostConfig ?? {};
  const [cgroupBinds, binds] = split(
    (host.Binds ?? []).map((bind) => fillIn(bind, allotted)),
    (bind) => isCgroupRoot(bind.split(':')[0]),
  );
  const [cgroupMounts, mounts] = split(
    (host.Mounts ?? []).map((mount) => fillInSource(mount, allotted)),
    ({ Source }) => isCgroupRoot(Source),
  );
  const cgroupTargets = [
    ...cgroupBinds.flatMap((bind) => bind.split(':')[1] ?? []),
    ...cgroupMounts.map(({ Target }) => Target),
  ];
  return {
    ...body,
    Labels: { ...body.Labels, ...labelsOf(allotted) },
    ExposedPorts: {
      ...body.ExposedPorts,
      ...Object.fromEntries([...allotted.ports.keys()].map((port) => [port, {}])),
    },
    HostConfig: {
      ...withDefaultLimits(host, allotted.limits),
      Binds: binds,
      Mounts: [...mounts, ...cgroupTargets.flatMap((target) => mountCgroup(target, allotted.cgroup))],
      ...(cgroupTargets.length > 0 && { CgroupnsMode: 'private' }),
      PortBindings: bindPorts(host.PortBindings ?? {}, allotted.ports),
      Devices: [...(host.Devices ?? []), ...allotted.devices],
      DeviceCgroupRules: [...(host.DeviceCgroupRules ?? []), ...consoleRules(allotted)],
      SecurityOpt: confine(host.SecurityOpt, allotted.seccompProfile),
    },
  };
}

function consoleRules({ tty }: Allotted): string[] {
  return tty === undefined ? [] : [deviceRule(tty)];
}

function fillIn(text: string, { containerId }: Allotted): string {
  return text.replaceAll(PLACEHOLDER, containerId);
}

function fillInSource(mount: Mount, allotted: Allotted): Mount {
  return mount.Source === undefined ? mount : { ...mount, Source: fillIn(mount.Source, allotted) };
}

function bindPorts(asked: NonNullable<HostConfig['PortBindings']>, ports: Allotted['ports']) {
  const bound = [...ports].map(([port, hostPort]) => {
    const HostIp = asked[port]?.[0]?.HostIp ?? '';
    return [port, [{ HostIp, HostPort: String(hostPort) }]];
  });
  return { ...asked, ...Object.fromEntries(bound) };
}

/** Splits a list into the items that match and the others. */
function split<T>(all: readonly T[], matches: (one: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(all, (one) => (matches(one) ? 'yes' : 'no'));
  return [yes, no];
}

/**
 * The container sees only its own control groups: those that Docker shows at this path, read-only, and a writable one
 * for a systemd in it. That systemd looks for itself at the root, where a private cgroup namespace puts it.
 */
function mountCgroup(target: string, cgroup: string | undefined): Mount[] {
  if (resolve(target) !== CGROUPS) {
    throw new ServiceError('create.bad_body', {
      why: `${CGROUPS} cannot be mounted at ${target}; mount it at ${CGROUPS}`,
    });
  }
  if (cgroup === undefined) return [];
  const BindOptions = { NonRecursive: true };
  return [{ Type: 'bind', Source: cgroup, Target: WRITABLE_CGROUP, ReadOnly: false, BindOptions }];
}

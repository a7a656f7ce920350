/**
 * The one function that turns a Docker create body into that of a hosted container, whoever wrote the body.
 * It puts in what the container was allotted. What was asked for has been accepted before (`accept-create-body.ts`).
 */

import { relative } from 'node:path';
import { join } from 'node:path/posix';
import { deviceRule } from '../ttys/ttys.ts';
import { isCgroupRoot } from './accepted-mounts.ts';
import {
  type CreateBody,
  type DeviceMapping,
  type HostConfig,
  type Mount,
  PLACEHOLDER,
} from './create-body.ts';
import { type DefaultLimits, withDefaultLimits } from './default-limits.ts';
import { CGROUPS, HIDDEN_CGROUP, WRITABLE_CGROUP } from './forbidden.ts';
import { type Labelled, labelsOf } from './labels.ts';
import { confine } from './seccomp-profile.ts';

/** What the container was allotted before Docker hears of it. */
export interface Allotted extends Labelled {
  /** Host port by container port, such as `32262/tcp` → 32262. */
  readonly ports: ReadonlyMap<string, number>;
  /** Left out: it has no console. */
  readonly tty?: number | undefined;
  /** Its own input devices. */
  readonly devices: readonly DeviceMapping[];
  /** The mount points at and below /sys/fs/cgroup. */
  readonly cgroupMounts: readonly string[];
  /** JSON; undefined where Docker takes none. */
  readonly seccompProfile: string | undefined;
  /** Where the body sets none. */
  readonly limits: DefaultLimits;
}

/** The body is not changed in place. @param body accepted */
export function amendCreateBody(body: CreateBody, allotted: Allotted): CreateBody {
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
      Mounts: [...mounts, ...cgroupTargets.flatMap((target) => mountCgroups(target, allotted.cgroupMounts))],
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

/** Those that match, and the others. */
function split<T>(all: readonly T[], matches: (one: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(all, (one) => (matches(one) ? 'yes' : 'no'));
  return [yes, no];
}

/**
 * A read-only bind of /sys/fs/cgroup does not make the hierarchies mounted in it read-only: root in the
 * container could write its pid to the `devices` hierarchy's root and open every console and keyboard of
 * the host. So each hierarchy is bound by itself, read-only where it rules over anything.
 */
function mountCgroups(target: string, mountPoints: readonly string[]): Mount[] {
  const shown = mountPoints.filter((source) => source !== HIDDEN_CGROUP);
  return shown.map((source) => ({
    Type: 'bind',
    Source: source,
    Target: join(target, relative(CGROUPS, source)),
    ReadOnly: source !== WRITABLE_CGROUP,
    BindOptions: { NonRecursive: true },
  }));
}

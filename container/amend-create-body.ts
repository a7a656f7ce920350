/**
 * The one function that turns a Docker create body into that of a hosted container, whoever wrote the body.
 * It puts in what the container was allotted, and refuses what would let it out of that.
 */

import { resolve } from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import { deviceRule } from '../ttys/ttys.ts';
import {
  type CreateBody,
  checkCreateBody,
  type DeviceMapping,
  type HostConfig,
  type Mount,
  PLACEHOLDER,
} from './create-body.ts';
import { CGROUPS, realPath, refuseForbidden, WRITABLE_CGROUP } from './forbidden.ts';
import { type Labelled, labelsOf } from './labels.ts';

/** What the container was allotted before Docker hears of it. */
export interface Allotted extends Labelled {
  /** Host port by container port, such as `32262/tcp` → 32262. */
  readonly ports: ReadonlyMap<string, number>;
  readonly tty: number;
  /** Its own input devices. */
  readonly devices: readonly DeviceMapping[];
  /** What leads to its own control group in the hierarchy of systemd's; undefined where there is none. */
  readonly cgroup: string | undefined;
}

/**
 * The body is not changed in place.
 * @throws {ServiceError} `create.*` when it asks for what a hosted container must not have
 */
export function amendCreateBody(body: CreateBody, allotted: Allotted): CreateBody {
  const host = checkCreateBody(body).HostConfig ?? {};
  refuseForbidden(host);
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
      ...host,
      Binds: binds,
      Mounts: [...mounts, ...cgroupTargets.flatMap((target) => mountCgroup(target, allotted.cgroup))],
      ...(cgroupTargets.length > 0 && { CgroupnsMode: 'private' }),
      PortBindings: bindPorts(host.PortBindings ?? {}, allotted.ports),
      Devices: [...(host.Devices ?? []), ...allotted.devices],
      DeviceCgroupRules: [...(host.DeviceCgroupRules ?? []), deviceRule(allotted.tty)],
    },
  };
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

function isCgroupRoot(source: string | undefined): boolean {
  return source !== undefined && realPath(source) === CGROUPS;
}

/** Those that match, and the others. */
function split<T>(all: readonly T[], matches: (one: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(all, (one) => (matches(one) ? 'yes' : 'no'));
  return [yes, no];
}

/**
 * Of the host's control groups a container gets none but its own: those Docker shows it at this place, read-only, and
 * one for a systemd inside to write. That looks for itself at the root, where a private namespace puts it.
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

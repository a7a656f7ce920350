/**
 * The one function that turns a Docker create body into that of a hosted container, whoever wrote the body.
 * It puts in what the container was allotted, and refuses what would let it out of that.
 *
 * The body is that of `POST /containers/create` (Docker Engine API 1.41); it is never changed in place.
 */

import { relative, resolve } from 'node:path';
import { join } from 'node:path/posix';
import { ServiceError } from '../errors/service-error.ts';
import { deviceRule } from '../ttys/ttys.ts';
import { isRecord } from './json.ts';
import { type Labelled, labelsOf } from './labels.ts';

/** Stands for the container id in the host paths of a body. */
export const PLACEHOLDER = '%%FRACTAL_ID_PLACEHOLDER%%';
/** The container port by whose host port the webserver and the client app name a container. */
export const IDENTIFYING_PORT = '32262/tcp';

export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

export interface Mount {
  readonly Type: string;
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly BindOptions?: Readonly<Record<string, unknown>>;
}

export interface HostConfig {
  readonly Binds?: readonly string[] | null;
  readonly Mounts?: readonly Mount[] | null;
  readonly PortBindings?: Readonly<Record<string, readonly PortBinding[] | null>> | null;
  readonly Devices?: readonly { readonly PathOnHost?: string }[] | null;
  readonly DeviceCgroupRules?: readonly string[] | null;
  readonly RestartPolicy?: { readonly Name?: string } | null;
  readonly Privileged?: boolean;
  readonly [field: string]: unknown;
}

export interface CreateBody {
  readonly Image?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly HostConfig?: HostConfig | null;
  readonly [field: string]: unknown;
}

/** What the container was allotted before Docker hears of it. */
export interface Allotted extends Labelled {
  /** Host port by container port, such as `32262/tcp` → 32262. */
  readonly ports: ReadonlyMap<string, number>;
  readonly tty: number;
  /** The mount points at and below /sys/fs/cgroup. */
  readonly cgroupMounts: readonly string[];
}

/** @throws {ServiceError} `create.*` when the body asks for what a hosted container must not have */
export function amendCreateBody(body: CreateBody, allotted: Allotted): CreateBody {
  const host = body.HostConfig ?? {};
  refuse(host);
  const binds = (host.Binds ?? []).map((bind) => fillIn(bind, allotted));
  const mounts = (host.Mounts ?? []).map((mount) => fillInSource(mount, allotted));
  return {
    ...body,
    Labels: { ...body.Labels, ...labelsOf(allotted) },
    ExposedPorts: {
      ...body.ExposedPorts,
      ...Object.fromEntries([...allotted.ports.keys()].map((port) => [port, {}])),
    },
    HostConfig: {
      ...host,
      Binds: binds.filter((bind) => !isCgroupRoot(bind.split(':')[0])),
      Mounts: [
        ...mounts.filter((mount) => !isCgroupRoot(mount.Source)),
        ...[...binds.map(targetOfCgroupBind), ...mounts.map(targetOfCgroupMount)]
          .filter((target) => target !== undefined)
          .flatMap((target) => cgroupMounts(target, allotted.cgroupMounts)),
      ],
      PortBindings: bindPorts(host.PortBindings ?? {}, allotted.ports),
      DeviceCgroupRules: [...(host.DeviceCgroupRules ?? []), deviceRule(allotted.tty)],
    },
  };
}

/** The container ports that the body publishes, each once, with the host port that it asks for. */
export function portsWanted(body: CreateBody): Map<string, number | undefined> {
  const wanted = new Map<string, number | undefined>();
  for (const [port, bindings] of Object.entries(body.HostConfig?.PortBindings ?? {})) {
    const asked = Number(bindings?.[0]?.HostPort || Number.NaN);
    wanted.set(port, Number.isInteger(asked) && asked > 0 ? asked : undefined);
  }
  if (!wanted.has(IDENTIFYING_PORT)) throw new ServiceError('create.no_identifying_port', {});
  return wanted;
}

function fillIn(text: string, { containerId }: Allotted): string {
  if (typeof text !== 'string')
    throw new ServiceError('create.bad_body', { why: 'Binds must be a list of strings' });
  return text.replaceAll(PLACEHOLDER, containerId);
}

function fillInSource(mount: Mount, allotted: Allotted): Mount {
  if (!isRecord(mount))
    throw new ServiceError('create.bad_body', { why: 'Mounts must be a list of objects' });
  return mount.Source === undefined ? mount : { ...mount, Source: fillIn(mount.Source, allotted) };
}

function bindPorts(asked: NonNullable<HostConfig['PortBindings']>, ports: Allotted['ports']) {
  const bound = [...ports].map(([port, hostPort]) => {
    const HostIp = asked[port]?.[0]?.HostIp ?? '';
    return [port, [{ HostIp, HostPort: String(hostPort) }]];
  });
  return { ...asked, ...Object.fromEntries(bound) };
}

const CGROUPS = '/sys/fs/cgroup';
/** The hierarchies that a systemd in the container must write and that give no right to a device. */
const WRITABLE_CGROUPS = [`${CGROUPS}/systemd`, `${CGROUPS}/unified`];

function isCgroupRoot(source: string | undefined): boolean {
  return source !== undefined && resolve(source) === CGROUPS;
}

function targetOfCgroupBind(bind: string): string | undefined {
  const [source, target] = bind.split(':');
  return isCgroupRoot(source) ? target : undefined;
}

function targetOfCgroupMount(mount: Mount): string | undefined {
  return isCgroupRoot(mount.Source) ? mount.Target : undefined;
}

/**
 * A read-only bind of /sys/fs/cgroup does not make the hierarchies mounted in it read-only: root in the
 * container could write its pid to the `devices` hierarchy's root and open every console and keyboard of
 * the host. So each hierarchy is bound by itself, read-only where it rules over anything.
 */
function cgroupMounts(target: string, mountPoints: readonly string[]): Mount[] {
  return mountPoints.map((source) => ({
    Type: 'bind',
    Source: source,
    Target: join(target, relative(CGROUPS, source)),
    ReadOnly: !WRITABLE_CGROUPS.includes(source),
    BindOptions: { NonRecursive: true },
  }));
}

function refuse(host: HostConfig): void {
  const policy = host.RestartPolicy?.Name;
  if (policy && policy !== 'no') throw new ServiceError('create.restart_policy', { policy });
  if (host.Privileged) throw new ServiceError('create.privileged', {});
  for (const rule of host.DeviceCgroupRules ?? []) refuseRule(rule);
  for (const device of host.Devices ?? []) refuseDevice(device.PathOnHost ?? '');
}

/** Majors of the consoles and of the input devices: a container gets those that are its own from us. */
const OUR_MAJORS = ['4', '13'];

function refuseRule(rule: string): void {
  const [, type, major] = /^([abc]) (\d+|\*):(?:\d+|\*) [rwm]+$/.exec(rule) ?? [];
  if (!type || !major) throw new ServiceError('create.bad_body', { why: `"${rule}" is not a device rule` });
  if (type === 'b' || (type === 'c' && major !== '*' && !OUR_MAJORS.includes(major))) return;
  throw new ServiceError('create.bad_body', {
    why: `the device rule "${rule}" would open other containers' consoles or input devices; leave it out`,
  });
}

function refuseDevice(path: string): void {
  if (!/^\/dev(\/(tty\d+|input(\/.*)?|uinput))?$/.test(resolve(path))) return;
  throw new ServiceError('create.bad_body', {
    why: `the device ${path} would open other containers' consoles or input devices; leave it out`,
  });
}

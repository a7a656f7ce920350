/**
 * The rules for the mounts of a hosted container: its own directories, a few of the host's directories that are listed
 * here, the ECS agent's for its task, those in the settings, volumes that contain nothing of the host, and tmpfs. A
 * path must be exactly one of these, because a container may have changed anything inside them or on the way to them.
 */

import { normalize } from 'node:path/posix';
import { isRecord } from '../../parsing/json.ts';
import { RECORDS } from '../../uinput-native/input-device.ts';
import { directoriesOf } from '../directories.ts';
import { CGROUPS, realPath } from '../host-paths.ts';
import { TASK } from '../labels.ts';
import {
  type Asker,
  anyForm,
  anyText,
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
} from './accepted-fields.ts';
import { PLACEHOLDER } from './create-body.ts';

/** Propagation modes with which neither side sees the other's mounts, or only the container sees the host's. */
const PRIVATE = ['private', 'rprivate', 'slave', 'rslave'];
/** The old task definitions need the container to see the host's mounts, but not the reverse. */
const SLAVE = new Map([
  ['shared', 'slave'],
  ['rshared', 'rslave'],
]);
const CONSISTENCY = ['consistent', 'cached', 'delegated', 'default'];
const LABELLED = ['z', 'Z'];

/** Whether the kernel shows host-wide information there. Nothing may be mounted there except the control groups. */
function isKernels(target: string): boolean {
  // For a volume, Docker takes a path without a leading slash as one from the root.
  const place = tidy(`/${target}`);
  return /^\/(proc|sys)(\/|$)/.test(place) || place === '/';
}

function tidy(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

/** A directory of the host that may be mounted, with the conditions. */
interface Place {
  readonly isReadOnly: boolean;
  /** Whether it may get a security label, which keeps the other containers of an SELinux host from using it. */
  readonly isOurs: boolean;
}

function placesOf({ paths, labels }: Asker): Map<string, Place> {
  const own = directoriesOf(paths, PLACEHOLDER);
  const writable = [own.userConfig, own.sockets, own.cloudStorage];
  return new Map([
    [own.mappings, { isReadOnly: true, isOurs: true }],
    [RECORDS, { isReadOnly: true, isOurs: false }],
    ...writable.map((path): [string, Place] => [path, { isReadOnly: false, isOurs: true }]),
    ...agentPlaces(paths.agent, labels),
  ]);
}

const NAME = /^[\w.~-]+$/;

/** The ECS agent's mounts for a task. Source: its `containermetadata`, `taskresource/firelens` and `engine/execcmd`. */
function agentPlaces({ state, log }: Asker['paths']['agent'], labels: Asker['labels']): [string, Place][] {
  const task = labels[TASK]?.split('/').at(-1) ?? '';
  const name = labels['com.amazonaws.ecs.container-name'] ?? '';
  const cluster = labels['com.amazonaws.ecs.cluster']?.split('/').at(-1) ?? '';
  if (![task, name].every((one) => NAME.test(one) && !/^\.+$/.test(one))) return [];
  const writable = { isReadOnly: false, isOurs: true };
  return [
    [`${state}/data/metadata/${task}/${name}`, writable],
    ...(NAME.test(cluster) ? [[`${state}/data/metadata/${cluster}/${task}/${name}`, writable] as const] : []),
    [`${state}/data/firelens/${task}/config/fluent.conf`, writable],
    [`${state}/data/firelens/${task}/config/external.conf`, writable],
    [`${state}/data/firelens/${task}/socket`, writable],
    [`${log}/exec/${task}/${name.replace(/^-+/, '')}`, writable],
  ].map(([path, place]) => [path, place] as [string, Place]);
}

/** Programs, settings and certificates of ECS Exec, which only root can write. */
function isExecFile(path: string, { paths }: Asker): boolean {
  const below = `${paths.agent.state}/deps/execute-command/`;
  return (
    path.startsWith(below) &&
    /^(bin\/[\d.]+\/[\w-]+|config\/[\w.=-]+|certs\/[\w.-]+)$/.test(path.slice(below.length))
  );
}

/** The control groups themselves, which are mounted differently from the request. */
export function isCgroupRoot(source: string | undefined): boolean {
  return source !== undefined && tidy(source) === CGROUPS;
}

interface Bind {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
  readonly propagation?: string | undefined;
  readonly isLabelled?: boolean;
}

/** @returns the propagation with which it may be mounted @throws {ServiceError} `create.not_allowed` */
function acceptBind(bind: Bind, at: string, asker: Asker): string | undefined {
  const { source, target, isReadOnly, propagation } = bind;
  if (isCgroupRoot(source)) return undefined;
  const path = tidy(source);
  const token = isAllowed(asker, 'Binds', path);
  const place = isExecFile(path, asker)
    ? { isReadOnly: true, isOurs: true }
    : (placesOf(asker).get(path) ?? (token ? { isReadOnly: false, isOurs: false } : undefined));
  const isLink = !path.includes(PLACEHOLDER) && !token && realPath(path) !== path;
  if (!place || isLink) throw refusal(at, source, `Binds=${path}`);
  if (place.isReadOnly && !isReadOnly) throw refusal(at, `${source} writable`);
  if (bind.isLabelled && !place.isOurs) throw refusal(at, 'an SELinux label for a directory of the host');
  if (isKernels(target)) throw refusal(at, `a mount at ${target}`);
  if (!propagation || PRIVATE.includes(propagation)) return propagation;
  const slave = place.isOurs ? SLAVE.get(propagation) : undefined;
  if (!slave) throw refusal(at, propagation);
  return slave;
}

/** A bind in Docker's syntax: `target`, `source:target`, `target:modes` or `source:target:modes`. */
export interface ParsedBind {
  /** A path on the host or the name of a volume; undefined: a new volume. */
  readonly source: string | undefined;
  readonly target: string;
  readonly modes: readonly string[];
}

function isModes(words: readonly string[]): boolean {
  const known = ['ro', 'rw', 'nocopy', ...LABELLED, ...CONSISTENCY, ...PRIVATE, ...SLAVE.keys()];
  return words.every((word) => known.includes(word));
}

/** @throws {ServiceError} `create.bad_body` */
export function parseBind(bind: string, at: string): ParsedBind {
  const [first = '', second, third, ...more] = bind.split(':');
  const words = (modes: string) => modes.split(',');
  const form = 'like SOURCE:TARGET or SOURCE:TARGET:MODES, with paths that are absolute';
  const parsed =
    second === undefined
      ? { source: undefined, target: first, modes: [] }
      : third === undefined && isModes(words(second))
        ? { source: undefined, target: first, modes: words(second) }
        : { source: first, target: second, modes: third === undefined ? [] : words(third) };
  const isWhole = more.length === 0 && parsed.target.startsWith('/') && parsed.source !== '';
  if (!isWhole || !isModes(parsed.modes)) throw misshapen(at, form);
  return parsed;
}

export const VOLUME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

function acceptBindText(bind: string, at: string, asker: Asker): string {
  const { source, target, modes } = parseBind(bind, at);
  const others = modes.filter((mode) => !PRIVATE.includes(mode) && !SLAVE.has(mode));
  const [propagation, ...contradicting] = modes.filter((mode) => !others.includes(mode));
  if (contradicting.length > 0) throw misshapen(at, 'of one propagation');
  if (source === undefined || VOLUME.test(source)) {
    if (propagation) throw refusal(at, propagation);
    if (isKernels(target)) throw refusal(at, `a mount at ${target}`);
    return bind;
  }
  if (!source.startsWith('/')) throw misshapen(at, 'of a volume or an absolute path');
  const isLabelled = modes.some((mode) => LABELLED.includes(mode));
  const isReadOnly = modes.includes('ro');
  const given = acceptBind({ source, target, isReadOnly, propagation, isLabelled }, at, asker);
  const words = given ? [...others, given] : others;
  return [source, target, ...(words.length > 0 ? [words.join(',')] : [])].join(':');
}

export const binds: Rule = list(
  judged('see below', acceptBindText),
  "its own directories (by the placeholder), /run/udev/data read-only, /sys/fs/cgroup, the ECS agent's for its task, and volumes; `Binds=PATH`",
);

const driver = object({ Name: text('local', /^(local)?$/), Options: nothing }, 'local, without options');

const mountFields = {
  Type: text('bind, volume or tmpfs', /^(bind|volume|tmpfs)$/),
  Source: anyText,
  Target: anyText,
  ReadOnly: flag,
  Consistency: text('any of Docker’s', /^(consistent|cached|delegated|default|)$/),
  BindOptions: object({
    Propagation: anyText,
    NonRecursive: flag,
    CreateMountpoint: flag,
    ReadOnlyForceRecursive: flag,
  }),
  VolumeOptions: object({ NoCopy: flag, Labels: mapOf(anyText, 'any'), DriverConfig: driver }),
  TmpfsOptions: object({ SizeBytes: number(0), Mode: number(0) }),
};
const mountShape = object(mountFields);

function acceptMount(value: unknown, at: string, asker: Asker): unknown {
  if (asker.granted.includes(value)) return value;
  const mount = mountShape.accept(value, at, asker) as Record<string, unknown>;
  const { Type, Source, Target, ReadOnly, BindOptions } = mount as Record<string, never>;
  if (!Type || typeof Target !== 'string' || !(Target as string).startsWith('/')) {
    throw misshapen(at, 'a mount with a type and an absolute target');
  }
  if (Type !== 'bind') {
    if (BindOptions && !isEmpty(BindOptions)) throw misshapen(`${at}.BindOptions`, 'left out');
    if (isKernels(Target)) throw refusal(at, `a mount at ${String(Target)}`);
    if (Type === 'volume' && Source && !VOLUME.test(Source))
      throw misshapen(`${at}.Source`, 'the name of a volume');
    if (Type === 'tmpfs' && Source) throw misshapen(`${at}.Source`, 'left out');
    return mount;
  }
  if (typeof Source !== 'string' || !(Source as string).startsWith('/')) {
    throw misshapen(`${at}.Source`, 'an absolute path');
  }
  const options = isRecord(BindOptions) ? (BindOptions as Record<string, unknown>) : undefined;
  const asked = (options?.Propagation ?? undefined) as string | undefined;
  const isReadOnly = ReadOnly === true;
  const propagation = acceptBind(
    { source: Source, target: Target, isReadOnly, propagation: asked },
    at,
    asker,
  );
  return asked ? { ...mount, BindOptions: { ...options, Propagation: propagation ?? '' } } : mount;
}

export const mounts: Rule = list(
  anyForm('see below', acceptMount, { fields: mountFields }),
  'as `Binds`, volumes of the driver `local` without options, and tmpfs',
);

const TMPFS =
  /^(|rw|ro|exec|noexec|suid|nosuid|dev|nodev|sync|async|atime|noatime|diratime|nodiratime|relatime|norelatime|strictatime|size=\d+[kKmMgG%]?|mode=[0-7]+|uid=\d+|gid=\d+|nr_inodes=\d+[kKmMgG]?)$/;

export const tmpfs: Rule = anyForm(
  'options of size, mode, owner and rights; not below /proc or /sys',
  (value, at) => {
    if (!isRecord(value)) throw misshapen(at, 'an object');
    for (const [target, options] of Object.entries(value)) {
      if (typeof options !== 'string') throw misshapen(`${at}.${target}`, 'a string');
      if (isKernels(target)) throw refusal(at, target);
      const strange = options.split(',').find((option) => !TMPFS.test(option));
      if (strange !== undefined) throw refusal(`${at}.${target}`, strange);
    }
    return value;
  },
);

export const volumes: Rule = anyForm('new volumes; not below /proc or /sys', (value, at) => {
  if (!isRecord(value)) throw misshapen(at, 'an object');
  const strange = Object.keys(value).find((target) => isKernels(target));
  if (strange !== undefined) throw refusal(at, strange);
  return value;
});

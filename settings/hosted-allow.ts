/** HOSTED_ALLOW: the requests to Docker that operators allow hosted containers in addition to the built-in table. */

import { isAbsolute, normalize } from 'node:path';

/** The values that are allowed in addition to the built-in table, by field. */
export type Allowance = ReadonlyMap<string, ReadonlySet<string>>;

interface Kind {
  /** The form that a value must have, for the error that refuses it. */
  readonly form: string;
  readonly fits: (value: string) => boolean;
}

function words(...values: string[]): Kind {
  return { form: values.join(' or '), fits: (value) => values.includes(value) };
}

function pattern(form: string, expression: RegExp): Kind {
  return { form, fits: (value) => expression.test(value) };
}

const NAME = '[a-zA-Z0-9][a-zA-Z0-9_.-]*';
const PARTNER = `container:${NAME}`;

/**
 * Mounting one of these paths, or anything above or below it, gives root's rights on the host or in another container.
 */
const NEVER_BOUND = [
  '/proc',
  '/sys',
  '/dev',
  '/etc',
  '/run',
  '/var/run',
  '/boot',
  '/root',
  '/fractal',
].concat(
  '/fractalprivate',
  '/fractalCloudStorage',
  '/var/lib/docker',
  '/var/lib/containerd',
  '/var/lib/ecs-host-service',
);

function isBindable(path: string): boolean {
  if (!isAbsolute(path) || normalize(path) !== path || path.endsWith('/')) return false;
  return !NEVER_BOUND.some((one) => one === path || one.startsWith(`${path}/`) || path.startsWith(`${one}/`));
}

/** No container may have consoles, their contents, uinput, input devices, memory or disks. */
const NEVER_A_DEVICE =
  /^\/dev\/(tty\d*|console|vcs.*|input|uinput|uhid|char|block|mem|kmem|port|sd.*|nvme.*|xvd.*|vd.*|dm-.*|mapper|loop.*)(\/.*)?$/;

function isGivableDevice(path: string): boolean {
  return /^\/dev\/[\w/:.-]+$/.test(path) && normalize(path) === path && !NEVER_A_DEVICE.test(path);
}

/** Major numbers of consoles, their contents, input devices, and of the group of devices that uinput belongs to. */
const OURS = [4, 5, 7, 10, 13];

function isGivableRule(rule: string): boolean {
  const [, major] = /^c (\d+):(?:\d+|\*) [rwm]{1,3}$/.exec(rule) ?? [];
  return major !== undefined && !OURS.includes(Number(major));
}

const KINDS: Readonly<Record<string, Kind>> = {
  Binds: {
    form: 'an absolute path of this host that gives no way to root, such as /srv/data',
    fits: isBindable,
  },
  CapAdd: pattern('a capability such as SYS_PTRACE', /^(?!ALL$|CAP_)[A-Z][A-Z_]+$/),
  CgroupnsMode: words('host'),
  CgroupParent: pattern('a group such as /batch', /^\/?[\w-]+(\.slice)?(\/[\w-]+)*$/),
  DeviceCgroupRules: {
    form: 'a rule such as "c 226:* rw" that opens no console and no input device',
    fits: isGivableRule,
  },
  Devices: {
    form: 'a device such as /dev/snd/timer that is no console, input device, memory or disk',
    fits: isGivableDevice,
  },
  Exec: words('privileged'),
  IpcMode: pattern(`host or ${PARTNER}`, new RegExp(`^(host|${PARTNER})$`)),
  Links: pattern('the name of a container', new RegExp(`^${NAME}$`)),
  LogConfig: pattern('a logging driver such as splunk', /^[a-z][\w.:/-]*$/),
  NetworkMode: pattern(
    `the name of a network, or ${PARTNER}`,
    new RegExp(`^(?!(host|none)$)(${PARTNER}|${NAME})$`),
  ),
  OomKillDisable: words('true'),
  PidMode: pattern(`host or ${PARTNER}`, new RegExp(`^(host|${PARTNER})$`)),
  Runtime: pattern('the name of a runtime', /^[\w.-]+$/),
  SecurityOpt: pattern(
    'seccomp=unconfined, apparmor=PROFILE, label=disable or systempaths=unconfined',
    /^(seccomp=unconfined|apparmor=[\w./-]+|label=disable|systempaths=unconfined)$/,
  ),
  Sysctls: pattern('the name of a kernel parameter', /^[a-z][\w.-]+$/),
  UTSMode: words('host'),
  UsernsMode: words('host'),
  Volumes: pattern('the name of a volume', new RegExp(`^${NAME}$`)),
};

/** The fields that a token of HOSTED_ALLOW may name. */
export const ALLOWABLE = Object.keys(KINDS);

/**
 * @param text tokens such as `CapAdd=SYS_PTRACE`, separated by commas, or `none`
 * @throws Error that names the wrong token
 */
export function hostedAllow(text: string): Allowance {
  const found = new Map<string, Set<string>>();
  if (text === 'none') return found;
  for (const token of text.split(',').map((part) => part.trim())) {
    const [, field = '', value = ''] = /^(\w+)=(.*)$/.exec(token) ?? [];
    const kind = Object.hasOwn(KINDS, field) ? KINDS[field] : undefined;
    if (!kind) {
      throw new Error(`"${token}" must be FIELD=VALUE, and FIELD one of ${ALLOWABLE.join(', ')}`);
    }
    if (!kind.fits(value)) throw new Error(`"${token}": ${field} must be ${kind.form}`);
    found.set(field, (found.get(field) ?? new Set()).add(value));
  }
  return found;
}

/** The allowance in the syntax of the setting. */
export function describeAllowance(allowance: Allowance): string {
  const tokens = [...allowance].flatMap(([field, values]) => [...values].map((value) => `${field}=${value}`));
  return tokens.join(',') || 'none';
}

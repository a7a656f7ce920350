/**
 * Makes the seccomp profile of hosted containers from Docker's own. It allows browsers to build their sandboxes. It
 * denies programs to turn a given input device into another one, to switch consoles or change what all consoles share,
 * to create the node of the host's console, and to escape the disk limit of their files. It also blocks parts of the
 * kernel that attackers have often used and that containers do not need. `seccomp.ts SOURCE OUTPUT`
 */

import { readFileSync, writeFileSync } from 'node:fs';

const [source = '', output = ''] = process.argv.slice(2);

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly unknown[] | null;
  readonly includes?: object;
  readonly excludes?: object;
}

interface Profile {
  readonly defaultAction: string;
  readonly syscalls: readonly Rule[];
}

const ALLOW = { action: 'SCMP_ACT_ALLOW' };
const SUCCEED = { action: 'SCMP_ACT_ERRNO', errnoRet: 0 };
/** EPROTONOSUPPORT. */
const NO_PROTOCOL = { action: 'SCMP_ACT_ERRNO', errnoRet: 93 };
/** ENOSYS. Runc drops rules with the default action, which is EPERM. */
const NOT_THERE = { action: 'SCMP_ACT_ERRNO', errnoRet: 38 };

/**
 * Docker's profile allows these only with CAP_SYS_ADMIN and CAP_SYS_CHROOT. A user namespace gives these capabilities
 * to any program, for what is inside it. clone3 stays blocked, because no filter can inspect it; libc falls back to
 * clone on ENOSYS.
 */
const SANDBOX = ['chroot', 'clone', 'setns', 'unshare'];

/**
 * Docker 25 removed them, because many vulnerabilities of io_uring have let programs escape from containers. Programs
 * work without it.
 */
const IO_URING = ['io_uring_enter', 'io_uring_register', 'io_uring_setup'];

/** Linux 6.17: the same as FS_IOC_FSSETXATTR, by a path. */
const FILE_ATTRIBUTES = ['file_setattr'];

/** All numbers that differ from `first` only in the last `bits` bits. */
interface Block {
  readonly first: number;
  readonly bits: number;
}

/**
 * The ioctl requests that are refused. Requests in the two complete blocks that a program needs for its own console are
 * allowed below. Other drivers with the letters K, T, U and V use a size in the upper half of the number, or other
 * numbers: VIDIOC_LOG_STATUS is 0x5646, and those of sound timers start at 0x54a0.
 */
const CLOSED_REQUESTS: readonly Block[] = [
  // UI_DEV_CREATE of uinput creates a device with a name that the host's udev rules do not know.
  { first: 0x5501, bits: 0 },
  // TIOCSTI simulates input on a terminal.
  { first: 0x5412, bits: 0 },
  // TIOCLINUX selects and pastes text of the foreground console. TIOCCONS redirects the kernel's messages.
  { first: 0x541c, bits: 1 },
  // linux/kd.h: keymaps, fonts, colours, LEDs, key repeat, and the speaker affect all consoles.
  { first: 0x4b00, bits: 8 },
  // linux/vt.h: switching, locking, resizing, and freeing consoles affects all of them.
  { first: 0x5600, bits: 4 },
];

/**
 * With these, the owner of a file can remove it from its project, and so from the container's disk limit; or a
 * directory, so that new files in it belong to no project. The answer ENOTTY is that of a filesystem without
 * attributes, so programs continue. The third request is the 32-bit form of the second.
 */
const NO_TTY = { action: 'SCMP_ACT_ERRNO', errnoRet: 25 };
const FILE_REQUESTS = {
  FS_IOC_FSSETXATTR: 0x401c5820,
  FS_IOC_SETFLAGS: 0x40086602,
  FS_IOC32_SETFLAGS: 0x40046602,
};

/** 5:1 in mknod's encoding, the host's console. Docker's device rules let every container open it. */
const CONSOLE_NODE: Block = { first: 0x501, bits: 0 };

/**
 * The socket families that stay allowed. Docker 23 removed AF_VSOCK, which reaches hypervisors and enclaves, and Docker
 * 29 removed AF_ALG, which has let programs write to read-only files. The others are rarely used and rarely reviewed,
 * and the kernel loads most of them on demand.
 */
const SOCKET_FAMILIES = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_PACKET: 17 };
const AF_NETLINK: Block = { first: 16, bits: 0 };
/**
 * Netlink protocols that only a network administrator can use. A browser's sandbox needs a network namespace, in which
 * any program is an administrator. Without this rule, every user could reach nf_tables and xfrm.
 */
const CLOSED_NETLINK: readonly Block[] = [
  { first: 6, bits: 0 },
  { first: 12, bits: 0 },
];
/**
 * With CAP_AUDIT_WRITE, which each container has, it could write arbitrary entries to the host's audit log. Login
 * programs interpret this error as a kernel without audit support, and any other error as a failure.
 */
const AUDIT: Block = { first: 9, bits: 0 };
const NETLINK: Block = { first: 0, bits: 5 };
/** The system call by which 32-bit programs may create sockets. No filter can inspect its arguments. */
const SOCKETCALL = ['socketcall'];

/**
 * With CAP_SYS_NICE, which the predecessor's images have, a program could monopolise the host's processors or disks,
 * because real-time policies and classes ignore shares. Nice values count only within the container.
 */
const SCHEDULED = { SCHED_OTHER: 0, SCHED_BATCH: 3, SCHED_IDLE: 5 };
const SCHED_RESET_ON_FORK = 0x4000_0000;
const IO_CLASSES = { IOPRIO_CLASS_NONE: 0, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 };
const IO_CLASS_SHIFT = 13;
/** The newer call for both. No filter can inspect its policy. Programs fall back to the older one. */
const SCHED_SETATTR = ['sched_setattr'];

const SOL_IP: Block = { first: 0, bits: 0 };
const SOL_IPV6: Block = { first: 41, bits: 0 };
/**
 * The options of sockets themselves. The others, for iptables, ipvs and multicast routing, are refused for the same
 * reason.
 */
const IP_OPTIONS: readonly Block[] = [{ first: 0, bits: 6 }];
/** From IPV6_RECVTCLASS on; 64 and 65 belong to ip6tables. */
const IPV6_OPTIONS: readonly Block[] = [
  ...IP_OPTIONS,
  { first: 66, bits: 1 },
  { first: 68, bits: 2 },
  { first: 72, bits: 3 },
];

/** What an X server and a shell need on their own console, and requests that only read. */
const CONSOLE_REQUESTS = {
  KDGETLED: 0x4b31,
  KDGKBTYPE: 0x4b33,
  KDSETMODE: 0x4b3a,
  KDGETMODE: 0x4b3b,
  KDGKBMODE: 0x4b44,
  KDSKBMODE: 0x4b45,
  KDGKBENT: 0x4b46,
  KDGKBSENT: 0x4b48,
  KDGKBMETA: 0x4b62,
  KDSKBMETA: 0x4b63,
  KDGKBLED: 0x4b64,
  VT_OPENQRY: 0x5600,
  VT_GETMODE: 0x5601,
  VT_SETMODE: 0x5602,
  VT_GETSTATE: 0x5603,
  VT_RELDISP: 0x5605,
  VT_GETHIFONTMASK: 0x560d,
};

/**
 * These succeed without an effect. An X server for a console requests it in the foreground and waits for it. If that
 * failed or blocked, the server would not start.
 */
const PRETENDED_REQUESTS = { VT_ACTIVATE: 0x5606, VT_WAITACTIVE: 0x5607, VT_SETACTIVATE: 0x560f };

function fail(what: string): never {
  throw new Error(`${source} is no seccomp profile of Docker's as this script knows it: ${what}`);
}

function isEmpty(value: object | null | undefined): boolean {
  return Object.keys(value ?? {}).length === 0;
}

function isUnconditional({ args, includes, excludes }: Rule): boolean {
  return [args, includes, excludes].every(isEmpty);
}

/** System calls that are allowed only under conditions of this profile. */
const LIMITED = [
  ...['ioctl', 'mknod', 'mknodat', 'socket', 'socketpair', 'setsockopt'],
  ...['ioprio_set', 'sched_setscheduler', ...SCHED_SETATTR],
];

/** @throws Error when a change would not have its intended effect */
function check({ defaultAction, syscalls }: Profile): void {
  if (defaultAction !== 'SCMP_ACT_ERRNO') fail(`defaultAction is ${defaultAction}, not SCMP_ACT_ERRNO`);
  if (!Array.isArray(syscalls) || !syscalls.every(({ names }) => Array.isArray(names)))
    fail('syscalls is no list of rules with names');
  for (const name of [...SANDBOX, ...LIMITED]) {
    const rules = syscalls.filter(({ names }) => names.includes(name));
    if (rules.length === 0) fail(`no rule names ${name}`);
    if (rules.some(({ action }) => action !== ALLOW.action))
      fail(`a rule does something else than allow ${name}`);
    if (LIMITED.includes(name) && !rules.every(isUnconditional))
      fail(`${name} is allowed on conditions already`);
  }
}

/**
 * Matches a block in an argument. The kernel uses 32 of the 64 bits that a filter sees, so the others are ignored.
 * Otherwise 0x1_0000_5501 would bypass the rule for 0x5501.
 */
function isIn({ first, bits }: Block, index: number): object {
  return { index, value: 2 ** 32 - 2 ** bits, valueTwo: first, op: 'SCMP_CMP_MASKED_EQ' };
}

/**
 * The blocks that contain every number of `within` that is in none of `closed`. Rules only add permissions, so a rule
 * that allows a call completely would override those that restrict it.
 */
function others(closed: readonly Block[], within: Block = { first: 0, bits: 32 }): Block[] {
  const { first, bits } = within;
  const inside = closed.filter((block) => block.first >= first && block.first < first + 2 ** bits);
  if (inside.length === 0) return [within];
  if (inside.some((block) => block.bits === bits)) return [];
  const half = bits - 1;
  return [first + 2 ** half, first].flatMap((start) => others(inside, { first: start, bits: half }));
}

type Doing = Pick<Rule, 'action' | 'errnoRet'>;

/** A call when each of these arguments is in its block. */
function rule(name: string, doing: Doing, blocks: Readonly<Record<number, Block>>): Rule {
  const args = Object.entries(blocks).map(([index, block]) => isIn(block, Number(index)));
  return { names: [name], ...doing, args };
}

function each(numbers: Readonly<Record<string, number>>): Block[] {
  return Object.values(numbers).map((first) => ({ first, bits: 0 }));
}

function ioctls(): Rule[] {
  const attributes = each(FILE_REQUESTS);
  return [
    ...each(PRETENDED_REQUESTS).map((request) => rule('ioctl', SUCCEED, { 1: request })),
    ...attributes.map((request) => rule('ioctl', NO_TTY, { 1: request })),
    ...[...others([...CLOSED_REQUESTS, ...attributes]), ...each(CONSOLE_REQUESTS)].map((request) =>
      rule('ioctl', ALLOW, { 1: request }),
    ),
  ];
}

function nodes(): Rule[] {
  return others([CONSOLE_NODE]).flatMap((device) => [
    rule('mknod', ALLOW, { 2: device }),
    rule('mknodat', ALLOW, { 3: device }),
  ]);
}

function sockets(): Rule[] {
  return [
    { names: SOCKETCALL, ...NOT_THERE },
    ...each(SOCKET_FAMILIES).map((family) => rule('socket', ALLOW, { 0: family })),
    rule('socket', NO_PROTOCOL, { 0: AF_NETLINK, 2: AUDIT }),
    ...others([...CLOSED_NETLINK, AUDIT], NETLINK).map((protocol) =>
      rule('socket', ALLOW, { 0: AF_NETLINK, 2: protocol }),
    ),
    ...each(SOCKET_FAMILIES).map((family) => rule('socketpair', ALLOW, { 0: family })),
    ...others([SOL_IP, SOL_IPV6]).map((level) => rule('setsockopt', ALLOW, { 1: level })),
    ...IP_OPTIONS.map((option) => rule('setsockopt', ALLOW, { 1: SOL_IP, 2: option })),
    ...IPV6_OPTIONS.map((option) => rule('setsockopt', ALLOW, { 1: SOL_IPV6, 2: option })),
  ];
}

function priorities(): Rule[] {
  const policies = Object.values(SCHEDULED).flatMap((policy) => [policy, policy + SCHED_RESET_ON_FORK]);
  const mask = 7 << IO_CLASS_SHIFT;
  return [
    { names: SCHED_SETATTR, ...NOT_THERE },
    ...policies.map((first) => rule('sched_setscheduler', ALLOW, { 1: { first, bits: 0 } })),
    ...Object.values(IO_CLASSES).map((one) => {
      const args = [{ index: 2, value: mask, valueTwo: one << IO_CLASS_SHIFT, op: 'SCMP_CMP_MASKED_EQ' }];
      return { names: ['ioprio_set'], ...ALLOW, args };
    }),
  ];
}

function change(profile: Profile): Profile {
  const changed = [...SANDBOX, ...LIMITED, ...IO_URING, ...FILE_ATTRIBUTES, ...SOCKETCALL];
  const kept = profile.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !changed.includes(name)) }))
    .filter(({ names }) => names.length > 0);
  return {
    ...profile,
    syscalls: [...kept, { names: SANDBOX, ...ALLOW }, ...ioctls(), ...nodes(), ...sockets(), ...priorities()],
  };
}

const profile: Profile = JSON.parse(readFileSync(source, 'utf8'));
check(profile);
writeFileSync(output, `${JSON.stringify(change(profile), null, 2)}\n`);

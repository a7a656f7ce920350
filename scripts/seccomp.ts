/**
 * Makes the seccomp profile of hosted containers out of Docker's own. Browsers can build their sandboxes in a container.
 * An input device that was handed to a container cannot be made into another one. A program can neither switch consoles
 * nor change what all consoles share, nor make a node of the host's console, nor leave the limit of its files. Parts of the kernel that have often let
 * attackers out, and that nothing in a container needs, are out of reach. `seccomp.ts SOURCE OUTPUT`
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
/** ENOSYS. Runc drops rules that do what is done by default, which is EPERM. */
const NOT_THERE = { action: 'SCMP_ACT_ERRNO', errnoRet: 38 };

/**
 * Docker's profile has them for CAP_SYS_ADMIN and CAP_SYS_CHROOT alone; a user namespace gives these to anybody, for
 * what is in it. clone3, which no filter can look into, stays without: libc takes its ENOSYS and goes on with clone.
 */
const SANDBOX = ['chroot', 'clone', 'setns', 'unshare'];

/** Docker 25 removed them: many faults of io_uring have let programs out of containers. Programs go on without it. */
const IO_URING = ['io_uring_enter', 'io_uring_register', 'io_uring_setup'];

/** Linux 6.17: what FS_IOC_FSSETXATTR does, by a path. */
const FILE_ATTRIBUTES = ['file_setattr'];

/** All numbers that differ from `first` in the last `bits` bits alone. */
interface Block {
  readonly first: number;
  readonly bits: number;
}

/**
 * Requests of ioctl that are refused. Of the two whole blocks, what a program does with its own console is allowed again
 * below. Drivers that use the letters K, T, U, and V as well do so with a size in the upper half of the number, or with
 * other numbers: VIDIOC_LOG_STATUS is 0x5646, and those of sound timers begin at 0x54a0.
 */
const CLOSED_REQUESTS: readonly Block[] = [
  // UI_DEV_CREATE of uinput: with it a device gets a name that the host's udev rules do not know.
  { first: 0x5501, bits: 0 },
  // TIOCSTI types into a terminal.
  { first: 0x5412, bits: 0 },
  // TIOCLINUX selects and pastes text of whatever console is in front. TIOCCONS takes the kernel's messages.
  { first: 0x541c, bits: 1 },
  // linux/kd.h: keymaps, fonts, colours, lights, key repeat, and the speaker are those of all consoles.
  { first: 0x4b00, bits: 8 },
  // linux/vt.h: switching, locking, resizing, and freeing consoles concerns all of them.
  { first: 0x5600, bits: 4 },
];

/**
 * With these whoever owns a file takes it out of its project, and so out of the limit that its container has on the disk;
 * or a directory, so that what is made in it is in none. Programs are told, as on a filesystem that has no attributes, that
 * there is no such request (ENOTTY), and go on. The third is what 32-bit programs know the second as.
 */
const NO_TTY = { action: 'SCMP_ACT_ERRNO', errnoRet: 25 };
const FILE_REQUESTS = {
  FS_IOC_FSSETXATTR: 0x401c5820,
  FS_IOC_SETFLAGS: 0x40086602,
  FS_IOC32_SETFLAGS: 0x40046602,
};

/** 5:1, as mknod takes it: it would be the host's console, which Docker's device rules let every container open. */
const CONSOLE_NODE: Block = { first: 0x501, bits: 0 };

/**
 * The families of sockets that remain. Docker 23 removed AF_VSOCK, which reaches hypervisors and enclaves, and Docker 29
 * AF_ALG, which has let programs write to files that they could only read. The others are rarely used and rarely looked
 * at, and most of them the kernel loads for whoever asks.
 */
const SOCKET_FAMILIES = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_PACKET: 17 };
const AF_NETLINK: Block = { first: 16, bits: 0 };
/**
 * Of netlink, what only an administrator of the network can use. A browser's sandbox needs a network namespace, and in it
 * anybody is one; so without this each user could reach nf_tables and xfrm.
 */
const CLOSED_NETLINK: readonly Block[] = [
  { first: 6, bits: 0 },
  { first: 12, bits: 0 },
];
/**
 * By it CAP_AUDIT_WRITE, which each container has, writes what it likes to the log of the host's kernel and of its logins.
 * Programs that log in take this answer for a kernel without it, and any other one for a fault.
 */
const AUDIT: Block = { first: 9, bits: 0 };
const NETLINK: Block = { first: 0, bits: 5 };
/** The way by which 32-bit programs may call the above. No filter can see what they ask for. */
const SOCKETCALL = ['socketcall'];

/**
 * CAP_SYS_NICE, which the predecessor's images have, lets a program take all of the host's processors, or its disks, before
 * any other: real-time policies and classes know of no shares. Its nice values count within the container alone.
 */
const SCHEDULED = { SCHED_OTHER: 0, SCHED_BATCH: 3, SCHED_IDLE: 5 };
const SCHED_RESET_ON_FORK = 0x4000_0000;
const IO_CLASSES = { IOPRIO_CLASS_NONE: 0, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 };
const IO_CLASS_SHIFT = 13;
/** The newer call for both, whose policy no filter sees. Programs go on with the older one. */
const SCHED_SETATTR = ['sched_setattr'];

const SOL_IP: Block = { first: 0, bits: 0 };
const SOL_IPV6: Block = { first: 41, bits: 0 };
/** Those of sockets themselves. For the same reason the others are refused, which are of iptables, ipvs, and multicast routing. */
const IP_OPTIONS: readonly Block[] = [{ first: 0, bits: 6 }];
/** From IPV6_RECVTCLASS on; 64 and 65 are of ip6tables. */
const IPV6_OPTIONS: readonly Block[] = [
  ...IP_OPTIONS,
  { first: 66, bits: 1 },
  { first: 68, bits: 2 },
  { first: 72, bits: 3 },
];

/** What an X server and a shell need on their own console, and what only reads. */
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
 * These succeed and do nothing. An X server that is started for a console asks for it to be in front and waits until it
 * is: if that failed, or took for ever, the server would not start.
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

/** What is allowed on conditions of ours alone. */
const LIMITED = [
  ...['ioctl', 'mknod', 'mknodat', 'socket', 'socketpair', 'setsockopt'],
  ...['ioprio_set', 'sched_setscheduler', ...SCHED_SETATTR],
];

/** @throws Error when a change would not mean what it is meant to */
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
 * Matches a block in an argument. The kernel takes 32 of the 64 bits that a filter sees, so the others are not compared:
 * else 0x1_0000_5501 would pass for another request than 0x5501.
 */
function isIn({ first, bits }: Block, index: number): object {
  return { index, value: 2 ** 32 - 2 ** bits, valueTwo: first, op: 'SCMP_CMP_MASKED_EQ' };
}

/**
 * The blocks that hold every number of `within` which is in none of `closed`. Rules add up to what is allowed, so one that
 * allowed a call altogether would outdo those that refuse some of it.
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

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { importArchive } from '../../scripts/image.ts';
import { host as hostOne } from '../support/callers.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'build');
const OURS = join(BUILD, 'seccomp.json');
const DOCKERS = join(BUILD, 'docker-seccomp.json');
const IMAGE = 'test/seccomp-probe:1';
/** The image whose container keeps running after it has printed everything. */
const STAYING = 'test/seccomp-probe:2';
const REFUSED = 'Operation not permitted';

type Answers = Readonly<Record<string, string>>;

const host = new TestHost();
const work = mkdtempSync(join(tmpdir(), 'seccomp-'));
let unconfined: Answers;
before(async () => {
  await host.startDocker();
  await importArchive(host.docker, IMAGE, ['-C', BUILD, 'seccomp-probe'], 'CMD ["/seccomp-probe"]');
  await importArchive(host.docker, STAYING, ['-C', BUILD, 'seccomp-probe'], 'CMD ["/seccomp-probe", "stay"]');
  unconfined = await probe('seccomp=unconfined');
});
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});
afterEach(() => host.finish());

/** The kernel's answers in a container to each probe of a user without capabilities. */
async function probe(...SecurityOpt: string[]): Promise<Answers> {
  return await probeAs(host.docker, { User: '1000', HostConfig: { CapDrop: ['ALL'], SecurityOpt } });
}

async function probeAs(docker: Dockerode, body: Dockerode.ContainerCreateOptions): Promise<Answers> {
  const container = await docker.createContainer({ Image: IMAGE, Tty: true, ...body });
  await container.start();
  assert.equal((await container.wait()).StatusCode, 0);
  const answers = answersIn(await container.logs({ stdout: true }));
  await container.remove();
  return answers;
}

function answersIn(log: Buffer): Answers {
  const lines = String(log).trim().split(/\r?\n/);
  return Object.fromEntries(lines.map((line) => line.split(': ')));
}

/** Requests of linux/kd.h, linux/vt.h and asm-generic/ioctls.h that reach beyond a program's own console. */
const FAR_REACHING = Object.entries({
  KIOCSOUND: 0x4b2f,
  KDMKTONE: 0x4b30,
  KDSETLED: 0x4b32,
  KDADDIO: 0x4b34,
  KDDELIO: 0x4b35,
  KDENABIO: 0x4b36,
  KDDISABIO: 0x4b37,
  PIO_SCRNMAP: 0x4b41,
  KDSKBENT: 0x4b47,
  KDSKBSENT: 0x4b49,
  KDSKBDIACR: 0x4b4b,
  KDSETKEYCODE: 0x4b4d,
  KDSIGACCEPT: 0x4b4e,
  KDKBDREP: 0x4b52,
  PIO_FONT: 0x4b61,
  KDSKBLED: 0x4b65,
  PIO_UNIMAP: 0x4b67,
  PIO_UNIMAPCLR: 0x4b68,
  PIO_UNISCRNMAP: 0x4b6a,
  PIO_FONTX: 0x4b6c,
  PIO_FONTRESET: 0x4b6d,
  PIO_CMAP: 0x4b71,
  KDFONTOP: 0x4b72,
  KDSKBDIACRUC: 0x4bfb,
  TIOCSTI: 0x5412,
  TIOCLINUX: 0x541c,
  TIOCCONS: 0x541d,
  UI_DEV_CREATE: 0x5501,
  VT_SENDSIG: 0x5604,
  VT_DISALLOCATE: 0x5608,
  VT_RESIZE: 0x5609,
  VT_RESIZEX: 0x560a,
  VT_LOCKSWITCH: 0x560b,
  VT_UNLOCKSWITCH: 0x560c,
  VT_WAITEVENT: 0x560e,
});
/** Requests of an X server to its own console. */
const NEEDED = Object.entries({
  KDGKBTYPE: 0x4b33,
  KDSETMODE: 0x4b3a,
  KDGETMODE: 0x4b3b,
  KDGKBMODE: 0x4b44,
  KDSKBMODE: 0x4b45,
  VT_OPENQRY: 0x5600,
  VT_GETMODE: 0x5601,
  VT_SETMODE: 0x5602,
  VT_GETSTATE: 0x5603,
  VT_RELDISP: 0x5605,
  TCGETS: 0x5401,
  TIOCSCTTY: 0x540e,
  FIONREAD: 0x541b,
});
/** Console switches that an X server must believe in. */
const PRETENDED = Object.entries({ VT_ACTIVATE: 0x5606, VT_WAITACTIVE: 0x5607, VT_SETACTIVATE: 0x560f });
/** Requests that let files leave the limit of their container, and requests that only read. */
const ATTRIBUTES = Object.entries({ FSSETXATTR: 0x401c5820, SETFLAGS: 0x40086602, SETFLAGS32: 0x40046602 });
const READING = Object.entries({ FSGETXATTR: 0x801c581f, GETFLAGS: 0x80086601 });
const NO_SUCH_REQUEST = 'Inappropriate ioctl for device';

/** The names of a request among the probes: the kernel ignores the upper half of the number. */
function spelled([, number]: readonly [string, number]): string[] {
  return ['request ', 'request 1:'].map((text) => `${text}0x${number.toString(16)}`);
}

const asked = (answers: Answers, names: readonly string[]): Answers =>
  Object.fromEntries(names.map((name) => [name, answers[name] ?? 'was not asked']));
const answered = (names: readonly string[], answer: string): Answers =>
  Object.fromEntries(names.map((name) => [name, answer]));

/** Without ioctl requests and the system calls that only some of Docker's profiles know, which are checked separately. */
function calls(answers: Answers): Answers {
  return Object.fromEntries(
    Object.entries(answers).filter(([name]) => !/^(request|file_setattr)/.test(name)),
  );
}

function requests(answers: Answers): Answers {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => name.startsWith('request')));
}

/** As without a profile, except that those are refused, and that libc falls back from clone3 to clone. */
function refusing(refused: (name: string) => boolean): Answers {
  const names = Object.keys(unconfined).filter(refused);
  const refusals = Object.fromEntries(names.map((name) => [name, REFUSED]));
  return { ...calls(unconfined), clone3: 'Function not implemented', ...refusals };
}

const makesDevice = (name: string): boolean => name.startsWith('UI_DEV_CREATE');
const CLOSED = /^UI_DEV_CREATE|^TIOCLINUX|^io_uring|^nf_tables|^xfrm|^AF_ALG|^5:1/;

function oursRefuses(name: string): boolean {
  const [, kind = '', number] = /^(.*) (\d+)$/.exec(name) ?? [];
  return NUMBERED[kind]?.(Number(number)) ?? CLOSED.test(name);
}

const makesSandbox = (name: string): boolean => /namespace|nowhere/.test(name);

const FAMILIES = [1, 2, 10, 16, 17];
const isConsole = (device: number): boolean => device % 2 ** 32 === 0x501;
const isOtherFamily = (family: number): boolean => !FAMILIES.includes(family);
const isClosedNetlink = (protocol: number): boolean => [6, 12].includes(protocol);
const isRealTime = (policy: number): boolean => ![0, 3, 5].includes(policy);
/** What the host's profile refuses of the probes that are made for many numbers. */
const NUMBERED: Readonly<Record<string, (number: number) => boolean>> = {
  'mknod of': isConsole,
  'old mknod of': isConsole,
  'socket of': isOtherFamily,
  'socket with a high bit of': isOtherFamily,
  'socketpair of': (family) => isOtherFamily(family) || family === 16,
  netlink: isClosedNetlink,
  'netlink with a high bit': isClosedNetlink,
  policy: isRealTime,
  'policy with a high bit': isRealTime,
  'policy until a fork': isRealTime,
  'option of IP': (option) => option >= 64,
  'option of IPv6': (option) => option >= 80 || option === 64 || option === 65,
  'first option of level': () => false,
};

/** Prints only the differences, because there are thousands of answers. */
function assertSame(actual: Answers, expected: Answers): void {
  const names = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  const different = [...names].filter((name) => actual[name] !== expected[name]);
  assert.deepEqual(asked(actual, different), asked(expected, different));
}

function assertOurs(answers: Answers): void {
  const expected = refusing(oursRefuses);
  const changed = (start: string, answer: string) =>
    Object.keys(expected).flatMap((name) => (name.startsWith(start) ? [[name, answer]] : []));
  const others = [
    ...changed('VT_ACTIVATE', 'Success'),
    ...changed('FS_IOC32_SETFLAGS', NO_SUCH_REQUEST),
    ...changed('socketcall', 'Function not implemented'),
    ...changed('sched_setattr', 'Function not implemented'),
    ...['netlink 9', 'netlink with a high bit 9'].map((name) => [name, 'Protocol not supported']),
  ];
  assertSame(calls(answers), { ...expected, ...Object.fromEntries(others) });
}

test('without a profile nothing is refused, so that each refusal below is due to a profile', () => {
  assert.deepEqual(
    Object.entries(unconfined).filter(([, answer]) => answer === REFUSED),
    [],
  );
  assert.ok(Object.keys(unconfined).filter(makesDevice).length >= 3, Object.keys(unconfined).join());
});

test("in Docker's own profile no user can build a sandbox, and every user can make a device", async () => {
  const answers = await probe();
  assertSame(calls(answers), refusing(makesSandbox));
  assertSame(requests(answers), requests(unconfined));
});

test("under the host's profile, every user can build a sandbox, and none can make a device with any bits or system call", async () => {
  assertOurs(await probe(`seccomp=${readFileSync(OURS, 'utf8')}`));
});

test("under the host's profile, an ioctl reaches only the program's own console, and switching consoles succeeds without effect", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const far = FAR_REACHING.flatMap(spelled);
  const pretended = PRETENDED.flatMap(spelled);
  const needed = NEEDED.flatMap(spelled);
  assert.deepEqual(asked(answers, far), answered(far, REFUSED));
  assert.deepEqual(asked(answers, pretended), answered(pretended, 'Success'));
  assert.deepEqual(asked(answers, needed), asked(unconfined, needed));
});

test("under the host's profile, no file can leave its container's quota, and the request is answered as unknown", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const attributes = [...ATTRIBUTES.flatMap(spelled), 'FS_IOC32_SETFLAGS of i386'].filter(
    (name) => name in unconfined,
  );
  const reading = READING.flatMap(spelled);
  const [first = ''] = attributes;
  assert.equal(unconfined[first], 'Bad address', 'the kernel itself answers differently');
  assert.deepEqual(asked(answers, attributes), answered(attributes, NO_SUCH_REQUEST));
  assert.deepEqual(asked(answers, reading), asked(unconfined, reading));
  assert.match(answers.file_setattr ?? '', /^(Operation not permitted|Function not implemented)$/);
});

test("under the host's profile, no device node of the host’s console can be made, and other nodes can", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const refused = Object.keys(answers).filter((name) => /mknod|5:/.test(name) && answers[name] === REFUSED);
  const i386 = Object.keys(unconfined).filter((name) => name.startsWith('5:1'));
  const numbers = ['1281', `${2 ** 32 + 1281}`].flatMap((number) => [
    `mknod of ${number}`,
    `old mknod of ${number}`,
  ]);
  const meant = [...numbers.filter((name) => name in unconfined), ...i386];
  assert.deepEqual(refused.sort(), meant.sort());
});

test("under the host's profile, io_uring, uncommon sockets and requests for a network's administrator are refused", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const refused = [
    'io_uring_setup',
    'socket of 38',
    'socket of 40',
    'netlink 12',
    'nf_tables in an own network namespace',
  ];
  assert.deepEqual(asked(answers, refused), answered(refused, REFUSED));
  const kept = [
    "a browser's sandbox in namespaces",
    'socket of 1',
    'socket of 2',
    'socket of 10',
    'netlink 0',
    'netlink 15',
  ];
  assert.deepEqual(asked(answers, kept), asked(unconfined, kept));
});

test("under the host's profile, no program can reach the audit log of the host’s kernel", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  assert.equal(answers['netlink 9'], 'Protocol not supported');
});

test("under the host's profile, no program can use real-time priorities, even with CAP_SYS_NICE", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const realTime = ['policy 1', 'policy 2', 'policy 6', 'policy until a fork 1', 'policy with a high bit 2'];
  assert.deepEqual(asked(answers, realTime), answered(realTime, REFUSED));
  assert.equal(answers.sched_setattr, 'Function not implemented');
  const ordinary = ['policy 0', 'policy 3', 'policy 5', 'policy until a fork 0'];
  assert.deepEqual(asked(answers, ordinary), asked(unconfined, ordinary));

  const Cmd = ['/seccomp-probe', 'classes'];
  const ask = async (SecurityOpt: string) =>
    await probeAs(host.docker, { Cmd, HostConfig: { CapAdd: ['SYS_NICE'], SecurityOpt: [SecurityOpt] } });
  const free = await ask('seccomp=unconfined');
  const refused = answered(['class 1', 'class with a high bit 1'], REFUSED);
  assert.deepEqual(new Set(Object.values(free)), new Set(['Success']));
  assert.deepEqual(await ask(`seccomp=${readFileSync(OURS, 'utf8')}`), { ...free, ...refused });
});

test("under the host's profile, the only refused device requests are those of consoles, keyboards and terminals", async () => {
  const answers = await probe(`seccomp=${readFileSync(OURS, 'utf8')}`);
  const changed = Object.keys(requests(answers)).filter((name) => answers[name] !== unconfined[name]);
  const meant = new Set([...FAR_REACHING, ...PRETENDED, ...ATTRIBUTES].flatMap(spelled));
  const others = changed.filter((name) => !meant.has(name) && !/0x(4b[0-9a-f]{2}|560[0-9a-f])$/.test(name));
  assert.deepEqual(others, []);
});

test("Docker accepts the host's profile as the default for all containers, and reports it", async () => {
  await host.stopDocker();
  await host.startDocker(['--seccomp-profile', OURS]);
  const { SecurityOptions } = await host.docker.info();
  assert.ok(SecurityOptions.includes(`name=seccomp,profile=${OURS}`), SecurityOptions.join());
  assertOurs(await probe());
});

test("a hosted container gets the host's profile, whoever makes it and whatever the Engine's default is", async () => {
  const open = join(work, 'open.json');
  const { archMap } = JSON.parse(readFileSync(DOCKERS, 'utf8'));
  writeFileSync(open, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', archMap, syscalls: [] }));
  await host.stopDocker();
  await host.startDocker(['--seccomp-profile', open]);
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const proxy = new Dockerode({ socketPath: join(root, 'run/ecs-host-service/docker.sock') });
  const Labels = { 'ecs-host-service.interactive': 'true' };
  const user = { User: '1000', HostConfig: { CapDrop: ['ALL'] } };
  assertSame(await probeAs(proxy, user), unconfined);
  assertOurs(await probeAs(proxy, { ...user, Labels }));

  const spunUp = host.docker.getContainer(await hostOne(service, { image: STAYING }));
  const log = () => spunUp.logs({ stdout: true });
  await until('all answers are printed', async () => String(await log()).includes('all answers are printed'));
  const { CapAdd, CapDrop } = (await spunUp.inspect()).HostConfig;
  const SecurityOpt = [`seccomp=${readFileSync(OURS, 'utf8')}`];
  const same = await probeAs(host.docker, { HostConfig: { CapAdd, CapDrop, SecurityOpt } });
  assertSame(answersIn(await log()), { ...same, 'all answers are printed': 'Success' });
  assert.equal(await service.stop(), 0);
});

/** Makes a profile from Docker's source with one text replaced. */
function make(text: string, other: string) {
  const source = readFileSync(DOCKERS, 'utf8');
  assert.ok(source.includes(text), text);
  const output = join(work, 'output.json');
  writeFileSync(join(work, 'source.json'), source.replaceAll(text, other));
  const script = join(ROOT, 'scripts/seccomp.ts');
  const made = spawnSync(process.execPath, [script, join(work, 'source.json'), output], { encoding: 'utf8' });
  return { ...made, bytes: existsSync(output) ? readFileSync(output, 'utf8') : undefined };
}

for (const [text, other, reason] of [
  [
    '"defaultAction": "SCMP_ACT_ERRNO"',
    '"defaultAction": "SCMP_ACT_ALLOW"',
    'defaultAction is SCMP_ACT_ALLOW',
  ],
  ['"ioctl"', '"ioctl2"', 'no rule names ioctl'],
  ['"bpf"', '"ioctl"', 'ioctl is allowed on conditions already'],
  ['"clone3"', '"unshare"', 'a rule does something else than allow unshare'],
  ['"names"', '"name"', 'syscalls is no list of rules with names'],
] as const) {
  test(`no profile is derived from an unexpected one: ${reason}`, () => {
    const { status, stderr, bytes } = make(text, other);
    assert.equal(status, 1);
    assert.ok(stderr.includes(`as this script knows it: ${reason}`), stderr);
    assert.equal(bytes, undefined);
  });
}

test('the same source produces the same bytes', () => {
  assert.equal(make('SCMP_ARCH_X86_64', 'SCMP_ARCH_X86_64').bytes, readFileSync(OURS, 'utf8'));
});

test('a new system call that lets a file leave its quota is not adopted from a later Docker profile', () => {
  const { status, bytes } = make('"fchmod"', '"file_setattr"');
  assert.equal(status, 0);
  assert.doesNotMatch(bytes ?? '', /file_setattr/);
});

test("if Docker's profile cannot be fetched, the build fails and says what to do", () => {
  const env = { PATH: '/nowhere' };
  const { status, stderr } = spawnSync('/bin/sh', [join(ROOT, 'scripts/docker-profile.sh')], {
    env,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /needs apt-get .* is not installed\.\nCopy .*default\.json .* to build\/docker-seccomp\.json/,
  );
});

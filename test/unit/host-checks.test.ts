import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHost, type Grade } from '../../src/doctor/host-checks.ts';
import type { HostFacts } from '../../src/doctor/host-facts.ts';

const GIB = 2 ** 30;
const DOCKER = {
  version: '20.10.24',
  directory: '/var/lib/docker',
  security: ['name=apparmor', 'name=seccomp,profile=default'],
  canLimit: { pids: true, memory: true, swap: true },
  logDriver: 'json-file',
  storageDriver: 'overlay2',
  cgroupDriver: 'systemd',
};
const RULES = '-A DOCKER-USER -d 169.254.169.254/32 -j DROP\n-A DOCKER-USER -d 169.254.170.2/32 -j DROP';

const LIMITS = {
  CONTAINER_PIDS: 4096,
  CONTAINER_MEMORY: { percent: 50 },
  CONTAINER_LOG_SIZE: 64 * 2 ** 20,
  CONTAINER_DISK: { bytes: GIB },
};

/** A host that lacks nothing. */
const SOUND: HostFacts = {
  kernel: '6.1.0-28-cloud-amd64',
  cgroups: 2,
  docker: DOCKER,
  limits: LIMITS,
  noInputDevices: undefined,
  needsInputDevices: true,
  ttys: 54,
  frontConsole: 'own',
  gettys: '',
  run: { directory: '/run', isInMemory: true },
  free: new Map([
    ['/var/lib/ecs-host-service', 40 * GIB],
    ['/var/lib/docker', 40 * GIB],
  ]),
  disks: [
    { directory: '/fractal', type: 'ext4', hasQuotas: true },
    { directory: '/var/lib/docker', type: 'xfs', hasQuotas: true },
  ],
  isClockSynchronised: true,
  missingPrograms: [],
  missingModules: [],
  sysrq: '0',
  isCtrlAltDelMasked: true,
  hasUdevRules: true,
  rules: RULES,
  ecsUnit: 'disabled',
};

test('a host that has everything has no finding', () => {
  const grades = checkHost(SOUND).map(({ check, grade }) => [check, grade]);
  assert.ok(grades.length >= 14);
  assert.deepEqual(
    grades.filter(([, grade]) => grade !== 'ok'),
    [],
  );
});

/** A change, the only check that finds it, and its grade. */
const LACKS: readonly (readonly [Partial<HostFacts>, string, Grade])[] = [
  [{ kernel: '5.9.16' }, 'kernel', 'error'],
  [{ kernel: '4.18.0' }, 'kernel', 'error'],
  [{ cgroups: undefined }, 'cgroups', 'error'],
  [{ docker: { ...DOCKER, version: '19.03.15' } }, 'docker', 'error'],
  [{ docker: { ...DOCKER, version: '20.9.0' } }, 'docker', 'error'],
  [{ docker: { ...DOCKER, security: [] } }, 'seccomp profile', 'warning'],
  [{ limits: { ...LIMITS, CONTAINER_PIDS: undefined } }, 'container limits', 'warning'],
  [
    { docker: { ...DOCKER, canLimit: { pids: true, memory: false, swap: false } } },
    'container limits',
    'warning',
  ],
  [{ noInputDevices: 'there is no /dev/uinput; run "modprobe uinput"' }, 'uinput', 'error'],
  [{ noInputDevices: 'there is none', needsInputDevices: false }, 'uinput', 'warning'],
  [{ ttys: 0 }, 'consoles', 'error'],
  [{ ttys: 53 }, 'consoles', 'warning'],
  [{ frontConsole: 'leave' }, 'front console', 'warning'],
  [{ gettys: 'getty@tty1.service loaded active running Getty on tty1' }, 'login prompts', 'warning'],
  [{ missingModules: ['cls_bpf'] }, 'network filters', 'error'],
  [{ run: { directory: '/run', isInMemory: false } }, 'run directory', 'error'],
  [{ free: new Map([['/var/lib/docker', GIB - 1]]) }, 'disk', 'error'],
  [{ free: new Map([['/var/lib/docker', 5 * GIB - 1]]) }, 'disk', 'warning'],
  [{ docker: { ...DOCKER, storageDriver: 'overlayfs' } }, 'disk quotas', 'warning'],
  [{ disks: [{ directory: '/var/lib/docker', type: 'xfs', hasQuotas: false }] }, 'disk quotas', 'warning'],
  [{ disks: [{ directory: '/fractal', type: 'ext4', hasQuotas: false }] }, 'disk quotas', 'warning'],
  [{ disks: [{ directory: '/fractal', type: undefined, hasQuotas: false }] }, 'disk quotas', 'warning'],
  [{ isClockSynchronised: false }, 'clock', 'warning'],
  [{ isClockSynchronised: undefined }, 'clock', 'warning'],
  [{ missingPrograms: ['lz4'] }, 'programs', 'error'],
  [{ sysrq: '438' }, 'SysRq key', 'warning'],
  [{ isCtrlAltDelMasked: false }, 'Ctrl-Alt-Del', 'warning'],
  [{ hasUdevRules: false }, 'udev rules', 'warning'],
  [{ rules: undefined }, 'metadata guard', 'warning'],
  [{ rules: RULES.split('\n')[0] }, 'metadata guard', 'warning'],
  [{ rules: RULES.replaceAll('DROP', 'ACCEPT') }, 'metadata guard', 'warning'],
  [{ ecsUnit: 'enabled' }, 'ecs.service', 'warning'],
];

for (const [change, check, grade] of LACKS) {
  test(`${check}: ${grade} for ${JSON.stringify(change)}, with what to do`, () => {
    const findings = checkHost({ ...SOUND, ...change }).filter((one) => one.grade !== 'ok');
    assert.deepEqual(
      findings.map((one) => [one.check, one.grade]),
      [[check, grade]],
    );
    assert.ok(findings[0]?.advice);
  });
}

test('the check says whether disk quotas work, and how to turn them on', () => {
  const told = (change: Partial<HostFacts>) =>
    checkHost({ ...SOUND, ...change }).find(({ check }) => check === 'disk quotas');
  assert.match(told({})?.found ?? '', /^hold each container .* in \/fractal and \/var\/lib\/docker$/);
  const without = (type: 'xfs' | 'ext4' | undefined) =>
    told({ disks: [{ directory: '/data', type, hasQuotas: false }] });
  assert.match(without('xfs')?.found ?? '', /^none in \/data, so the service monitors the disk/);
  assert.match(without('xfs')?.advice ?? '', /option prjquota/);
  assert.match(without('ext4')?.advice ?? '', /tune2fs -O project,quota/);
  assert.match(without(undefined)?.advice ?? '', /xfs or ext4/);
  const none = told({
    limits: { ...LIMITS, CONTAINER_DISK: undefined },
    disks: [{ directory: '/data', type: 'xfs', hasQuotas: false }],
  });
  assert.deepEqual([none?.grade, none?.advice], ['ok', undefined]);
});

test('newer versions of Docker and the kernel are accepted', () => {
  const newer = { kernel: '6.18.44', docker: { ...DOCKER, version: '28.2.2' } };
  assert.ok(checkHost({ ...SOUND, ...newer }).every(({ grade }) => grade === 'ok'));
});

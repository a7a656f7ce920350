/** The requests to Docker that hosted containers may send, and the many ways to ask for more. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { suite, test } from 'node:test';
import { connectRule, createRule, execRule, updateRule } from '../../container/creation/accepted-calls.ts';
import type { Asker, Rule } from '../../container/creation/accepted-fields.ts';
import type { CreateBody, HostConfig } from '../../container/creation/create-body.ts';
import { fold, foldName, readJson } from '../../docker-engine/docker-json.ts';
import { pathsBelow } from '../../host/paths.ts';
import { hostedAllow } from '../../settings/hosted-allow.ts';
import {
  AGENT_BINDS,
  COMMAND_LINE,
  COMPOSE,
  FIRELENS_ADDRESS,
  TASK_DEFINITION,
  TASK_LABELS,
} from '../support/create-bodies.ts';
import fc from '../support/properties.ts';

const ASKER: Asker = { labels: {}, paths: pathsBelow('/'), allowed: new Map(), granted: [] };

/** A body in a client's form. */
function read(text: string, rule = createRule): unknown {
  return fold(readJson(text).tree, rule);
}

function accept(body: object, more: Partial<Asker> = {}, rule = createRule) {
  return rule.accept(read(JSON.stringify(body), rule), '', { ...ASKER, ...more }) as CreateBody;
}

function acceptHost(host: object, more: Partial<Asker> = {}): HostConfig {
  return accept({ HostConfig: host }, more).HostConfig as HostConfig;
}

function refused(host: object, code = 'create.not_allowed', message = /./) {
  assert.throws(() => acceptHost(host), { name: 'ServiceError', code, message }, JSON.stringify(host));
}

suite('requests of well-behaved clients are accepted', () => {
  for (const [i, body] of COMMAND_LINE.entries()) {
    test(`the defaults of Docker's command line are accepted (${i + 1})`, () => {
      assert.equal(accept(body).HostConfig?.NetworkMode, 'default');
    });
  }

  for (const [i, body] of COMPOSE.entries()) {
    test(`a create body of Docker Compose is accepted (${i + 1})`, () => {
      assert.equal(accept(body).HostConfig?.NetworkMode, 'demo_default');
    });
  }

  test('an old task definition is accepted as the ECS agent sends it', () => {
    const { Binds, CapAdd, CgroupParent } = accept(TASK_DEFINITION, { labels: TASK_LABELS }).HostConfig ?? {};
    assert.equal((CapAdd as string[]).length, 15);
    assert.equal(CgroupParent, TASK_DEFINITION.HostConfig.CgroupParent);
    assert.deepEqual(
      Binds,
      TASK_DEFINITION.HostConfig.Binds.map((bind) => bind.replace(':rshared', ':rslave')),
    );
  });

  test("the ECS agent's mounts for metadata, FireLens and ECS Exec are accepted only for their own task and container", () => {
    assert.deepEqual(acceptHost({ Binds: AGENT_BINDS }, { labels: TASK_LABELS }).Binds, AGENT_BINDS);
    for (const bind of AGENT_BINDS.filter((one) => !one.includes('/deps/'))) refused({ Binds: [bind] });
    for (const bind of AGENT_BINDS.filter((one) => one.includes('/deps/'))) {
      refused({ Binds: [bind.replace(':ro', '')] });
      refused({ Binds: [bind.replace('/deps/execute-command/', '/deps/execute-command/../')] });
    }
  });

  test('other settings that a container may need are accepted', () => {
    const hosts: object[] = [
      { Runtime: 'nvidia' },
      { DeviceRequests: [{ Driver: '', Count: -1, DeviceIDs: null, Capabilities: [['gpu']], Options: {} }] },
      {
        Devices: [{ PathOnHost: '/dev/nvidia0', PathInContainer: '/dev/nvidia0', CgroupPermissions: 'rwm' }],
      },
      { SecurityOpt: ['no-new-privileges'] },
      { LogConfig: { Type: 'awslogs', Config: { 'awslogs-group': 'g', 'awslogs-region': 'us-east-1' } } },
      { LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', mode: 'non-blocking' } } },
      { LogConfig: { Type: 'syslog', Config: { 'syslog-address': 'tcp+tls://logs.example:6514' } } },
      { PidMode: 'container:one', IpcMode: 'container:one', NetworkMode: 'container:one' },
      { IpcMode: 'shareable', CgroupnsMode: 'private', Init: true, OomScoreAdj: 500 },
      { Tmpfs: { '/run': '', '/tmp': 'rw,noexec,size=64m,mode=1777' }, ShmSize: 64 },
      { Sysctls: { 'net.core.somaxconn': '1024' }, Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }] },
      { Binds: ['data:/data', '/anonymous', '/anonymous:ro', 'data:/data:ro,nocopy'] },
      { VolumesFrom: ['one:ro'], Links: ['one:other'], ExtraHosts: ['x:host-gateway'] },
      { CapAdd: ['CAP_NET_RAW', 'sys_nice'], CapDrop: ['ALL'] },
      { RestartPolicy: { Name: 'no' }, Cgroup: '', UsernsMode: null, MaskedPaths: null },
    ];
    for (const host of hosts) acceptHost(host);
    const own = { LogConfig: { Type: 'fluentd', Config: { 'fluentd-address': FIRELENS_ADDRESS } } };
    acceptHost(own, { labels: TASK_LABELS });
    refused(own);
  });
});

suite("requests that would break a container's isolation are refused", () => {
  for (const Name of ['always', 'unless-stopped', 'on-failure']) {
    test(`the restart policy ${Name} is refused`, () => {
      refused({ RestartPolicy: { Name } }, 'create.restart_policy', new RegExp(`"${Name}"`));
    });
  }

  test('a privileged container is refused', () => {
    refused({ Privileged: true }, 'create.privileged');
  });

  for (const rule of ['a *:* rwm', 'c *:* rwm', 'c 4:11 r', 'c 04:* rw', 'c 10:223 rw', 'b 8:0 r', '']) {
    test(`the device rule "${rule}" is refused`, () => refused({ DeviceCgroupRules: [rule] }));
  }

  const devices = [
    '/dev/tty11',
    '/dev/input/event3',
    '/dev/uinput',
    '/dev',
    '/dev/../dev/input',
    '/dev//tty11',
    '/dev/char/4:11',
    '/',
    '/dev/sda',
    '/dev/mem',
    '/dev/fuse',
    '/dev/dri',
    '/dev/dri/card0',
    '/dev/nvidia0/../tty1',
    '',
  ];
  for (const PathOnHost of devices) {
    test(`the device ${PathOnHost} is refused`, () => refused({ Devices: [{ PathOnHost }] }));
  }

  test('a device that is reached through a link is refused', { skip: !existsSync('/dev/tty10') }, () => {
    for (const PathOnHost of ['/proc/self/root/dev/tty10', '/proc/self/root/dev']) {
      refused({ Devices: [{ PathOnHost }] });
    }
  });

  const sources = [
    '/',
    '/etc',
    '/etc/passwd',
    '/dev',
    '/proc',
    '/var/run/docker.sock',
    '/run/ecs-host-service',
    '/var/lib/ecs-host-service',
    '/fractal',
    '/fractal/',
    '/fractal/temp',
    '/fractal/%%FRACTAL_ID_PLACEHOLDER%%',
    '/fractal/%%FRACTAL_ID_PLACEHOLDER%%/..',
    '/fractal/%%FRACTAL_ID_PLACEHOLDER%%/userConfigs/unpacked_configs/link',
    `/fractal/${'0123456789'.repeat(6)}/userConfigs/unpacked_configs`,
    '/fractalprivate',
    '/run/udev',
    '/run/udev/data/../control',
    '/sys',
    '/sys/fs',
    '/sys/fs/cgroup/devices',
    '/sys/fs/cgroup/systemd',
    '/proc/self/root/sys',
    '/proc/self/root/sys/fs/cgroup',
  ];
  for (const source of sources) {
    test(`S10: ${source} is refused, as a bind and as a mount`, () => {
      refused({ Binds: [`${source}:/x:ro`] });
      refused({ Mounts: [{ Type: 'bind', Source: source, Target: '/x', ReadOnly: true }] });
    });
  }

  const hosts: readonly object[] = [
    { NetworkMode: '../x' },
    { PidMode: 'host' },
    { IpcMode: 'host' },
    { UTSMode: 'host' },
    { UsernsMode: 'host' },
    { CgroupnsMode: 'host' },
    { Cgroup: 'container:one' },
    { CgroupParent: '/' },
    { CgroupParent: '/ecs/other' },
    { CgroupParent: 'system.slice' },
    { CapAdd: ['SYS_ADMIN'] },
    { CapAdd: ['cap_sys_admin'] },
    { CapAdd: ['ALL'] },
    { SecurityOpt: ['seccomp=unconfined'] },
    { SecurityOpt: ['seccomp:unconfined'] },
    { SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'] },
    { SecurityOpt: ['apparmor=unconfined'] },
    { SecurityOpt: ['label=disable'] },
    { SecurityOpt: ['systempaths=unconfined'] },
    { MaskedPaths: [] },
    { MaskedPaths: ['/proc/kcore'] },
    { ReadonlyPaths: [] },
    { Binds: ['/run/udev/data:/run/udev/data'] },
    { Binds: ['/run/udev/data:/run/udev/data:ro,Z'] },
    { Binds: ['/run/udev/data:/run/udev/data:ro,rshared'] },
    { Binds: ['/fractal/%%FRACTAL_ID_PLACEHOLDER%%/containerResourceMappings:/x'] },
    { Binds: ['/fractal/temp/%%FRACTAL_ID_PLACEHOLDER%%/sockets:/proc/x'] },
    { Binds: ['data:/sys'] },
    {
      Mounts: [
        {
          Type: 'volume',
          Source: 'x',
          Target: '/x',
          VolumeOptions: { DriverConfig: { Options: { type: 'none', o: 'bind', device: '/etc' } } },
        },
      ],
    },
    {
      Mounts: [
        { Type: 'volume', Source: 'x', Target: '/x', VolumeOptions: { DriverConfig: { Name: 'other' } } },
      ],
    },
    { Mounts: [{ Type: 'volume', Source: 'x', Target: '/x', VolumeOptions: { Subpath: '..' } }] },
    { Mounts: [{ Type: 'npipe', Source: 'x', Target: '/x' }] },
    {
      Mounts: [
        {
          Type: 'bind',
          Source: '/run/udev/data',
          Target: '/x',
          ReadOnly: true,
          BindOptions: { Propagation: 'shared' },
        },
      ],
    },
    { VolumeDriver: 'other' },
    { Tmpfs: { '/sys/fs/cgroup': '' } },
    { Tmpfs: { 'a/../sys/fs': '' } },
    { Tmpfs: { '/x': 'size=1m,bind' } },
    { Sysctls: { 'kernel.core_pattern': '|/x' } },
    { Runtime: 'other' },
    { Annotations: { x: 'y' } },
    { LogConfig: { Type: 'syslog', Config: { 'syslog-address': 'unix:///run/docker.sock' } } },
    { LogConfig: { Type: 'syslog', Config: { 'syslog-tls-key': '/etc/shadow' } } },
    { LogConfig: { Type: 'fluentd', Config: { 'fluentd-address': 'unix:///run/docker.sock' } } },
    { LogConfig: { Type: 'splunk', Config: {} } },
    { LogConfig: { Type: 'awslogs', Config: { 'awslogs-endpoint': 'http://example.org' } } },
    { DeviceRequests: [{ Driver: 'cdi', DeviceIDs: ['vendor.com/device=all'] }] },
    { DeviceRequests: [{ Capabilities: [['cdi']] }] },
    { OomKillDisable: true },
    { OomScoreAdj: -1000 },
    { CpuRealtimeRuntime: 950_000 },
    { ContainerIDFile: '/etc/passwd' },
    { Capabilities: ['CAP_SYS_ADMIN'] },
    { NewInAFutureVersion: true },
  ];
  for (const host of hosts) {
    test(`for a hosted container, ${JSON.stringify(host)} is refused`, () => refused(host));
  }

  test('a volume below /proc or /sys is refused, even if its path has no leading slash', () => {
    for (const place of ['/sys', 'sys', './proc/fs', '/a/../sys/fs', '.'])
      assert.throws(() => accept({ Volumes: { [place]: {} } }), { code: 'create.not_allowed' }, place);
  });

  test('fields of the host configuration at the top of the body, as old clients send them, are refused', () => {
    assert.throws(() => accept({ Binds: ['/:/x'] }), { code: 'create.not_allowed' });
    assert.throws(() => accept({ Privileged: true }), { code: 'create.not_allowed' });
    assert.throws(() => accept({ NetworkDisabled: true, MacAddress: '02:00:00:00:00:01' }), {
      code: 'create.not_allowed',
    });
  });

  const otherBodies: readonly [Rule, object][] = [
    [updateRule, { DeviceCgroupRules: ['a *:* rwm'] }],
    [updateRule, { CgroupParent: '/' }],
    [updateRule, { PidsLimit: -1 }],
    [updateRule, { OomKillDisable: true }],
    [execRule, { Privileged: true }],
    [connectRule, { EndpointConfig: { MacAddress: '02:00:00:00:00:01' } }],
    [connectRule, { EndpointConfig: { DriverOpts: { x: 'y' } } }],
  ];
  for (const [rule, body] of otherBodies) {
    test(`${JSON.stringify(body)} is refused in a later call`, () => {
      assert.throws(() => accept(body, {}, rule), { code: 'create.not_allowed' });
    });
  }
});

suite('spellings and duplicates', () => {
  /** The forms of a letter that Docker does not distinguish. */
  const forms = (letter: string) => [
    letter.toLowerCase(),
    letter.toUpperCase(),
    ...({ s: ['ſ'], k: ['\u212a'] }[letter.toLowerCase()] ?? []),
  ];
  const written = (name: string) =>
    fc
      .tuple(...Array.from(name).map((letter) => fc.constantFrom(...forms(letter))))
      .map((letters) => letters.join(''));
  const FORBIDDEN: readonly [string, unknown][] = [
    ['Privileged', true],
    ['DeviceCgroupRules', ['a *:* rwm']],
    ['RestartPolicy', { nAmE: 'always' }],
    ['Binds', ['/:/x']],
    ['Mounts', [{ tYpe: 'bind', sourCe: '/', tarGet: '/x' }]],
    ['MaskedPaths', []],
    ['CapAdd', ['SYS_ADMIN']],
    ['SecurityOpt', ['seccomp=unconfined']],
    ['Devices', [{ pathonhost: '/dev/tty1' }]],
    ['PidMode', 'host'],
  ];

  test('a refused field is refused in every spelling that Docker accepts', () => {
    const one = fc
      .constantFrom(...FORBIDDEN)
      .chain(([name, value]) => fc.tuple(written('HostConfig'), written(name), fc.constant(value)));
    fc.assert(
      fc.property(one, ([host, name, value]) => {
        assert.throws(() => accept({ [host]: { [name]: value } }), { name: 'ServiceError' });
      }),
    );
  });

  test('a duplicate field is refused, whatever its two values are', () => {
    const harmless = { Privileged: 'false', Binds: '[]', PidMode: '""' } as const;
    const names = fc.constantFrom('Privileged', 'Binds', 'PidMode');
    const twice = names.chain((name) =>
      fc.tuple(written(name), written(name), fc.constant(harmless[name as 'Binds'])),
    );
    fc.assert(
      fc.property(twice, ([first, second, value]) => {
        const text = `{"HostConfig":{"${first}":${value},"${second}":${value}}}`;
        assert.throws(() => read(text), {
          code: 'create.bad_body',
          message: /appears twice; send each field once/,
        });
      }),
    );
  });

  test('a second HostConfig and duplicate nested fields are refused and named', () => {
    assert.throws(() => read('{"HostConfig":{},"hostConfig":{}}'), { message: /"HostConfig" appears twice/ });
    assert.throws(() => read('{"HostConfig":{"Mounts":[{"Source":"a","source":"b"}]}}'), {
      message: /"HostConfig\.Mounts\[0\]\.Source" appears twice/,
    });
    assert.throws(() => read('{"HostConfig":{"Whatever":{"a":1,"a":2}}}'), { message: /appears twice/ });
  });

  test('names that are data are not changed', () => {
    const body = {
      Labels: { Labels: 'a', labels: 'b', __proto__x: 'c' },
      HostConfig: { Tmpfs: { '/A': '', '/a': '' }, LogConfig: { Config: { tag: 'x' } } },
      NetworkingConfig: { EndpointsConfig: { Net: {}, net: {} } },
    };
    assert.deepEqual(read(JSON.stringify(body)), body);
    const strange = read('{"Labels":{"__proto__":"x"}}') as { Labels: object };
    assert.deepEqual(Object.entries(strange.Labels), [['__proto__', 'x']]);
  });

  test('without duplicates, the reader returns what JSON.parse returns', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('', ' ', '\n\t'), (text, space) => {
        const { tree, isAlone } = readJson(`${space}${text}${space}`);
        assert.ok(isAlone);
        assert.deepEqual(fold(tree, undefined), JSON.parse(text));
      }),
    );
  });

  test('text that is not JSON is refused, and trailing bytes are detected', () => {
    for (const text of [
      '',
      '{',
      '{"a"}',
      '{"a":1,}',
      '[1 2]',
      "{'a':1}",
      '"\n"',
      '\ufeff{}',
      'nul',
      '01',
      '{"a":1',
      '"\\',
    ]) {
      assert.throws(() => readJson(text), SyntaxError, text);
    }
    assert.equal(readJson('{} {}').isAlone, false);
    assert.throws(() => readJson('['.repeat(1000)), { code: 'create.bad_body', message: /too deep/ });
    assert.equal(foldName('HoſtConfi\u0047'), 'hostconfig');
  });

  test('values of a type that Docker does not use are refused', () => {
    for (const host of [
      { Binds: {} },
      { CapAdd: 'ALL' },
      { Memory: '1' },
      { Memory: 1.5 },
      { Mounts: [null] },
      { Tmpfs: [] },
      { Init: 1 },
    ]) {
      assert.throws(() => acceptHost(host), { code: 'create.bad_body' }, JSON.stringify(host));
    }
  });

  test('an error shows only a short part of a value, which is safe for a terminal', () => {
    assert.throws(
      () => acceptHost({ Runtime: '\u001b[31m\u202e'.repeat(100) }),
      ({ message }: Error) => {
        return message.length < 700 && /^[\x20-\x7e…]+$/.test(message);
      },
    );
  });
});

suite('rights that an operator allows', () => {
  const cases: readonly [string, object][] = [
    ['CapAdd=SYS_ADMIN', { CapAdd: ['CAP_SYS_ADMIN'] }],
    ['Binds=/srv/data', { Binds: ['/srv/data:/data'] }],
    ['Devices=/dev/fuse', { Devices: [{ PathOnHost: '/dev/fuse' }] }],
    ['DeviceCgroupRules=c 226:* rw', { DeviceCgroupRules: ['c 226:* rw'] }],
    ['SecurityOpt=seccomp=unconfined', { SecurityOpt: ['seccomp:unconfined'] }],
    ['SecurityOpt=systempaths=unconfined', { MaskedPaths: [], ReadonlyPaths: [] }],
    ['PidMode=host', { PidMode: 'host' }],
    ['Runtime=crun', { Runtime: 'crun' }],
    ['LogConfig=splunk', { LogConfig: { Type: 'splunk', Config: { 'splunk-token': 'x' } } }],
    ['Sysctls=kernel.domainname', { Sysctls: { 'kernel.domainname': 'x' } }],
    ['OomKillDisable=true', { OomKillDisable: true }],
  ];
  for (const [token, host] of cases) {
    test(`${token} allows it, and the error without it names the token`, () => {
      acceptHost(host, { allowed: hostedAllow(token) });
      refused(host, 'create.not_allowed', new RegExp(`HOSTED_ALLOW=${RegExp.escape(token)}$`));
    });
  }

  test('allowing a directory allows no directory inside, beside or above it', () => {
    const allowed = hostedAllow('Binds=/srv/data');
    for (const source of ['/srv/data/link', '/srv', '/srv/database', '/srv/data/..']) {
      assert.throws(() => acceptHost({ Binds: [`${source}:/x`] }, { allowed }), {
        code: 'create.not_allowed',
      });
    }
  });
});

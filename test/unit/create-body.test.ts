import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Allotted, amendCreateBody } from '../../container/creation/amend-create-body.ts';
import {
  type CreateBody,
  checkCreateBody,
  type HostConfig,
  PLACEHOLDER,
} from '../../container/creation/create-body.ts';
import type { ContainerId } from '../../container/identity.ts';
import { portsWanted } from '../../container/network/published-ports.ts';

const ID = '0123456789'.repeat(6) as ContainerId;

const ALLOTTED: Allotted = {
  hostId: 'this-host',
  containerId: ID,
  role: 'spin-up',
  ports: new Map([
    ['32262/tcp', 20_001],
    ['32263/udp', 20_002],
  ]),
  tty: 17,
  devices: [],
  gpus: [],
  gpuAccess: 'nvidia',
  cgroup: '/fractal/own/cgroup',
  seccompProfile: '{"defaultAction":"SCMP_ACT_ERRNO"}',
  limits: { pids: undefined, memory: undefined, canLimitSwap: true, log: undefined, logDriver: 'json-file' },
};

function amend(HostConfig: HostConfig): HostConfig {
  return amendCreateBody({ HostConfig }, ALLOTTED).HostConfig ?? {};
}

/** The host configuration as a caller may send it, with any content. */
function amendJson(hostConfig: string): HostConfig {
  return amend(checkCreateBody({ HostConfig: JSON.parse(hostConfig) }).HostConfig as HostConfig);
}

suite("a container's allotted resources are added to its body", () => {
  test("the host's seccomp profile follows the requested security options", () => {
    const ours = `seccomp=${ALLOTTED.seccompProfile}`;
    assert.deepEqual(amend({}).SecurityOpt, [ours]);
    assert.deepEqual(amendJson('{"SecurityOpt":null}').SecurityOpt, [ours]);
    assert.deepEqual(amend({ SecurityOpt: ['no-new-privileges'] }).SecurityOpt, ['no-new-privileges', ours]);
  });

  test('a requested seccomp profile is kept, and none is added if Docker does not support profiles', () => {
    for (const named of ['seccomp={}', 'seccomp:unconfined']) {
      assert.deepEqual(amend({ SecurityOpt: [named] }).SecurityOpt, [named]);
    }
    const body = { HostConfig: { SecurityOpt: ['no-new-privileges'] } };
    const { HostConfig } = amendCreateBody(body, { ...ALLOTTED, seccompProfile: undefined });
    assert.deepEqual(HostConfig?.SecurityOpt, ['no-new-privileges']);
  });

  test('the placeholder in binds is replaced with the container id', () => {
    const { Binds } = amend({ Binds: [`/host/${PLACEHOLDER}/a:/a:ro`, `/${PLACEHOLDER}/${PLACEHOLDER}:/b`] });
    assert.deepEqual(Binds, [`/host/${ID}/a:/a:ro`, `/${ID}/${ID}:/b`]);
  });

  test('the placeholder in the sources of mounts is replaced with the container id', () => {
    const mount = { Type: 'bind', Source: `/host/${PLACEHOLDER}/a`, Target: '/a', ReadOnly: true };
    assert.deepEqual(amend({ Mounts: [mount] }).Mounts, [{ ...mount, Source: `/host/${ID}/a` }]);
  });

  test('a mount without a source stays unchanged', () => {
    const mount = { Type: 'tmpfs', Target: '/scratch' };
    assert.deepEqual(amend({ Mounts: [mount] }).Mounts, [mount]);
  });

  test("the container's own devices follow the requested ones", () => {
    const fuse = { PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' };
    const own = { PathOnHost: '/fractal/a/event5', PathInContainer: '/dev/input/event5' };
    const body = { HostConfig: { Devices: [fuse] } };
    assert.deepEqual(amendCreateBody(body, { ...ALLOTTED, devices: [own] }).HostConfig?.Devices, [fuse, own]);
  });

  test('each container port is bound to the allotted host port, whatever was requested', () => {
    const { PortBindings } = amend({
      PortBindings: { '32262/tcp': [{ HostPort: '32262' }], '32263/udp': null },
    });
    assert.deepEqual(PortBindings, {
      '32262/tcp': [{ HostIp: '', HostPort: '20001' }],
      '32263/udp': [{ HostIp: '', HostPort: '20002' }],
    });
  });

  test('the host address of a port binding is kept', () => {
    const { PortBindings } = amend({
      PortBindings: { '32262/tcp': [{ HostIp: '127.0.0.1', HostPort: '32262' }], '32263/udp': [] },
    });
    assert.deepEqual(PortBindings?.['32262/tcp'], [{ HostIp: '127.0.0.1', HostPort: '20001' }]);
  });

  test('the allotted ports are exposed in addition to those that the body exposes', () => {
    const { ExposedPorts } = amendCreateBody({ ExposedPorts: { '80/tcp': {} } }, ALLOTTED);
    assert.deepEqual(ExposedPorts, { '80/tcp': {}, '32262/tcp': {}, '32263/udp': {} });
  });

  test("the host's labels are added to those of the body", () => {
    const { Labels } = amendCreateBody({ Labels: { task: 'x' } }, ALLOTTED);
    assert.deepEqual(Labels, {
      task: 'x',
      'ecs-host-service.host-id': 'this-host',
      'ecs-host-service.container-id': ID,
      'ecs-host-service.role': 'spin-up',
    });
  });

  test('a body cannot claim to belong to another host', () => {
    const { Labels } = amendCreateBody({ Labels: { 'ecs-host-service.host-id': 'other' } }, ALLOTTED);
    assert.equal(Labels?.['ecs-host-service.host-id'], 'this-host');
  });

  test("the rule for the container's own console follows the requested rules", () => {
    const { DeviceCgroupRules } = amend({ DeviceCgroupRules: ['c 226:* rw'] });
    assert.deepEqual(DeviceCgroupRules, ['c 226:* rw', 'c 4:17 rw']);
  });

  test('a container without a console gets no rule for one', () => {
    const { HostConfig } = amendCreateBody({}, { ...ALLOTTED, tty: undefined });
    assert.deepEqual(HostConfig?.DeviceCgroupRules, []);
  });

  test('a body that requests nothing gets no binds, mounts, devices or cgroup namespace', () => {
    const { Binds, Mounts, Devices, ...others } = amend({});
    assert.deepEqual({ Binds, Mounts, Devices }, { Binds: [], Mounts: [], Devices: [] });
    assert.ok(!('CgroupnsMode' in others));
  });

  test('a body without a host configuration gets one', () => {
    const body = amendCreateBody({ Image: 'base', HostConfig: null, Labels: null }, ALLOTTED);
    assert.deepEqual(body.HostConfig?.DeviceCgroupRules, ['c 4:17 rw']);
    assert.deepEqual(body.HostConfig?.PortBindings?.['32262/tcp'], [{ HostIp: '', HostPort: '20001' }]);
  });
});

suite('other parts of the body are left alone', () => {
  const body: CreateBody = {
    Image: 'base',
    Env: ['A=1'],
    NewInAFutureVersion: { x: [1] },
    Labels: { task: 'x' },
    ExposedPorts: { '80/tcp': {} },
    HostConfig: {
      Binds: [`/host/${PLACEHOLDER}:/a`],
      Mounts: [
        { Type: 'bind', Source: `/host/${PLACEHOLDER}`, Target: '/b' },
        { Type: 'bind', Source: '/sys/fs/cgroup', Target: '/sys/fs/cgroup' },
      ],
      PortBindings: { '32262/tcp': [{ HostPort: '1' }] },
      DeviceCgroupRules: ['c 226:* rw'],
      Devices: [{ PathOnHost: '/dev/dri/card0' }],
      ShmSize: 64,
      AlsoNew: { y: null },
    },
  };

  test('C41: the body is not changed in place', () => {
    const before = structuredClone(body);
    const amended = amendCreateBody(body, ALLOTTED);
    assert.notDeepEqual(amended, before);
    assert.deepEqual(body, before);
  });

  test('unknown fields are passed on unchanged', () => {
    const { HostConfig, ...amended } = amendCreateBody(body, ALLOTTED);
    assert.equal(amended.Image, 'base');
    assert.deepEqual(amended.Env, ['A=1']);
    assert.deepEqual(amended.NewInAFutureVersion, { x: [1] });
    assert.equal(HostConfig?.ShmSize, 64);
    assert.deepEqual(HostConfig?.AlsoNew, { y: null });
    assert.deepEqual(HostConfig?.Devices, [{ PathOnHost: '/dev/dri/card0' }]);
  });
});

suite('a container gets only its own control group', () => {
  const own = (Source = '/fractal/own/cgroup') => ({
    Type: 'bind',
    Source,
    Target: '/sys/fs/cgroup/systemd',
    ReadOnly: false,
    BindOptions: { NonRecursive: true },
  });

  for (const source of ['/sys/fs/cgroup', '/sys/fs/cgroup/', '/sys/fs/../fs/cgroup']) {
    test(`a bind of ${source} becomes one of its own group in systemd's hierarchy`, () => {
      const { Binds, Mounts, CgroupnsMode } = amend({ Binds: [`${source}:/sys/fs/cgroup:ro`, '/a:/b'] });
      assert.deepEqual(Binds, ['/a:/b']);
      assert.deepEqual(Mounts, [own()]);
      assert.equal(CgroupnsMode, 'private');
    });

    test(`a mount of ${source} becomes one of its own group in systemd's hierarchy`, () => {
      const other = { Type: 'bind', Source: '/a', Target: '/b' };
      const { Mounts } = amend({
        Mounts: [{ Type: 'bind', Source: source, Target: '/sys/fs/cgroup', ReadOnly: true }, other],
      });
      assert.deepEqual(Mounts, [other, own()]);
    });
  }

  test('a writable bind of the control groups gives no more write access than a read-only one', () => {
    assert.deepEqual(amend({ Binds: ['/sys/fs/cgroup:/sys/fs/cgroup:rw'] }).Mounts, [own()]);
  });

  test('on a host without such a hierarchy, nothing is bound', () => {
    const body = { Image: 'demo', HostConfig: { Binds: ['/sys/fs/cgroup:/sys/fs/cgroup'] } };
    const { HostConfig } = amendCreateBody(body, { ...ALLOTTED, cgroup: undefined });
    assert.deepEqual([HostConfig?.Binds, HostConfig?.Mounts], [[], []]);
  });

  test('the control groups cannot be mounted at another place', () => {
    const refused = { code: 'create.bad_body', message: /mount it at \/sys\/fs\/cgroup/ };
    assert.throws(() => amend({ Binds: ['/sys/fs/cgroup:/host/groups'] }), refused);
  });

  test('a container that does not request the control groups gets none', () => {
    assert.deepEqual(amend({ Binds: ['/sys/fs/cgroups:/a'] }), {
      ...amend({}),
      Binds: ['/sys/fs/cgroups:/a'],
    });
    assert.deepEqual(amend({}).Mounts, []);
  });
});

suite('a body of a wrong form is refused', () => {
  const wrong: readonly string[] = [
    '{"Binds":[5]}',
    '{"Binds":[null]}',
    '{"Binds":5}',
    '{"Binds":"/a:/b"}',
    '{"Mounts":[null]}',
    '{"Mounts":["/a:/b"]}',
    '{"Mounts":[[]]}',
    '{"Mounts":[{"Type":"bind","Source":5,"Target":"/a"}]}',
    '{"Mounts":{"Type":"bind"}}',
    '{"DeviceCgroupRules":[null]}',
    '{"DeviceCgroupRules":5}',
    '{"Devices":[null]}',
    '{"Devices":[{"PathOnHost":5}]}',
    '{"Devices":5}',
  ];
  for (const hostConfig of wrong) {
    test(`${hostConfig} is refused`, () => {
      assert.throws(() => amendJson(hostConfig), { name: 'ServiceError', code: 'create.bad_body' });
    });
  }

  test('lists that are null count as empty', () => {
    const { Binds, Mounts, DeviceCgroupRules } = amendJson(
      '{"Binds":null,"Mounts":null,"Devices":null,"DeviceCgroupRules":null,"PortBindings":null}',
    );
    assert.deepEqual(
      { Binds, Mounts, DeviceCgroupRules },
      { Binds: [], Mounts: [], DeviceCgroupRules: ['c 4:17 rw'] },
    );
  });
});

suite('the ports that a body requests', () => {
  const wanted = (PortBindings: HostConfig['PortBindings']) => [
    ...portsWanted({ HostConfig: { PortBindings: PortBindings ?? null } }).allotted,
  ];

  test("the programs' ports are returned with the host ports that they request", () => {
    const asked = { '32262/tcp': [{ HostPort: '32262' }], '32263/udp': [{ HostPort: '40000' }] };
    assert.deepEqual(wanted(asked), [
      ['32262/tcp', 32_262],
      ['32263/udp', 40_000],
    ]);
  });

  test('another port is allotted if its host port is left open', () => {
    assert.deepEqual(wanted({ '32262/tcp': [], '80/tcp': [{}], '81/udp': [{ HostPort: '0' }] }), [
      ['32262/tcp', undefined],
      ['80/tcp', undefined],
      ['81/udp', undefined],
    ]);
  });

  test('host ports that the caller chose for other ports are kept, and not allotted', () => {
    const PortBindings = {
      '32262/tcp': [],
      '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }, { HostPort: '8081' }],
      '81/udp': [{ HostPort: '8080' }],
      '82/tcp': [{ HostPort: '9000-9010' }],
      '83/sctp': [{ HostPort: '83' }],
    };
    const { allotted, chosen } = portsWanted({ HostConfig: { PortBindings } });
    assert.deepEqual([...allotted.keys()], ['32262/tcp']);
    assert.deepEqual(chosen, [
      { protocol: 'tcp', number: 8080 },
      { protocol: 'tcp', number: 8081 },
      { protocol: 'udp', number: 8080 },
    ]);
    assert.deepEqual(amend({ PortBindings }).PortBindings, {
      ...PortBindings,
      '32262/tcp': [{ HostIp: '', HostPort: '20001' }],
      '32263/udp': [{ HostIp: '', HostPort: '20002' }],
    });
  });

  test('the first of several bindings of a port counts', () => {
    assert.deepEqual(wanted({ '32262/tcp': [{ HostPort: '5' }, { HostPort: '6' }] }), [['32262/tcp', 5]]);
  });

  const noWishes = [
    null,
    [],
    [{}],
    [{ HostPort: '' }],
    [{ HostPort: '0' }],
    [{ HostPort: '-1' }],
    [{ HostPort: '8000-8010' }],
  ];
  for (const bindings of noWishes) {
    test(`${JSON.stringify(bindings)} requests no particular host port`, () => {
      assert.deepEqual(wanted({ '32262/tcp': bindings }), [['32262/tcp', undefined]]);
    });
  }

  for (const PortBindings of [{}, null, { '32262/udp': [] }]) {
    test(`${JSON.stringify(PortBindings)} is refused, because it does not publish 32262/tcp`, () => {
      assert.throws(() => wanted(PortBindings), { code: 'create.no_identifying_port' });
    });
  }

  for (const port of ['80/sctp', '8000-8010/tcp']) {
    test(`the port ${port} is passed on unchanged, because only single tcp and udp ports can be allotted`, () => {
      assert.deepEqual(wanted({ '32262/tcp': [], [port]: [] }), [['32262/tcp', undefined]]);
    });
  }

  test('a body without a host configuration is refused, because it does not publish 32262/tcp', () => {
    assert.throws(() => portsWanted({}), { code: 'create.no_identifying_port' });
    assert.throws(() => portsWanted({ HostConfig: null }), { code: 'create.no_identifying_port' });
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type CreateBody, type HostConfig, PLACEHOLDER } from '../../container/creation/create-body.ts';
import { CLIENT_PORTS, portsWanted } from '../../container/network/published-ports.ts';
import { readJson } from '../../docker-engine/docker-json.ts';
import {
  appNameOf,
  complete,
  inNeededVersion,
  isInteractive,
  networkOf,
  purposeOf,
} from '../../ecs-agent-bridge/docker-proxy/interactive-creates.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { pathsBelow } from '../../host/paths.ts';

const PATHS = pathsBelow('/root');
const LABEL = { 'ecs-host-service.interactive': 'true' };
function isHosted(body: unknown): boolean {
  return isInteractive(readJson(JSON.stringify(body)).tree);
}

const TASK = 'com.amazonaws.ecs.task-arn';

function refusedWith(code: string) {
  return (error: unknown) => error instanceof ServiceError && error.code === code;
}

suite('create calls for a hosted container', () => {
  test('have the label, or the placeholder in their mounts', () => {
    const bodies: unknown[] = [
      { Labels: LABEL },
      { Labels: LABEL, HostConfig: null },
      { HostConfig: { Binds: ['/a:/a', `/fractal/${PLACEHOLDER}/x:/x:ro`] } },
      {
        Labels: null,
        HostConfig: { Binds: null, Mounts: [{ Type: 'bind', Source: `/x/${PLACEHOLDER}`, Target: '/x' }] },
      },
    ];
    for (const body of bodies) assert.equal(isHosted(body), true, JSON.stringify(body));
  });

  test('are recognized even if only Docker would understand them that way', () => {
    const label = '{"ecs-host-service.interactive":"true"}';
    const texts = [
      `{"labels":${label}}`,
      `{"LABEL\u017f":${label}}`,
      `{"Labels":${label},"labels":{}}`,
      `{"Labels":{"ecs-host-service.interactive":"true","ecs-host-service.interactive":"false"}}`,
      `{"hostconfig":{"binds":["/fractal/${PLACEHOLDER}:/x"]}}`,
      `{"HostConfig":{},"hostConfig":{"Mounts":[{"source":"/fractal/${PLACEHOLDER}"}]}}`,
      `{"Binds":["/fractal/${PLACEHOLDER}:/x"]}`,
      `{"Labels":${label}} trailing`,
    ];
    for (const text of texts) assert.equal(isInteractive(readJson(text).tree), true, text);
  });

  test('other creates are not for a hosted container, whatever they contain', () => {
    const bodies: unknown[] = [
      null,
      [],
      'x',
      {},
      { Labels: [], HostConfig: [] },
      { Labels: { 'ecs-host-service.interactive': 'false' } },
      { Labels: { 'ecs-host-service.interactive': true } },
      { Labels: { 'ecs-host-service.interactive': 'TRUE' } },
      { Labels: { x: PLACEHOLDER }, Env: [PLACEHOLDER], Image: PLACEHOLDER },
      { HostConfig: { Binds: `${PLACEHOLDER}:/x`, Mounts: { Source: PLACEHOLDER } } },
      {
        HostConfig: {
          Binds: [7, null, { Source: PLACEHOLDER }],
          Mounts: [null, 7, PLACEHOLDER, { Target: PLACEHOLDER }],
        },
      },
    ];
    for (const body of bodies) assert.equal(isHosted(body), false, JSON.stringify(body));
  });
});

suite('the app of a container', () => {
  test("is the part of the image's name between fractal/ and the tag", () => {
    const names: [string, string][] = [
      ['ghcr.io/fractal/dev/browsers/chrome:0123abc', 'dev/browsers/chrome'],
      ['fractal/base:current-build', 'base'],
      ['fractal/base', 'base'],
      ['localhost:5000/fractal/base:x', 'base'],
      ['ghcr.io/fractal/dev/base@sha256:0123', 'dev/base'],
      ['ghcr.io/fractal/dev/base:x@sha256:0123', 'dev/base'],
    ];
    for (const [image, name] of names) assert.equal(appNameOf(image), name, image);
  });

  test('is the repository for other images', () => {
    const names: [string, string][] = [
      ['nginx', 'nginx'],
      ['nginx:1.27', 'nginx'],
      ['library/nginx:1.27', 'library/nginx'],
      ['localhost:5000/nginx', 'localhost:5000/nginx'],
      ['localhost:5000/nginx:1.27', 'localhost:5000/nginx'],
      ['sha256:0123', 'sha256:0123'],
      ['nginx@sha256:0123', 'nginx'],
      ['nginx:1.27@sha256:0123', 'nginx'],
    ];
    for (const [image, name] of names) assert.equal(appNameOf(image), name, image);
  });

  test('cannot be found if the image has no name', () => {
    for (const image of ['', ':tag', '@sha256:0123', 'fractal/', 'ghcr.io/fractal/:tag']) {
      assert.throws(() => appNameOf(image), refusedWith('create.bad_body'), image);
    }
    assert.throws(() => purposeOf({}), refusedWith('create.bad_body'));
  });

  test("is found from the label of an ECS agent's task", () => {
    const Image = 'fractal/base:x';
    assert.deepEqual(purposeOf({ Image }), { role: 'docker', appName: 'base' });
    assert.deepEqual(purposeOf({ Image, Labels: null }), { role: 'docker', appName: 'base' });
    assert.deepEqual(purposeOf({ Image, Labels: { [TASK]: 'arn:1' } }), {
      role: 'ecs',
      appName: 'base',
      task: 'arn:1',
    });
  });
});

suite('a container that is requested with the label alone', () => {
  function completed(HostConfig?: HostConfig | null, hasUdev = true): HostConfig {
    const body: CreateBody = { Image: 'x', Labels: LABEL, ...(HostConfig !== undefined && { HostConfig }) };
    return complete(body, PATHS, hasUdev).HostConfig ?? {};
  }
  const targetsOf = ({ Mounts }: HostConfig) => (Mounts ?? []).map(({ Target }) => Target);

  test('gets what a spun-up one has: mappings, files, sockets, ports, and udev if the host has it', () => {
    const { Mounts, PortBindings } = completed();
    const own = `/root/fractal/${PLACEHOLDER}`;
    const sockets = `/root/fractal/temp/${PLACEHOLDER}/sockets`;
    assert.deepEqual(Mounts, [
      {
        Type: 'bind',
        Source: `${own}/containerResourceMappings`,
        Target: '/fractal/resourceMappings',
        ReadOnly: true,
      },
      {
        Type: 'bind',
        Source: `${own}/userConfigs/unpacked_configs`,
        Target: '/fractal/userConfigs',
        ReadOnly: false,
      },
      { Type: 'bind', Source: sockets, Target: '/tmp/sockets', ReadOnly: false },
      { Type: 'bind', Source: '/run/udev/data', Target: '/run/udev/data', ReadOnly: true },
    ]);
    assert.deepEqual(PortBindings, { '32262/tcp': [], '32263/udp': [], '32273/tcp': [] });
    assert.deepEqual([...portsWanted({ HostConfig: { PortBindings } }).allotted.keys()], CLIENT_PORTS);
    assert.deepEqual(targetsOf(completed(null, false)), targetsOf({ Mounts: Mounts?.slice(0, 3) ?? [] }));
  });

  test('gets only what its body does not specify', () => {
    const mount = { Type: 'tmpfs', Target: '/tmp/sockets' };
    const PortBindings = { '32263/udp': [{ HostPort: '4000' }], '80/tcp': null };
    const found = completed({
      Binds: ['/own:/fractal/userConfigs:ro', '/other:/other'],
      Mounts: [mount],
      PortBindings,
      Memory: 7,
    });
    assert.deepEqual(found.Binds, ['/own:/fractal/userConfigs:ro', '/other:/other']);
    assert.deepEqual(targetsOf(found), ['/tmp/sockets', '/fractal/resourceMappings', '/run/udev/data']);
    assert.deepEqual(found.Mounts?.[0], mount);
    assert.deepEqual(found.PortBindings, { '32262/tcp': [], '32273/tcp': [], ...PortBindings });
    assert.equal(found.Memory, 7);
  });

  test("gets no ports if it shares another container's network", () => {
    const { PortBindings } = completed({ NetworkMode: 'container:pause' });
    assert.deepEqual(PortBindings, {});
  });

  test('gets the same if fields are null', () => {
    const nulls = { Binds: null, Mounts: null, PortBindings: null, NetworkMode: null };
    const found = completed(nulls);
    assert.deepEqual(
      { ...found, Binds: undefined, NetworkMode: undefined },
      { ...completed(), Binds: undefined, NetworkMode: undefined },
    );
  });

  test('gets nothing without the label', () => {
    const body = { Image: 'x', HostConfig: { Binds: [`/${PLACEHOLDER}:/x`] } };
    assert.equal(complete(body, PATHS, true), body);
  });

  test('is refused if nobody can reach its network', () => {
    for (const NetworkMode of ['host', 'none']) {
      assert.throws(() => completed({ NetworkMode }), refusedWith('create.no_network'), NetworkMode);
      assert.throws(() => networkOf({ HostConfig: { NetworkMode } }), refusedWith('create.no_network'));
    }
  });
});

test('the container whose network is shared is found from the network mode', () => {
  assert.equal(networkOf({ HostConfig: { NetworkMode: 'container:abc' } }), 'abc');
  for (const NetworkMode of ['', 'default', 'bridge', 'mine', 'hostly', null]) {
    assert.equal(networkOf({ HostConfig: { NetworkMode } }), undefined, String(NetworkMode));
  }
  assert.equal(networkOf({}), undefined);
  assert.equal(networkOf({ HostConfig: null }), undefined);
});

suite('the API version of a create', () => {
  const QUERY = '/containers/create?name=one&x=/v1.2/';
  const asked = (version: string, HostConfig: HostConfig = {}, hasCgroups2 = false) => {
    const { target, body } = inNeededVersion(version + QUERY, { Image: 'x', HostConfig }, hasCgroups2);
    assert.equal(body.Image, 'x');
    return { target, host: body.HostConfig };
  };

  test("is the client's from 1.41 on, and the body is unchanged", () => {
    for (const version of ['', '/v1.41', '/v1.44', '/v1.100']) {
      assert.deepEqual(asked(version, { AutoRemove: true }), {
        target: version + QUERY,
        host: { AutoRemove: true },
      });
    }
  });

  test('is 1.41 for older clients, with the defaults of their version', () => {
    const target = `/v1.41${QUERY}`;
    const before40 = { IpcMode: 'shareable', CgroupnsMode: 'host' };
    assert.deepEqual(asked('/v1.40'), { target, host: { CgroupnsMode: 'host' } });
    assert.deepEqual(asked('/v1.39'), { target, host: before40 });
    assert.deepEqual(asked('/v1.25', { AutoRemove: true }), {
      target,
      host: { AutoRemove: true, ...before40 },
    });
    assert.deepEqual(asked('/v1.24', { AutoRemove: true }), {
      target,
      host: { AutoRemove: false, ...before40 },
    });
    assert.deepEqual(asked('/v1.21'), { target, host: { AutoRemove: false, ...before40 } });
    for (const spelled of ['/v1.39.0', '/v01.039', '/v1.39.'])
      assert.deepEqual(asked(spelled), { target, host: before40 });
    assert.deepEqual(asked('/v1.40', {}, true), { target, host: {} });
    assert.deepEqual(inNeededVersion(`/v1.40${QUERY}`, { HostConfig: null }, true).body.HostConfig, {});
  });

  test('does not override what the client specifies itself', () => {
    const own = { IpcMode: 'private', CgroupnsMode: 'private', Memory: 7 };
    assert.deepEqual(asked('/v1.39', own).host, own);
    assert.equal(asked('/v1.39', { IpcMode: '', CgroupnsMode: '' }).host?.IpcMode, 'shareable');
    assert.equal(asked('/v1.39', { IpcMode: '', CgroupnsMode: '' }).host?.CgroupnsMode, 'host');
  });
});

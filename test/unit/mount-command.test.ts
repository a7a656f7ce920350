import assert from 'node:assert/strict';
import { isAbsolute, normalize } from 'node:path';
import { suite, test } from 'node:test';
import type { Mount } from '../../container/creation/create-body.ts';
import { developersMounts } from '../../container/creation/developers-mounts.ts';
import { parseMountCommand } from '../../container/creation/mount-command.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { pathsBelow } from '../../host/paths.ts';
import fc from '../support/properties.ts';

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

function mounted(options: Partial<Mount> = {}): Mount {
  return { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: false, ...options };
}

suite('accepted commands', () => {
  const accepted: readonly [string, Mount[]][] = [
    ['', []],
    [' \t\n', []],
    ['--mount type=bind,source=/a,destination=/b', [mounted()]],
    ['--mount type=bind,src=/a,dst=/b', [mounted()]],
    ['--mount type=bind,src=/a,target=/b', [mounted()]],
    ['--mount dst=/b,src=/a,type=bind', [mounted()]],
    ['--mount TYPE=bind,Source=/a,Target=/b', [mounted()]],
    ['--mount=type=bind,source=/a,destination=/b', [mounted()]],
    ['--mount type=bind,source=/a,destination=/b,readonly', [mounted({ ReadOnly: true })]],
    ['--mount type=bind,source=/a,destination=/b,ro', [mounted({ ReadOnly: true })]],
    ['--mount type=bind,source=/a,destination=/b,readonly=true', [mounted({ ReadOnly: true })]],
    ['--mount type=bind,source=/a,destination=/b,ro=1', [mounted({ ReadOnly: true })]],
    ['--mount type=bind,source=/a,destination=/b,readonly=false', [mounted()]],
    ['--mount type=bind,source=/a,destination=/b,readonly=0', [mounted()]],
    ['--mount type=bind,source=/a=x,destination=/b', [mounted({ Source: '/a=x' })]],
    ['-v /a:/b', [mounted()]],
    ['-v=/a:/b', [mounted()]],
    ['--volume /a:/b', [mounted()]],
    ['--volume=/a:/b', [mounted()]],
    ['-v /a:/b:ro', [mounted({ ReadOnly: true })]],
    ['-v /a:/b:rw', [mounted()]],
    ['-v /a:/b:rslave,ro', [mounted({ ReadOnly: true, BindOptions: { Propagation: 'rslave' } })]],
    ['  -v\t/a:/b\n--mount  type=bind,src=/c,dst=/d ', [mounted(), mounted({ Source: '/c', Target: '/d' })]],
  ];
  for (const [command, expected] of accepted) {
    test(`${JSON.stringify(command)} is accepted`, () => {
      assert.deepEqual(parseMountCommand(command), expected);
    });
  }

  for (const Propagation of PROPAGATIONS) {
    test(`the propagation ${Propagation} is accepted in both forms`, () => {
      const expected = [mounted({ BindOptions: { Propagation } })];
      assert.deepEqual(parseMountCommand(`-v /a:/b:${Propagation}`), expected);
      assert.deepEqual(
        parseMountCommand(`--mount type=bind,src=/a,dst=/b,bind-propagation=${Propagation}`),
        expected,
      );
    });
  }
});

suite('refused commands', () => {
  const refused: readonly [string, RegExp][] = [
    ['--privileged', /"--privileged" is neither --mount nor -v/],
    ['-v /a:/b --device /dev/kmsg', /"--device" is neither --mount nor -v/],
    ['-v/a:/b', /"-v\/a:\/b" is neither --mount nor -v/],
    ['--volumes-from x', /"--volumes-from" is neither --mount nor -v/],
    ['/a:/b', /"\/a:\/b" is neither --mount nor -v/],
    ['-v', /-v needs a value/],
    ['-v=', /-v needs a value/],
    ['--volume', /--volume needs a value/],
    ['--mount', /--mount needs a value/],
    ['--mount=', /--mount needs a value/],
    ['-v /a:/b --mount', /--mount needs a value/],
    ['-v --privileged', /"--privileged" in "--privileged" must be an absolute path/],
    ['-v /a', /"" in "\/a" must be an absolute path/],
    ['-v :/b', /"" in ":\/b" must be an absolute path/],
    ['-v name:/b', /"name" in "name:\/b" must be an absolute path/],
    ['-v ./a:/b', /"\.\/a" in .* must be an absolute path/],
    ['-v /a:b', /"b" in "\/a:b" must be an absolute path/],
    ['-v /a:/', /must not replace the container's root/],
    ['-v /a:/x/..', /must not replace the container's root/],
    ['-v /a://', /must not replace the container's root/],
    ['-v /a:/b:ro:rw', /"\/a:\/b:ro:rw" has too many colons/],
    ['-v /a:/b:z', /"z" in "\/a:\/b:z" is not one of ro, rw, private/],
    ['-v /a:/b:RO', /"RO" in "\/a:\/b:RO" is not one of ro, rw/],
    ['--mount source=/a,target=/b', /"source=\/a,target=\/b" must have type=bind/],
    ['--mount type=volume,source=/a,target=/b', /must have type=bind/],
    ['--mount type=tmpfs,target=/b', /must have type=bind/],
    ['--mount type,source=/a,target=/b', /must have type=bind/],
    ['--mount type=bind,target=/b', /"" in "type=bind,target=\/b" must be an absolute path/],
    ['--mount type=bind,source=/a', /"" in "type=bind,source=\/a" must be an absolute path/],
    ['--mount type=bind,source=a,target=/b', /"a" in .* must be an absolute path/],
    ['--mount type=bind,source,target=/b', /"true" in .* must be an absolute path/],
    ['--mount type=bind,source=/a,target=b', /"b" in .* must be an absolute path/],
    ['--mount type=bind,source=/a,target=/', /must not replace the container's root/],
    ['--mount type=bind,source=/a,src=/c,target=/b', /gives its source twice/],
    ['--mount type=bind,type=bind,source=/a,target=/b', /gives its type twice/],
    ['--mount type=bind,source=/a,target=/b,ro,readonly', /gives its readonly twice/],
    ['--mount type=bind,source=/a,target=/b,readonly=maybe', /readonly must be true or false/],
    ['--mount type=bind,source=/a,target=/b,readonly=', /readonly must be true or false/],
    ['--mount type=bind,source=/a,target=/b,bind-propagation=up', /"up" in .* is not one of private/],
    ['--mount type=bind,source=/a,target=/b,bind-propagation', /"true" in .* is not one of private/],
    ['--mount type=bind,source=/a,target=/b,consistency=cached', /"consistency" in .* is not a field/],
    ['--mount type=bind,source=/a,target=/b,', /"" in .* is not a field/],
    // Names that every JavaScript object has.
    ['--mount type=bind,source=/a,target=/b,constructor=x', /"constructor" in .* is not a field/],
    ['--mount type=bind,source=/a,target=/b,__proto__=x', /"__proto__" in .* is not a field/],
  ];
  for (const [command, message] of refused) {
    test(`${JSON.stringify(command)} is refused`, () => {
      assert.throws(() => parseMountCommand(command), { code: 'create.bad_mount', message });
    });
  }
});

suite('any command', () => {
  const piece = fc.oneof(
    fc.constantFrom('--mount', '--volume', '-v', ' ', ' ', '=', ',', ',', ':', ':', '/', '/a', '/b', '..'),
    fc.constantFrom('type=bind', 'src=/a', 'dst=/b', 'readonly', 'ro', 'rw', 'bind-propagation=', 'shared'),
    fc.string({ maxLength: 4 }),
  );
  const anything = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 4 }).map((pieces) => `-v /a:/b${pieces.join('')}`),
    fc.array(piece, { maxLength: 4 }).map((pieces) => `--mount type=bind,src=/a,dst=/b${pieces.join('')}`),
  );

  function assertHarmless(mount: Mount): void {
    const { Type, Source = '', Target, ReadOnly, BindOptions, ...rest } = mount;
    assert.equal(Type, 'bind');
    assert.ok(isAbsolute(Source), Source);
    assert.ok(isAbsolute(Target) && normalize(Target) !== '/', Target);
    assert.equal(typeof ReadOnly, 'boolean');
    if (BindOptions) assert.ok(PROPAGATIONS.includes(String(BindOptions.Propagation)));
    assert.deepEqual(rest, {});
  }

  test('S10: the result is a list of absolute bind mounts, or a refusal', () => {
    fc.assert(
      fc.property(anything, (command) => {
        try {
          parseMountCommand(command).forEach(assertHarmless);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          assert.equal(error.code, 'create.bad_mount');
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('mounts that are formatted are parsed back', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9._%=-]*[A-Za-z0-9]$/);
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`);
    const one = fc.record({ Source: path, Target: path, ReadOnly: fc.boolean() });
    const asVolume = ({ Source, Target, ReadOnly }: Partial<Mount>) =>
      `-v ${Source}:${Target}${ReadOnly ? ':ro' : ''}`;
    const asMount = ({ Source, Target, ReadOnly }: Partial<Mount>) =>
      `--mount type=bind,source=${Source},target=${Target},readonly=${ReadOnly}`;
    fc.assert(
      fc.property(fc.array(one), fc.constantFrom(asVolume, asMount), (mounts, write) => {
        assert.deepEqual(
          parseMountCommand(mounts.map(write).join(' ')),
          mounts.map((mount) => ({ Type: 'bind', ...mount })),
        );
      }),
    );
  });
});

suite('mounts in local development', () => {
  const judge = (command: string) =>
    developersMounts(parseMountCommand(command), pathsBelow('/'), '/var/run/docker.sock');

  test("local development can mount the developer's own directories, by the path to which their links lead", () => {
    const [mount] = judge('-v /proc/self/root/usr/share:/x:rslave');
    assert.deepEqual(mount, {
      ...mounted({ Source: '/usr/share', Target: '/x' }),
      BindOptions: { Propagation: 'rslave' },
    });
  });

  for (const source of [
    '/',
    '/etc',
    '/etc/ssl',
    '/dev/shm',
    '/proc/self',
    '/sys/fs/cgroup',
    '/run',
    '/run/docker.sock',
    '/var/run/docker.sock',
    '/var',
    '/var/lib/docker/volumes',
    '/run/ecs-host-service',
    '/var/lib/ecs-host-service',
    '/fractal',
    '/fractal/temp/x',
    '/fractalprivate',
    '/proc/self/root/etc',
    '/usr/share/../../etc',
  ]) {
    test(`local development cannot mount ${source}`, () => {
      assert.throws(() => judge(`-v ${source}:/x`), { code: 'create.bad_mount' });
    });
  }

  test('local development cannot mount anything with which the container could mount on the host', () => {
    assert.throws(() => judge('-v /usr/share:/x:rshared'), { code: 'create.bad_mount', message: /rslave/ });
  });
});

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { allowedMounts } from '../../container/creation/allowed-mounts.ts';
import { whyNotMountable } from '../../container/creation/mountable.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { pathsBelow } from '../../host/paths.ts';

const directory = mkdtempDisposableSync(join(tmpdir(), 'mountable-'));
after(() => directory.remove());
const PATHS = pathsBelow('/');

suite('directories of the host that containers may have', () => {
  test("a directory that gives root's rights, belongs to a container, or contains such a directory cannot be allowed", () => {
    for (const path of [
      ...[
        '/',
        '/etc',
        '/etc/cron.d',
        '/proc',
        '/sys/fs/cgroup',
        '/dev',
        '/run',
        '/var/run',
        '/boot',
        '/root/.ssh',
      ],
      ...['/usr', '/usr/local/bin', '/bin', '/var', '/var/lib', '/var/lib/docker', '/var/lib/docker/volumes'],
      ...[
        '/fractal',
        '/fractal/temp',
        '/fractalprivate',
        '/var/lib/ecs-host-service/spool',
        '/var/lib/ecs',
        '/opt',
      ],
      ...['/home', '/home/ubuntu', '/etc/../etc/', '/srv/../etc'],
    ]) {
      assert.notEqual(whyNotMountable(path, PATHS), undefined, path);
    }
    for (const path of [
      '/srv',
      '/srv/shared',
      '/mnt/data',
      '/home/ubuntu/shared',
      '/opt/games',
      '/var/games/x',
      '/fractals',
    ]) {
      assert.equal(whyNotMountable(path, PATHS), undefined, path);
    }
  });

  test('a link to another directory cannot be mounted, even if it became one later', () => {
    const shared = join(directory.path, 'shared');
    mkdirSync(shared);
    const ask = () => allowedMounts([{ source: shared, target: '/x' }], [shared], PATHS);
    assert.equal(ask()[0]?.Source, shared);
    rmSync(shared, { recursive: true });
    symlinkSync('/etc', shared);
    assert.match(whyNotMountable(shared, PATHS) ?? '', /a link to \/etc$/);
    assert.throws(ask, (error) => error instanceof ServiceError && error.code === 'create.mount_leads_out');
  });
});

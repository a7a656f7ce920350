import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupOf } from '../../container/cgroups.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';

const ID = 'd0c4e7' as DockerId;

for (const [driver, parent, group] of [
  ['cgroupfs', '', 'docker/d0c4e7'],
  ['cgroupfs', '/ecs/task', 'ecs/task/d0c4e7'],
  ['systemd', '', 'system.slice/docker-d0c4e7.scope'],
  ['systemd', 'ecstasks-1.slice', 'ecstasks.slice/ecstasks-1.slice/docker-d0c4e7.scope'],
  ['cgroupfs', '/../../../etc', 'etc/d0c4e7'],
  ['systemd', '../../../etc.slice', 'etc.slice/docker-d0c4e7.scope'],
] as const) {
  test(`with Docker's cgroup driver ${driver} and the parent "${parent}", a container's group is ${group}`, () => {
    assert.equal(cgroupOf('/cgroup', driver, parent, ID), `/cgroup/${group}`);
  });
}

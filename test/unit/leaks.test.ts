/** Each difference between ledger, Docker, filesystem and kernel is reported by name, and nothing else is. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compare, look, type Sight } from '../../container/after-death/leaks.ts';
import { newContainerId } from '../../container/identity.ts';
import type { Role } from '../../container/labels.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { pathsBelow } from '../../host/paths.ts';
import type { Page } from '../../lifetime/ledger.ts';

const ID = newContainerId();
const OTHER = newContainerId();
const ofContainer = { owner: { kind: 'container', id: ID }, lifetime: `container ${ID}` };
const DEVICES = { kind: 'input devices', what: 'pointer, mouse, keyboard', ...ofContainer };
const PORT = { kind: 'port', what: 'tcp 1234', ...ofContainer };
const SERVICE: Page = {
  name: 'service',
  entries: [{ kind: 'process', what: '7', owner: { kind: 'service' }, lifetime: 'service' }],
  facts: { pid: 7 },
};
const PAGE = {
  name: ID,
  entries: [
    DEVICES,
    PORT,
    { ...PORT, kind: 'docker container', what: ID, owner: { kind: 'docker container', id: ID } },
  ],
  facts: { dockerId: 'd1', devices: [{ number: 5, sysname: 'input7' }] },
};

/** A running container about which all of them agree. */
const AGREED: Sight = {
  pages: [SERVICE, PAGE],
  listed: [{ dockerId: 'd1' as DockerId, containerId: ID, role: 'spin-up', state: 'running' }],
  directories: [ID],
  unsaved: [ID],
  mounts: [],
  devices: ['input7'],
  missing: [],
  idle: [],
};

for (const [what, sight] of [
  ['a container runs', AGREED],
  ['nothing is held', { ...AGREED, pages: [], listed: [], directories: [], devices: [] }],
  [
    'a container is being prepared, and has devices before it reports them',
    { ...AGREED, pages: [SERVICE, { ...PAGE, facts: undefined }], listed: [] },
  ],
  [
    'Docker has not made a container yet',
    {
      ...AGREED,
      pages: [SERVICE, { ...PAGE, facts: { ...PAGE.facts, dockerId: undefined } }],
      listed: [],
    },
  ],
  [
    'a container has ended, and only Docker keeps it',
    {
      ...AGREED,
      pages: [SERVICE, { ...PAGE, entries: PAGE.entries.slice(2) }],
      directories: [],
      devices: [],
    },
  ],
] as const) {
  test(`no leak is reported while ${what}`, () => {
    assert.deepEqual(compare(sight), []);
  });
}

const UNKNOWN = { dockerId: 'd2' as DockerId, role: 'spin-up', state: 'exited' } as const;
for (const [what, difference, told] of [
  [
    "a container with this host's label",
    { listed: [...AGREED.listed, { ...UNKNOWN, containerId: OTHER }] },
    'Docker has the container d2, the ledger does not',
  ],
  [
    "a container with this host's label and no id",
    { listed: [...AGREED.listed, { ...UNKNOWN, containerId: undefined }] },
    'Docker has the container d2, the ledger does not',
  ],
  [
    'a container that Docker does not know',
    { listed: [] },
    `the ledger has the container ${ID}, Docker does not`,
  ],
  [
    'a directory',
    { directories: [ID, OTHER] },
    `there is a directory of ${OTHER}, which is not in the ledger`,
  ],
  [
    "a directory with a user's files",
    { directories: [ID, OTHER], unsaved: [OTHER] },
    `there is a directory of ${OTHER}, which is not in the ledger; it has unsaved files of a user, which the next start saves`,
  ],
  ['a mount', { mounts: ['/fractal/x'] }, 'something is mounted at /fractal/x'],
  ['a missing path', { missing: ['/fractal/y'] }, 'the ledger has /fractal/y, which is not there'],
  [
    'a port on which nobody listens',
    { idle: ['tcp 1234'] },
    'the ledger has the port tcp 1234 of a running container, and nobody listens there',
  ],
  [
    'an input device without an owner',
    { devices: ['input7', 'input8'] },
    'the kernel has the input device input8, the ledger does not',
  ],
  ['a missing input device', { devices: [] }, 'the ledger has the input device input7, the kernel does not'],
] as const) {
  test(`${what} is reported as a leak by name`, () => {
    assert.deepEqual(compare({ ...AGREED, ...difference }), [told]);
  });
}

test('an ended container that its maker has to remove is not a leak', () => {
  const left = (role: Role, state: string) =>
    compare({ ...AGREED, listed: [...AGREED.listed, { ...UNKNOWN, containerId: OTHER, role, state }] });
  assert.deepEqual(left('ecs', 'exited'), []);
  assert.deepEqual(left('docker', 'dead'), []);
  assert.equal(left('docker', 'created').length, 1);
  assert.equal(left('ecs', 'running').length, 1);
  assert.equal(left('spin-up', 'exited').length, 1);
});

test('all differences are reported at once, one per line', () => {
  const leaks = compare({ ...AGREED, listed: [], devices: [], mounts: ['/a', '/b'], missing: ['/c'] });
  assert.equal(leaks.length, 5);
});

function paths(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'leaks-'));
  t.after(() => rmSync(root, { recursive: true }));
  return pathsBelow(root);
}

test('missing directories are not an error', async (t) => {
  const { directories, unsaved, mounts, missing, idle } = await look([], [], paths(t));
  assert.deepEqual([directories, unsaved, mounts, missing, idle], [[], [], [], [], []]);
});

test("directories of containers are reported once, those with a user's files are marked, and others have no owner", async (t) => {
  const below = paths(t);
  for (const path of [below.containers, below.temporary]) {
    for (const name of [ID, 'keep']) mkdirSync(join(path, name), { recursive: true });
  }
  mkdirSync(join(below.temporary, OTHER));
  writeFileSync(join(below.containers, ID, 'user-config.json'), '{}');
  const { directories, unsaved } = await look([], [], below);
  assert.deepEqual([directories.toSorted(), unsaved], [[ID, OTHER].toSorted(), [ID]]);
});

test('a failed check is an error and does not count as no leaks', async (t) => {
  const below = paths(t);
  writeFileSync(below.containers, 'a file in its way');
  await assert.rejects(look([], [], below), { code: 'ENOTDIR' });
});

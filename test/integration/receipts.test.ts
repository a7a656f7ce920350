import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Receipted } from '../../container/receipts.ts';
import { host as hostContainer, OK, startValues, token, USER } from '../support/callers.ts';
import { SECRETS } from '../support/secrets.ts';
import type { Line } from '../support/service-log.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** A root, and its directory of receipts. */
function newRoot(): { root: string; receipts: string } {
  const root = host.newRoot();
  return { root, receipts: join(root, 'var/lib/ecs-host-service/receipts') };
}

const named = ({ kind, what, seen }: Line | Receipted) => [kind, what, seen].join(' ');

test('a receipt lists all resources of its container, when each was allotted and released, and how it was seen gone', async () => {
  const { root, receipts } = newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  assert.deepEqual(await startValues(service, 32262), OK);
  assert.deepEqual(await token(service, 32262), OK);
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
  assert.equal(await service.stop(), 0);

  const path = join(receipts, `${id}.json`);
  assert.deepEqual(
    [receipts, path].map((one) => statSync(one).mode & 0o777),
    [0o700, 0o600],
  );
  const text = readFileSync(path, 'utf8');
  for (const secret of [...SECRETS, USER]) assert.ok(!text.includes(secret), secret);
  const { began, ended, states, resources, ...rest } = JSON.parse(text);
  assert.deepEqual(rest, {
    container: id,
    docker: dockerId,
    role: 'spin-up',
    app: 'demo',
    cause: 'it ended with code 137',
    code: 'exited',
  });
  assert.deepEqual(
    states.map(({ state }: { state: string }) => state),
    ['preparing', 'created', 'running', 'assigned', 'ready', 'ending', 'gone'],
  );
  const times = [began, ...states.map(({ at }: { at: string }) => at), ended].map(Date.parse);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );

  const owners = [`container ${id}`, `docker container of ${id}`];
  const gone = service.lines.filter(({ msg, owner }) => msg === 'gone' && owners.includes(String(owner)));
  const ofKind = (kind: string) => gone.filter((one) => one.kind === kind).length;
  assert.deepEqual(['port', 'tty', 'docker container'].map(ofKind), [3, 1, 1]);
  assert.ok(ofKind('directory') >= 6);
  assert.deepEqual(resources.map(named).sort(), gone.map(named).sort());
  for (const { allotted, released } of resources) assert.ok(began <= allotted && allotted <= released);

  const lines = service.lines.filter(({ msg }) => msg === 'receipt');
  assert.deepEqual(
    lines.map(({ container, level }) => [container, level]),
    [[id, 'info']],
  );
  const logged = lines[0]?.receipt as { readonly resources: readonly Receipted[] };
  const held = logged.resources.filter(({ released }) => released === undefined);
  assert.deepEqual(
    held.map(({ kind }) => kind),
    ['docker container'],
    'the Docker container outlives its hosted container',
  );
});

for (const [what, spoil, mend] of [
  [
    'a full disk',
    (path: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1', 'tmpfs', path]),
    (path: string) => execFileSync('umount', [path]),
  ],
  [
    'a file',
    (path: string) => {
      rmdirSync(path);
      writeFileSync(path, '');
    },
    (path: string) => rmSync(path),
  ],
] as const) {
  test(`a directory of receipts that has become ${what} prevents neither the end of a container nor that of the service`, async () => {
    const { root, receipts } = newRoot();
    mkdirSync(receipts, { recursive: true, mode: 0o700 });
    const service = await host.start({ env: { ROOT: root } }).ready();
    spoil(receipts);
    const dockerId = await hostContainer(service);
    const id = await host.containerIdOf(dockerId);
    await host.docker.getContainer(dockerId).kill();
    await service.gone(id);
    assert.equal(await service.stop(), 0);
    const line = await service.message('could not write a receipt');
    assert.deepEqual([line.level, line.container], ['warn', id]);
    assert.equal(service.lines.filter(({ msg }) => msg === 'receipt').length, 1, 'the log contains it');
    mend(receipts);
  });
}

test('a starting service keeps the newest thousand receipts', async () => {
  const { root, receipts } = newRoot();
  mkdirSync(receipts, { recursive: true, mode: 0o700 });
  for (let i = 0; i < 1002; i++) writeFileSync(join(receipts, `${String(i).padStart(60, '0')}.json`), '{}');
  const service = await host.start({ env: { ROOT: root } }).ready();
  assert.equal(readdirSync(receipts).length, 1000);
  assert.equal(await service.stop(), 0);
});

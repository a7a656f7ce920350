import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ContainerId, newContainerId } from '../../container/identity.ts';
import { Receipts } from '../../container/receipts.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Holdings } from '../../lifetime/holdings.ts';
import { Lifetime, type Resource } from '../../lifetime/lifetime.ts';
import type { Line } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';
import { pretendedResource } from '../support/resource.ts';

const PURPOSE = { role: 'spin-up', appName: 'demo' } as const;

/** Receipts for the resources of lifetimes. */
async function begin() {
  const directory = await mkdtempDisposable(join(tmpdir(), 'receipts-'));
  const lines: Line[] = [];
  const log = createLogger({ level: 'info', stream: { write: (line) => void lines.push(JSON.parse(line)) } });
  const receipts = new Receipts(directory.path, log);
  const holdings = new Holdings((event) => receipts.note(event));
  const fileOf = (id: string) => join(directory.path, `${id}.json`);
  return {
    path: directory.path,
    receipts,
    holdings,
    lines,
    fileOf,
    read: async (id: string) => JSON.parse(await readFile(fileOf(id), 'utf8')),
    /** A container that holds these resources, and ends. */
    live: async (resources: readonly Resource<string>[] = []): Promise<ContainerId> => {
      const id = newContainerId();
      receipts.begin(id, PURPOSE);
      const lifetime = new Lifetime(`container ${id}`, { owner: { kind: 'container', id }, holdings });
      for (const resource of resources) await lifetime.acquire(resource);
      receipts.moved(id, { from: 'preparing', to: 'created', code: 'created', cause: 'Docker made it' });
      receipts.moved(id, { from: 'created', to: 'ending', code: 'removed', cause: 'it was removed' });
      await lifetime.end();
      receipts.moved(id, {
        from: 'ending',
        to: 'gone',
        code: 'released',
        cause: 'every resource was released',
      });
      await receipts.end(id, 'd0c4e7' as DockerId);
      return id;
    },
    [Symbol.asyncDispose]: () => directory.remove(),
  };
}

const isoTime = (time: string) => assert.equal(new Date(time).toISOString(), time);

test('a receipt says what a container was, why it ended, and what became of its resources', async () => {
  await using begun = await begin();
  const id = await begun.live([pretendedResource('first'), pretendedResource('second')]);
  const receipt = await begun.read(id);
  const { began, ended, states, resources, ...rest } = receipt;
  assert.deepEqual(rest, {
    container: id,
    docker: 'd0c4e7',
    role: 'spin-up',
    app: 'demo',
    cause: 'it was removed',
    code: 'removed',
  });
  assert.deepEqual(
    states.map(({ state, code = '', cause = '' }: Record<string, string>) => [state, code, cause]),
    [
      ['preparing', '', ''],
      ['created', 'created', 'Docker made it'],
      ['ending', 'removed', 'it was removed'],
      ['gone', 'released', 'every resource was released'],
    ],
  );
  assert.deepEqual([began, ended], [states[0].at, states[3].at]);
  for (const { at } of states) isoTime(at);
  assert.deepEqual(
    resources.map(({ kind, what, seen }: Record<string, string>) => [kind, what, seen]),
    ['first', 'second'].map((what) => ['thing', what, 'looked for it']),
  );
  for (const { allotted, released } of resources) {
    for (const time of [allotted, released]) isoTime(time);
    assert.ok(began <= allotted && allotted <= released && released <= ended);
  }
  assert.equal((await stat(begun.fileOf(id))).mode & 0o777, 0o600);
  assert.deepEqual(
    begun.lines.map((line) => [line.level, line.msg, line.container, line.receipt]),
    [['info', 'receipt', id, receipt]],
  );
});

test('refused resources, and those of another container, are in no receipt', async () => {
  await using begun = await begin();
  const other = newContainerId();
  const id = newContainerId();
  begun.receipts.begin(id, PURPOSE);
  const [mine, others] = [id, other].map(
    (one) =>
      new Lifetime(`container ${one}`, { owner: { kind: 'container', id: one }, holdings: begun.holdings }),
  );
  const refused = pretendedResource('x', [], { take: () => Promise.reject(new Error('none is free')) });
  await assert.rejects(mine?.acquire(refused) ?? assert.fail());
  await others?.acquire(pretendedResource('y'));
  await begun.receipts.end(id, undefined);
  const receipt = await begun.read(id);
  assert.deepEqual([receipt.resources, 'docker' in receipt], [[], false]);
  await begun.receipts.end(other, undefined);
  assert.deepEqual(await readdir(begun.path), [`${id}.json`]);
});

test('a resource that cannot be released is in the receipt with the reason, and later with its release', async () => {
  await using begun = await begin();
  let busy = true;
  const id = await begun.live([
    pretendedResource('stuck', [], {
      release: () => {
        if (busy) throw new Error('device busy');
      },
    }),
  ]);
  const { allotted, ...before } = (await begun.read(id)).resources[0];
  assert.deepEqual(before, { kind: 'thing', what: 'stuck', failed: 'device busy' });
  busy = false;
  await begun.holdings.retry();
  const { released, ...after } = (await begun.read(id)).resources[0];
  assert.deepEqual(after, { kind: 'thing', what: 'stuck', allotted, seen: 'looked for it' });
  isoTime(released);
  assert.equal(begun.lines.length, 1, 'the log contains it once');
});

test('a Docker container that outlives its container is held in the receipt until it is removed', async () => {
  await using begun = await begin();
  const id = newContainerId();
  begun.receipts.begin(id, PURPOSE);
  const kept = new Lifetime('kept', { owner: { kind: 'docker container', id }, holdings: begun.holdings });
  await kept.acquire(pretendedResource(id));
  await begun.receipts.end(id, 'd0c4e7' as DockerId);
  assert.ok(!('released' in (await begun.read(id)).resources[0]));
  await kept.end();
  assert.equal((await begun.read(id)).resources[0].seen, 'looked for it');
  await rm(begun.fileOf(id));
  await begun.receipts.end(id, 'd0c4e7' as DockerId);
  assert.deepEqual(await readdir(begun.path), [], 'the service remembers none of it');
});

test('resources that containers still hold are remembered for the latest thousand containers', async () => {
  await using begun = await begin();
  let busy = true;
  const release = () => {
    if (busy) throw new Error('device busy');
  };
  const ids: string[] = [];
  for (let i = 0; i < 1001; i++) ids.push(await begun.live([pretendedResource('x', [], { release })]));
  busy = false;
  await begun.holdings.retry();
  const [forgotten, oldest] = await Promise.all(ids.slice(0, 2).map((id) => begun.read(id)));
  assert.deepEqual([forgotten.resources[0].failed, oldest.resources[0].failed], ['device busy', undefined]);
});

test('a receipt that cannot be written is logged, and stops nothing', async () => {
  await using begun = await begin();
  await rm(begun.path, { recursive: true });
  await writeFile(begun.path, 'a file where the directory was');
  const id = await begun.live([pretendedResource('x')]);
  assert.deepEqual(
    begun.lines.map(({ level, msg, container }) => [level, msg, container]),
    [
      ['info', 'receipt', id],
      ['warn', 'could not write a receipt', id],
    ],
  );
  assert.match(String(begun.lines[1]?.why), /ENOTDIR/);
  await begun.receipts.removeOld();
  assert.equal(begun.lines[2]?.msg, 'could not remove old receipts');
});

test('an incomplete receipt of a dead writer is removed at the next start', async () => {
  await using begun = await begin();
  await writeFile(begun.fileOf('whole'), '{}');
  await writeFile(join(begun.path, `.half.json.${randomUUID()}.tmp`), '{');
  await writeFile(join(begun.path, '.of-somebody-else.tmp'), '');
  await begun.receipts.removeOld();
  assert.deepEqual(new Set(await readdir(begun.path)), new Set(['.of-somebody-else.tmp', 'whole.json']));
});

test('the newest thousand receipts are kept', async () => {
  await using begun = await begin();
  const paths = Array.from({ length: 1003 }, (_, i) => begun.fileOf(String(i)));
  for (const [i, path] of paths.entries()) {
    await writeFile(path, '{}');
    // In any order of their names.
    await utimes(path, 0, (i * 7) % 1003);
  }
  await begun.receipts.removeOld();
  const left = new Set(await readdir(begun.path));
  const removed = paths.flatMap((_, i) => (left.has(`${i}.json`) ? [] : [(i * 7) % 1003]));
  assert.deepEqual(
    removed.sort((a, b) => a - b),
    [0, 1, 2],
  );
});

test('a receipt lists the last hundred terminals of its container, and all that are still held', async () => {
  await using begun = await begin();
  const names = Array.from({ length: 103 }, (_, i) => `terminal ${i}`);
  const id = await begun.live([]);
  begun.receipts.begin(id, PURPOSE);
  for (const name of ['held', ...names]) {
    const lifetime = new Lifetime('terminal', { owner: { kind: 'container', id }, holdings: begun.holdings });
    await lifetime.acquire({ ...pretendedResource(name), kind: 'terminal' });
    if (name !== 'held') await lifetime.end();
  }
  const { resources } = await begun.receipts.find(id);
  assert.deepEqual(
    resources.map(({ what }) => what),
    ['held', ...names.slice(3)],
  );
});

/** The ledger: a process leaves in it exactly what it held, whenever it dies. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newContainerId } from '../../container/identity.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { Holdings } from '../../lifetime/holdings.ts';
import { Ledger, type Page } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

const plain = { release: () => {}, seenGone: () => 'gone' };

interface Desk {
  readonly directory: string;
  readonly ledger: Ledger;
  readonly lifetime: Lifetime;
  /** What another process would find now. */
  readonly found: () => Page[];
}

function open(t: TestContext, name = 'one'): Desk {
  const root = mkdtempSync(join(tmpdir(), 'ledger-'));
  t.after(() => rmSync(root, { recursive: true }));
  const directory = join(root, 'ledger');
  const ledger = new Ledger(directory);
  const lifetime = new Lifetime(name, {
    owner: { kind: name },
    holdings: new Holdings((event) => ledger.observe(event)),
  });
  const found = () => new Ledger(directory).open();
  return { directory, ledger, lifetime, found };
}

test('a resource is in the ledger from before it is acquired until it was seen gone', async (t) => {
  const { ledger, lifetime, found, directory } = open(t);
  ledger.open();
  const entry = { kind: 'port', what: 'tcp 1', owner: { kind: 'one' }, lifetime: 'one' };
  const page = [{ name: 'one', entries: [entry], facts: undefined }];
  const seen: Page[][] = [];
  const look = () => void seen.push(found());
  const seenGone = () => {
    look();
    return 'gone';
  };
  await lifetime.acquire({ kind: 'port', what: 'tcp 1', take: look, release: look, seenGone });
  assert.deepEqual(found(), page);
  await lifetime.end();
  assert.deepEqual(seen, [page, page, page]);
  assert.ok(!existsSync(directory));
});

test('the ledger does not keep resources that could not be acquired, and keeps those that could not be released', async (t) => {
  const { ledger, lifetime, found } = open(t);
  ledger.open();
  const fail = () => {
    throw new Error('on purpose');
  };
  await assert.rejects(lifetime.acquire({ kind: 'a', what: '1', take: fail, ...plain }));
  assert.deepEqual(found(), []);
  await lifetime.acquire({ kind: 'b', what: '2', take: () => {}, ...plain, release: fail });
  await lifetime.end();
  assert.deepEqual(
    found().flatMap(({ entries }) => entries.map(({ kind }) => kind)),
    ['b'],
  );
});

test("the next process finds a dead one's resources in the ledger, and they are removed once it has released its own", async (t) => {
  const { directory, ledger, lifetime } = open(t);
  ledger.open();
  for (const what of ['1', '2']) await lifetime.acquire({ kind: 'a', what, take: () => {}, ...plain });
  ledger.note('one', { secret: 'kept' });
  let released = false;
  const release = () => {
    released = true;
  };
  const leave = () => writeFileSync(join(directory, '../left'), '');
  await lifetime.acquire({ kind: 'a', what: '3', take: () => {}, ...plain, release, leave });
  await lifetime.leave(new Error('it dies'));
  assert.ok(!released);
  assert.ok(existsSync(join(directory, '../left')));
  assert.deepEqual(lifetime.holdings.list(), []);

  const next = new Ledger(directory);
  const [page] = next.open();
  assert.deepEqual(
    page?.entries.map(({ what }) => what).sort((a, b) => a.localeCompare(b)),
    ['1', '2', '3'],
  );
  assert.deepEqual(page?.facts, { secret: 'kept' });
  const adopting = new Lifetime('one', {
    owner: { kind: 'one' },
    holdings: new Holdings((event) => next.observe(event)),
  });
  await adopting.acquire({ kind: 'a', what: '2', take: () => {}, ...plain });
  assert.equal(readdirSync(join(directory, 'one')).length, 4);
  await adopting.end();
  assert.ok(!existsSync(directory));
});

test('the ledger is not changed before it is opened', async (t) => {
  const { directory, ledger, lifetime } = open(t);
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  ledger.note('one', {});
  assert.ok(!existsSync(directory));
});

test('a resource that was acquired before the ledger was opened can be released', async (t) => {
  const { directory, ledger, lifetime } = open(t);
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  ledger.open();
  assert.deepEqual(await lifetime.end(), []);
  assert.ok(!existsSync(directory));
});

test('a release removes only its own resource from the ledger', async (t) => {
  const { ledger, lifetime, found } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  const child = lifetime.child('two');
  await child.acquire({ kind: 'a', what: '2', take: () => {}, ...plain });
  const other = lifetime.child('three', { owner: { kind: 'another' } });
  await other.acquire({ kind: 'a', what: '3', take: () => {}, ...plain });
  assert.deepEqual([await child.end(), await other.end()], [[], []]);
  assert.deepEqual(
    found().map(({ name, entries }) => [name, entries.map(({ what }) => what)]),
    [['one', ['1']]],
  );
});

test('the removal of a page that does not exist has no effect', async (t) => {
  const { ledger, lifetime, found } = open(t);
  ledger.open();
  ledger.remove('nobody');
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  ledger.remove('nobody');
  assert.equal(found().length, 1);
});

test('a ledger that cannot be removed is an error', (t) => {
  const { directory, ledger } = open(t);
  writeFileSync(directory, 'a file in its way');
  assert.throws(() => ledger.remove('one'), { code: 'ENOTDIR' });
});

test('only root can read the ledger', async (t) => {
  const { directory, ledger, lifetime } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  ledger.note('one', {});
  const modes = [directory, join(directory, 'one')].map((path) => statSync(path).mode & 0o777);
  const files = readdirSync(join(directory, 'one')).map(
    (name) => statSync(join(directory, 'one', name)).mode & 0o777,
  );
  assert.deepEqual(
    [modes, files],
    [
      [0o700, 0o700],
      [0o600, 0o600],
    ],
  );
  chmodSync(directory, 0o700);
});

test('a resource that cannot be recorded is not acquired', async (t) => {
  const { directory, ledger, lifetime } = open(t);
  ledger.open();
  writeFileSync(directory, 'a file in its way');
  let taken = false;
  const take = () => {
    taken = true;
  };
  await assert.rejects(
    lifetime.acquire({ kind: 'a', what: '1', take, ...plain }),
    (error) => error instanceof ServiceError && error.code === 'ledger.not_written',
  );
  assert.ok(!taken);
  assert.deepEqual(lifetime.holdings.list(), []);
});

test('a failed write leaves no directory behind, and its error says where and why it failed', (t) => {
  const { directory, ledger } = open(t);
  ledger.open();
  assert.throws(
    () => ledger.note('one', { amount: 1n }),
    (error) => {
      assert.ok(error instanceof ServiceError && error.cause instanceof TypeError);
      assert.equal(error.code, 'ledger.not_written');
      assert.ok(error.message.includes(`in ${directory}: ${error.cause.message}`), error.message);
      return true;
    },
  );
  assert.ok(!existsSync(directory));
});

test('a failed write removes its draft, and the page is still removed with its last resource', async (t) => {
  const { directory, ledger, lifetime } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  // A directory in the place of the record.
  mkdirSync(join(directory, 'one/facts.json'));
  assert.throws(() => ledger.note('one', {}), { code: 'ledger.not_written' });
  assert.ok(!existsSync(join(directory, 'one/.facts.json')));
  await lifetime.end();
  assert.ok(!existsSync(directory));
});

test('an incomplete draft of a dead process is ignored', async (t) => {
  const { directory, ledger, lifetime, found } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  writeFileSync(join(directory, 'one/.facts.json'), '{"half');
  assert.deepEqual(
    found().map(({ entries, facts }) => [entries.length, facts]),
    [[1, undefined]],
  );
});

test('an entry that is removed while a reader without the lock looks is ignored', async (t) => {
  const { directory, ledger, lifetime, found } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  // It is listed, and does not exist when it is read.
  symlinkSync('nowhere', join(directory, 'one/removed.json'));
  assert.deepEqual(
    found().map(({ entries }) => entries.map(({ what }) => what)),
    [['1']],
  );
});

test('an entry or a page that cannot be read is an error', (t) => {
  const { directory, found } = open(t);
  mkdirSync(join(directory, 'page'), { recursive: true });
  writeFileSync(join(directory, 'page/entry.json'), '{"half');
  assert.throws(found, SyntaxError);
  rmSync(join(directory, 'page'), { recursive: true });
  writeFileSync(join(directory, 'page'), 'a file in its way');
  assert.throws(found, { code: 'ENOTDIR' });
});

test('a resource that is adopted from an earlier version of the service is recorded once', async (t) => {
  const { directory, ledger, lifetime, found } = open(t);
  mkdirSync(join(directory, 'one'), { recursive: true });
  const entry = { kind: 'a', what: '1', owner: { kind: 'one' }, lifetime: 'one' };
  const name = '6afef86a70d9ad640f56f23c5d6319ab.json';
  writeFileSync(join(directory, 'one', name), JSON.stringify({ version: 2, ...entry }));
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  assert.deepEqual(found(), [{ name: 'one', entries: [entry], facts: undefined }]);
});

test('a failed write does not remove what another process left in the ledger', async (t) => {
  const { directory, ledger, lifetime, found } = open(t);
  ledger.open();
  await lifetime.acquire({ kind: 'a', what: '1', take: () => {}, ...plain });
  ledger.note('one', { left: true });
  const next = new Ledger(directory);
  next.open();
  // A directory in the place of the draft.
  mkdirSync(join(directory, 'one/.facts.json/full'), { recursive: true });
  assert.throws(() => next.note('one', {}), { code: 'ledger.not_written' });
  assert.deepEqual(
    found().map(({ entries, facts }) => [entries.length, facts]),
    [[1, { left: true }]],
  );
});

test('one page lists the resources of a container and its Docker container, with their owner', async (t) => {
  const { ledger, lifetime, found } = open(t);
  ledger.open();
  const id = newContainerId();
  for (const kind of ['container', 'docker container']) {
    const child = lifetime.child(`${kind} in other words`, { owner: { kind, id } });
    await child.acquire({ kind: 'a', what: kind, take: () => {}, ...plain });
  }
  const [page, ...others] = found();
  assert.deepEqual([page?.name, others], [id, []]);
  assert.deepEqual(
    new Set(page?.entries.map(({ owner }) => owner)),
    new Set([
      { kind: 'container', id },
      { kind: 'docker container', id },
    ]),
  );
});

test("pages of version 1, in which a lifetime's name was the owner, can be read", (t) => {
  const { directory, found } = open(t);
  const id = newContainerId();
  const names = {
    [id]: [`container ${id}`, `docker container of ${id}`, `terminal of container ${id}`],
    'ecs-agent': ['ecs agent'],
    service: ['service', `watch of docker container of ${id}`, `container ${id} of another`],
  };
  for (const [page, owners] of Object.entries(names)) {
    mkdirSync(join(directory, page), { recursive: true });
    for (const owner of owners) {
      const entry = JSON.stringify({ kind: 'a', what: 'b', owner });
      writeFileSync(join(directory, page, `${owner.replaceAll(' ', '-')}.json`), entry);
    }
  }
  const entries = found().flatMap((page) => page.entries);
  assert.deepEqual(Object.fromEntries(entries.map(({ owner, lifetime }) => [lifetime, owner])), {
    [`container ${id}`]: { kind: 'container', id },
    [`docker container of ${id}`]: { kind: 'docker container', id },
    [`terminal of container ${id}`]: { kind: 'container', id },
    'ecs agent': { kind: 'ecs-agent' },
    service: { kind: 'service' },
    // These only mention a container.
    [`watch of docker container of ${id}`]: { kind: 'service' },
    [`container ${id} of another`]: { kind: 'service' },
  });
});

test('a page of a newer version is refused', (t) => {
  const { directory, found } = open(t);
  mkdirSync(join(directory, 'page'), { recursive: true });
  writeFileSync(join(directory, 'page/entry.json'), '{"version":3,"kind":"a","what":"b","of":"whom"}');
  assert.throws(found, { code: 'ledger.newer', message: /start that version/ });
  assert.throws(found, (error) => String(error).includes(`in ${directory} (format 3)`));
});

test('a page on which this process has nothing keeps the other entries of another process', async (t) => {
  const { directory, ledger, lifetime, found } = open(t);
  ledger.open();
  const holdings = ['tcp 1', 'tcp 2'].map((what) => ({
    kind: 'port',
    what,
    owner: lifetime.owner,
    lifetime: '',
  }));
  const [holding = assert.fail(), kept = assert.fail()] = holdings;
  const leavesOneOfTwo = () => {
    const another = new Ledger(directory);
    another.open();
    for (const one of holdings) another.observe({ step: 'taking', holding: one });
    ledger.observe({ step: 'gone', holding, seen: 'gone' });
    assert.deepEqual(
      found().map(({ entries }) => entries),
      [[kept]],
    );
    another.remove('one');
  };
  // This process has had something on the page.
  await lifetime.acquire({ ...plain, kind: 'port', what: 'tcp 3', take: () => {} });
  await lifetime.end();
  leavesOneOfTwo();
  // This process could not write anything on the page.
  mkdirSync(join(directory, 'one/.facts.json'), { recursive: true });
  assert.throws(() => ledger.note('one', {}), { code: 'ledger.not_written' });
  rmSync(directory, { recursive: true });
  leavesOneOfTwo();
});

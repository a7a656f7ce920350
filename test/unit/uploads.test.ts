/** The uploads of saved archives, with a real spool and a store in memory that can fail. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../../logging/logger.ts';
import type { Current } from '../../user-configs/current.ts';
import { Seen } from '../../user-configs/seen.ts';
import { Spool, type Waiting } from '../../user-configs/spool.ts';
import type { Found } from '../../user-configs/store.ts';
import { Uploads } from '../../user-configs/uploads.ts';

const PREFIX = 'v1/user/app/';
const never = new AbortController().signal;

const save = (session: string, sequence: number, changes: Partial<Waiting> = {}): Waiting => ({
  prefix: PREFIX,
  version: `versions/20261130T100000Z-${session}-${sequence}.age`,
  session,
  sequence,
  savedAt: sequence,
  ...changes,
});

/** One prefix of a bucket in memory. */
class MemoryStore {
  readonly names = new Set<string>();
  current: Found | undefined;
  /** Called before each operation; a fault throws. */
  before: (operation: string) => void | Promise<void> = () => {};

  async put(name: string): Promise<void> {
    await this.before(`put ${name}`);
    this.names.add(name);
  }

  async findCurrent(): Promise<Found | undefined> {
    await this.before('find');
    return this.current;
  }

  async makeCurrent(current: Current, found: Found | undefined): Promise<Found | undefined> {
    await this.before('make');
    if (found?.etag !== this.current?.etag) return undefined;
    this.current = { current, etag: `${Number(found?.etag ?? 0) + 1}` };
    return this.current;
  }

  async list() {
    await this.before('list');
    return [...this.names].map((name) => ({ name, bytes: 1, at: new Date(0) }));
  }

  async remove(name: string): Promise<void> {
    await this.before(`remove ${name}`);
    this.names.delete(name);
  }
}

async function hostOf(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'uploads-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'spool'));
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = createLogger({ level: 'debug', stream: { write } });
  const spool = await Spool.open(join(root, 'spool'), 2 ** 20, log);
  const seen = await Seen.open(join(root, 'seen'), 'bucket', log);
  const store = new MemoryStore();
  const spoolOne = (waiting: Waiting) =>
    spool.write(
      waiting,
      (path, grow) => appendFile(path, 'abc').then(() => grow(3)),
      () => {},
    );
  const start = () => new Uploads({ spool, seen, storeAt: () => store, keep: 1, log });
  const said = (level: string) => lines.filter((line) => line.level === level).map(({ msg }) => msg);
  return { spool, seen, store, lines, spoolOne, start, said };
}

test('archives of an earlier service are uploaded in the order in which they were saved', async (t) => {
  const { spool, seen, store, spoolOne, start } = await hostOf(t);
  const puts: string[] = [];
  store.before = (operation) => void (operation.startsWith('put') && puts.push(operation));
  await spoolOne(save('a', 1, { generation: 1 }));
  await spoolOne(save('a', 2, { generation: 1 }));
  const uploads = start();
  await uploads.idle();
  assert.deepEqual(puts, [`put ${save('a', 1).version}`, `put ${save('a', 2).version}`]);
  assert.deepEqual(store.current?.current, {
    version: save('a', 2).version,
    session: 'a',
    sequence: 2,
    generation: 1,
  });
  assert.deepEqual(await seen.newest(PREFIX), { session: 'a', sequence: 2, generation: 1 });
  assert.deepEqual(spool.list(), []);
  assert.equal(await uploads.finish(never), 0);
  assert.deepEqual([...store.names], [save('a', 2).version], 'a superfluous version is removed');
});

test('if the current save is not the one that the session started with, the new save is stored beside it', async (t) => {
  const { store, spoolOne, start, said } = await hostOf(t);
  await spoolOne(save('a', 1));
  await spoolOne(save('b', 2));
  await start().idle();
  assert.equal(store.current?.current.session, 'a');
  assert.ok(store.names.has(save('b', 2).version));
  assert.deepEqual(said('warn'), [
    'another container of the user saved in the meantime: this save is kept beside that one',
  ]);
});

test('a save that was set aside never becomes current', async (t) => {
  const { store, spoolOne, start, said } = await hostOf(t);
  await spoolOne(save('a', 1, { version: 'aside/20261130T100000Z-a-1.age' }));
  await start().idle();
  assert.equal(store.current, undefined);
  assert.deepEqual(said('warn'), [
    'a container that began without the files of its user has saved: this config is kept aside',
  ]);
});

test('a failed upload is retried at once when a caller hurries it', async (t) => {
  const { store, spoolOne, start, said } = await hostOf(t);
  await spoolOne(save('a', 1));
  store.before = () => {
    throw new Error('away');
  };
  const uploads = start();
  await uploads.hurry(PREFIX, never);
  assert.deepEqual(said('warn'), ['a saved user config waits for S3']);
  store.before = () => {};
  await uploads.hurry(PREFIX, never);
  await uploads.idle();
  assert.equal(store.current?.current.session, 'a');
  assert.deepEqual(said('info'), ['stored a user config', 'uploads of user configs to S3 work again']);
});

test('saves that cannot be uploaded stay in the spool when the service ends', async (t) => {
  const { spool, store, lines, spoolOne, start } = await hostOf(t);
  await spoolOne(save('a', 1));
  store.before = () => {
    throw new Error('away');
  };
  assert.equal(await start().finish(never), 1);
  assert.equal(spool.list().length, 1);
  const last = lines.find(({ level }) => level === 'error');
  assert.deepEqual(
    [last?.msg, last?.configs, last?.bytes],
    ['saved user configs stay on this host until its next start', 1, 3],
  );
});

test('a save replaces earlier ones of its session in the spool, except its base and the one being uploaded', async (t) => {
  const { spool, store, spoolOne, start } = await hostOf(t);
  const gate = Promise.withResolvers<void>();
  store.before = () => gate.promise;
  await spoolOne(save('a', 1));
  const uploads = start();
  for (const [session, sequence] of [
    ['a', 2],
    ['a', 3],
    ['b', 3],
  ] as const)
    await spoolOne(save(session, sequence));
  const { version } = save('a', 2);
  const last = await spoolOne(
    save('a', 4, { version, changes: version.replace('.age', '+20261130T100000Z-a-4.age') }),
  );
  await uploads.forgetBefore(last);
  assert.deepEqual(
    spool.list().map(({ waiting: { session, sequence } }) => [session, sequence]),
    [
      ['a', 1],
      ['a', 2],
      ['b', 3],
      ['a', 4],
    ],
  );
  gate.resolve();
  await uploads.idle();
});

test('the first failure is a warning, the sixth an error, and the others are debug output', async (t) => {
  const { store, lines, spoolOne, start } = await hostOf(t);
  await spoolOne(save('a', 1));
  store.before = () => {
    throw new Error('away');
  };
  const uploads = start();
  for (let attempt = 1; attempt <= 7; attempt++) await uploads.hurry(PREFIX, never);
  const waits = lines.filter(({ msg }) => msg === 'a saved user config waits for S3');
  assert.deepEqual(
    waits.map(({ level }) => level),
    ['warn', 'debug', 'debug', 'debug', 'debug', 'error', 'debug'],
  );
  const { why, configs, bytes } = waits[0] ?? {};
  assert.deepEqual([why, configs, bytes], ['away', 1, 3]);
  await uploads.finish(never);
});

test('a save that loses the race for the current record reads it again', async (t) => {
  const { store, spoolOne, start } = await hostOf(t);
  await spoolOne(save('a', 2));
  let isFirst = true;
  store.before = (operation) => {
    if (operation !== 'make' || !isFirst) return;
    isFirst = false;
    // An earlier save of the same session, which it may follow.
    store.current = { current: save('a', 1), etag: '7' };
  };
  await start().idle();
  assert.deepEqual([store.current?.current.sequence, store.current?.etag], [2, '8']);
});

test('the removal of old versions may fail, which is a warning', async (t) => {
  const { spool, store, lines, spoolOne, start, said } = await hostOf(t);
  await spoolOne(save('a', 1));
  store.before = (operation) => {
    if (operation === 'list') throw new Error('no list');
  };
  const uploads = start();
  await uploads.idle();
  assert.equal(await uploads.finish(never), 0);
  assert.deepEqual(said('warn'), ['could not remove old versions of a user config']);
  assert.equal(lines.find(({ level }) => level === 'warn')?.why, 'no list');
  assert.deepEqual(spool.list(), []);
});

test('an upload that does not finish in time is aborted when the service ends, and its archive stays', async (t) => {
  const { spool, store, spoolOne, start, said } = await hostOf(t);
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  store.before = () => {
    begun.resolve();
    return gate.promise;
  };
  await spoolOne(save('a', 1));
  const uploads = start();
  await begun.promise;
  const late = new AbortController();
  const finished = uploads.finish(late.signal);
  late.abort();
  gate.reject(new Error('aborted'));
  assert.equal(await finished, 1);
  assert.equal(spool.list().length, 1);
  assert.deepEqual(said('warn'), [], 'only the archives that are left are reported');
});

test('a caller that hurries an upload can stop waiting', async (t) => {
  const { store, spoolOne, start } = await hostOf(t);
  const gate = Promise.withResolvers<void>();
  store.before = () => gate.promise;
  await spoolOne(save('a', 1));
  const uploads = start();
  const stop = new AbortController();
  const hurried = uploads.hurry(PREFIX, stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(hurried, /enough/);
  await uploads.hurry('v1/of/nobody/', never);
  gate.resolve();
  await uploads.idle();
  assert.equal(store.current?.current.session, 'a');
});

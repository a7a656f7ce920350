/** Packing and unpacking of a user's files, including what a hostile container can leave there. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  createReadStream,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { checkTools, type Extent, PackingChild, unpack } from '../../user-configs/confined-tar.ts';
import { DamagedError } from '../../user-configs/damaged.ts';
import { runWithFew } from '../support/descriptors.ts';

const USER = 1000;
const ROOMY = 2 ** 30;
const LONG_AGO: Extent = { since: '0.000000000' };

/** A directory of root with one directory for a user's files and one to unpack into. */
class Desk {
  readonly root: string;
  readonly tree: string;
  readonly staging: string;
  #views = 0;

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'archive-'));
    this.tree = this.#own('userConfig');
    this.staging = this.#own('staging');
    t.after(() => rmSync(this.root, { recursive: true }));
  }

  #own(name: string): string {
    const path = join(this.root, name);
    mkdirSync(path);
    chownSync(path, USER, USER);
    return path;
  }

  place(tree: string, limit = ROOMY) {
    const view = join(this.root, `view${this.#views++}`);
    mkdirSync(view);
    return { tree, view, limit };
  }

  async pack(extent: Extent = 'all', limit?: number): Promise<Buffer> {
    await using child = new PackingChild({ place: this.place(this.tree, limit), extent }, never());
    await child.look();
    const archive = createReadStream('', { fd: child.archive, autoClose: false });
    const [bytes] = await Promise.all([buffer(archive), child.done()]);
    return bytes;
  }

  async unpack(archive: Buffer, what: 'all' | 'changes' | 'old' = 'all', limit?: number): Promise<void> {
    await unpack(this.place(this.staging, limit), what, Readable.from([Buffer.from(archive)]), never());
  }

  emptyStaging(): void {
    for (const name of readdirSync(this.staging)) rmSync(join(this.staging, name), { recursive: true });
  }

  /** A path among the original or the restored files. */
  at(path: string): string {
    return join(this.tree, path);
  }

  back(path: string): string {
    return join(this.staging, path);
  }
}

function never(): AbortSignal {
  return new AbortController().signal;
}

/** The moment from which changes count, by the kernel's clock for files. */
function moment(desk: Desk): string {
  const marker = join(desk.root, 'marker');
  writeFileSync(marker, '');
  const { ctimeNs } = lstatSync(marker, { bigint: true });
  const before = ctimeNs - 1n;
  return `${before / 1_000_000_000n}.${String(before % 1_000_000_000n).padStart(9, '0')}`;
}

/** Resolves when the kernel's clock for files has advanced. */
async function tick(desk: Desk): Promise<void> {
  const before = moment(desk);
  while (moment(desk) === before) await pause(1);
}

/** The state of a tree as text: types, modes, sizes, times, and targets of links. */
function describe(tree: string): string {
  const format = '%y %m %s %TY%Tm%Td%TT %P -> %l\\n';
  return execFileSync(
    'find',
    ['.', '-mindepth', '1', '-type', 'd', '-printf', '%y %m %P\\n', '-o', '-printf', format],
    {
      cwd: tree,
      encoding: 'latin1',
    },
  )
    .split('\n')
    .sort((a, b) => (a < b ? -1 : 1))
    .join('\n');
}

function archiveOf(root: string, words: readonly string[]): Buffer {
  const { stdout, status, stderr } = spawnSync('tar', ['-c', '--format=posix', ...words], {
    cwd: root,
    maxBuffer: 2 ** 28,
  });
  assert.equal(status, 0, String(stderr));
  return execFileSync('zstd', ['-q', '-c'], { input: stdout, maxBuffer: 2 ** 28 });
}

test('files, links, modes, times, extended attributes and holes are restored unchanged and belong to uid 1000', async (t) => {
  const desk = new Desk(t);
  mkdirSync(desk.at('profile/empty'), { recursive: true });
  writeFileSync(desk.at('profile/a'), 'alpha', { mode: 0o640 });
  writeFileSync(desk.at("a name with 'quotes', \n lines and *"), 'odd');
  writeFileSync(desk.at('-rf'), 'not an option');
  writeFileSync(Buffer.concat([Buffer.from(desk.at('')), Buffer.from([0x6e, 0xff, 0xfe])]), 'no UTF-8');
  writeFileSync(desk.at('secret'), "of the container's root", { mode: 0o000 });
  linkSync(desk.at('profile/a'), desk.at('profile/b'));
  symlinkSync('../elsewhere', desk.at('profile/link'));
  symlinkSync('/etc/shadow', desk.at('out'));
  writeFileSync(desk.at('sparse'), 'begin');
  truncateSync(desk.at('sparse'), 2 ** 40);
  utimesSync(desk.at('profile/a'), 1_000_000_000.5, 1_000_000_000.5);
  execFileSync('setfattr', ['-n', 'user.origin', '-v', 'https://example.org', desk.at('profile/a')]);
  execFileSync('chmod', ['555', desk.at('profile')]);

  const archive = await desk.pack();
  assert.ok(archive.length < 10_000, 'holes use no space');
  await desk.unpack(archive);
  assert.equal(describe(desk.staging), describe(desk.tree));
  assert.equal(readFileSync(desk.back('profile/a'), 'utf8'), 'alpha');
  assert.equal(readFileSync(desk.back('secret'), 'utf8'), "of the container's root");
  assert.equal(lstatSync(desk.back('profile/a')).ino, lstatSync(desk.back('profile/b')).ino);
  assert.ok(lstatSync(desk.back('sparse')).blocks < 100);
  const attributes = execFileSync('getfattr', ['-d', '--absolute-names', desk.back('profile/a')], {
    encoding: 'utf8',
  });
  assert.match(attributes, /user\.origin="https:\/\/example\.org"/);
  const others = execFileSync('find', [
    desk.back(''),
    '(',
    '-not',
    '-uid',
    '1000',
    '-o',
    '-not',
    '-gid',
    '1000',
    ')',
  ]);
  assert.equal(String(others), '');
});

test('a save omits sockets, FIFOs, devices and paths that cannot be opened, and keeps everything else', async (t) => {
  const desk = new Desk(t);
  writeFileSync(desk.at('kept'), '');
  execFileSync('mkfifo', [desk.at('fifo')]);
  execFileSync('mknod', [desk.at('null'), 'c', '1', '3']);
  execFileSync('mknod', [desk.at('disk'), 'b', '8', '0']);
  const server = createServer().listen(desk.at('socket'));
  t.after(() => server.close());
  const deep = 'for i in $(seq 40); do mkdir -p "$0" && cd "$0" || exit; done; echo deep > file';
  execFileSync('bash', ['-c', deep, 'n'.repeat(250)], { cwd: desk.tree });
  await desk.unpack(await desk.pack());
  assert.deepEqual(
    readdirSync(desk.staging).filter((name) => !name.startsWith('n')),
    ['kept'],
  );
  assert.equal(readdirSync(desk.back('n'.repeat(250))).length, 1);
});

test("if a directory is replaced by a link while it is read, nothing of the link's target is saved", async (t) => {
  const desk = new Desk(t);
  // /usr is the only other directory that is visible.
  const names = readdirSync('/usr/bin').slice(0, 400);
  mkdirSync(desk.at('real'));
  for (const name of names) writeFileSync(desk.at(`real/${name}`), 'inside');
  let packed = 0;
  for (const lead of ['/usr/bin', '../../../usr/bin']) {
    rmSync(desk.at('link'), { force: true });
    symlinkSync(lead, desk.at('link'));
    let turning = true;
    const turn = async () => {
      while (turning) {
        renameSync(desk.at('real'), desk.at('aside'));
        renameSync(desk.at('link'), desk.at('real'));
        await pause(0);
        renameSync(desk.at('real'), desk.at('link'));
        renameSync(desk.at('aside'), desk.at('real'));
        await pause(0);
      }
    };
    const turned = turn();
    for (let i = 0; i < 15; i++) {
      const archive = await desk.pack(i % 2 ? LONG_AGO : 'living').catch((error: unknown) => error);
      // If a program swaps without a pause, its files may be missing from a save.
      if (!Buffer.isBuffer(archive)) {
        assert.match(String(archive), /could not be packed/);
        continue;
      }
      packed++;
      const tar = execFileSync('zstd', ['-dcq'], { input: archive, maxBuffer: 2 ** 28 });
      assert.ok(!tar.includes('\x7fELF'), lead);
    }
    turning = false;
    await turned;
  }
  assert.ok(packed > 0, 'nothing was attempted');
});

test('files that grow, shrink or disappear while they are read do not fail the packing', async (t) => {
  const desk = new Desk(t);
  for (let i = 0; i < 200; i++) writeFileSync(desk.at(`file${i}`), 'x'.repeat(i * 100));
  let changing = true;
  const change = async () => {
    for (let i = 0; changing; i = (i + 1) % 200) {
      rmSync(desk.at(`file${i}`), { force: true });
      writeFileSync(desk.at(`file${(i * 7) % 200}`), 'y'.repeat((i * 997) % 50_000));
      if (i % 5 === 0) await pause(0);
    }
  };
  const changed = change();
  for (const extent of [LONG_AGO, 'living', LONG_AGO, 'living', LONG_AGO] as const)
    assert.ok((await desk.pack(extent)).length > 0);
  changing = false;
  await changed;
});

test('an archive of changes restores new, changed and retyped files, and deletes removed ones', async (t) => {
  const desk = new Desk(t);
  for (const directory of ['d/gone', 'd/stays', 'to-file'])
    mkdirSync(desk.at(directory), { recursive: true });
  for (const file of [
    'same',
    'edited',
    'gone',
    'd/gone/x',
    'd/stays/y',
    'to-directory',
    'to-file/z',
    '-n',
    'to-link',
  ]) {
    writeFileSync(desk.at(file), `old ${file}`);
  }
  execFileSync('chmod', ['555', desk.at('d/stays')]);
  await desk.unpack(await desk.pack());
  await tick(desk);
  const since = moment(desk);

  writeFileSync(desk.at('edited'), 'new');
  rmSync(desk.at('gone'));
  rmSync(desk.at('-n'));
  rmSync(desk.at('d/gone'), { recursive: true });
  rmSync(desk.at('to-file'), { recursive: true });
  writeFileSync(desk.at('to-file'), 'now a file');
  rmSync(desk.at('to-directory'));
  mkdirSync(desk.at('to-directory'));
  writeFileSync(desk.at('to-directory/in'), 'in');
  rmSync(desk.at('to-link'));
  symlinkSync('same', desk.at('to-link'));
  writeFileSync(desk.at('d/stays/added'), 'added');

  const changes = await desk.pack({ since });
  const listed = execFileSync('bash', ['-c', 'zstd -dcq | tar -t'], { input: changes, encoding: 'utf8' });
  assert.doesNotMatch(listed, /tree\/same$/m, 'unchanged files are not packed');
  await desk.unpack(changes, 'changes');
  assert.equal(describe(desk.staging), describe(desk.tree));
  assert.equal(readFileSync(desk.back('edited'), 'utf8'), 'new');
  assert.equal(readlinkSync(desk.back('to-link')), 'same');
});

test('a removed file counts as a change, and without changes there is no archive', async (t) => {
  const desk = new Desk(t);
  writeFileSync(desk.at('a'), '');
  await tick(desk);
  const saved = moment(desk);
  const changed = async () => {
    await using child = new PackingChild({ place: desk.place(desk.tree), extent: 'all', saved }, never());
    return await child.look();
  };
  assert.equal(await changed(), false);
  await tick(desk);
  rmSync(desk.at('a'));
  assert.equal(await changed(), true);
});

test('S8: an archive can neither write outside its target directory nor make devices', async (t) => {
  const desk = new Desk(t);
  const forge = join(desk.root, 'forge');
  mkdirSync(join(forge, 'tree'), { recursive: true });
  writeFileSync(join(forge, 'escaped'), 'ESCAPED');
  const escapes = {
    'a parent': ['-P', '--transform=s,^escaped,tree/../../escaped,', 'tree', 'escaped'],
    'an absolute path': ['-P', `--transform=s,^escaped,${desk.root}/escaped,`, 'tree', 'escaped'],
  };
  for (const [what, words] of Object.entries(escapes)) {
    await desk
      .unpack(archiveOf(forge, words))
      .catch((error: unknown) => assert.ok(error instanceof DamagedError, what));
    assert.ok(!existsSync(join(desk.root, 'escaped')), what);
  }
  symlinkSync(desk.root, join(forge, 'tree/out'));
  const link = archiveOf(forge, ['tree']);
  await desk.unpack(link);
  rmSync(join(forge, 'tree/out'));
  mkdirSync(join(forge, 'tree/out'));
  writeFileSync(join(forge, 'tree/out/escaped'), 'ESCAPED');
  // The link already exists, and the next archive would go through it.
  await desk.unpack(archiveOf(forge, ['tree/out/escaped'])).catch(() => {});
  assert.ok(!existsSync(join(desk.root, 'escaped')));

  execFileSync('mknod', [join(forge, 'tree/null'), 'c', '1', '3']);
  await assert.rejects(desk.unpack(archiveOf(forge, ['tree/null'])), DamagedError);
  assert.ok(!existsSync(desk.back('null')));
});

test('S8: hard links to outside files and setuid programs in an archive do no harm', async (t) => {
  const desk = new Desk(t);
  const forge = join(desk.root, 'forge');
  mkdirSync(join(forge, 'tree'), { recursive: true });
  writeFileSync(join(forge, 'tree/a'), '');
  linkSync(join(forge, 'tree/a'), join(forge, 'tree/b'));
  const archive = archiveOf(forge, [
    '-P',
    '--transform=flags=RSh;s,^tree/a,/usr/bin/env,',
    'tree/a',
    'tree/b',
  ]);
  await assert.rejects(desk.unpack(archive), DamagedError);
  writeFileSync(join(forge, 'tree/program'), '', { mode: 0o755 });
  execFileSync('chmod', ['4755', join(forge, 'tree/program')]);
  await desk.unpack(archiveOf(forge, ['tree/program']));
  assert.equal(lstatSync(desk.back('program')).uid, USER, 'the owner changes');
});

/** The ways in which an archive can define `tree`, in a directory with a file `outside/secret`. */
const NO_TREES: Readonly<Record<string, (forge: string) => void>> = {
  'a link to a directory': (forge) => symlinkSync(join(forge, '../outside'), join(forge, 'tree')),
  'a link to what is above it': (forge) => symlinkSync('../outside', join(forge, 'tree')),
  'a link to the tools': (forge) => symlinkSync('/usr/bin', join(forge, 'tree')),
  'a link to itself': (forge) => symlinkSync('tree', join(forge, 'tree')),
  'a file': (forge) => writeFileSync(join(forge, 'tree'), 'no directory'),
  'a FIFO': (forge) => execFileSync('mkfifo', [join(forge, 'tree')]),
};

for (const [what, make] of Object.entries(NO_TREES)) {
  test(`an archive whose tree is ${what} counts as damaged, and restores nothing of the host`, async (t) => {
    const desk = new Desk(t);
    const forge = join(desk.root, 'forge');
    mkdirSync(forge);
    mkdirSync(join(desk.root, 'outside'));
    writeFileSync(join(desk.root, 'outside/secret'), "the host's", { mode: 0o600 });
    make(forge);
    writeFileSync(join(forge, 'names'), 'fsecret\0');
    await assert.rejects(desk.unpack(archiveOf(forge, ['tree'])), DamagedError);
    assert.ok(lstatSync(desk.staging).isDirectory(), 'it is still the same directory');
    assert.deepEqual(readdirSync(desk.staging), []);
    await assert.rejects(desk.unpack(archiveOf(forge, ['names', 'tree']), 'changes'), DamagedError);
    assert.deepEqual(readdirSync(join(desk.root, 'outside')), ['secret']);
  });
}

test('a member below a link of the same archive counts as damaged, and is written nowhere', async (t) => {
  const desk = new Desk(t);
  const forge = join(desk.root, 'forge');
  const outside = join(desk.root, 'outside');
  mkdirSync(join(forge, 'real'), { recursive: true });
  mkdirSync(outside, { mode: 0o777 });
  chownSync(outside, USER, USER);
  writeFileSync(join(forge, 'real/file'), 'from the archive');
  symlinkSync(outside, join(forge, 'tree'));
  // Two members of one name: the link, and then a file that would go through it.
  await assert.rejects(
    desk.unpack(archiveOf(forge, ['--transform=s,^real,tree,', 'tree', 'real/file'])),
    DamagedError,
  );
  assert.deepEqual(readdirSync(outside), []);
});

test('changes whose list is a link, a directory or a FIFO count as damaged and delete nothing', async (t) => {
  const desk = new Desk(t);
  writeFileSync(desk.at('kept'), 'kept');
  writeFileSync(join(desk.root, 'list'), '');
  const base = await desk.pack();
  const lists: Readonly<Record<string, (path: string) => void>> = {
    'a link': (path) => symlinkSync(join(desk.root, 'list'), path),
    'a directory': (path) => mkdirSync(path),
    'a FIFO': (path) => execFileSync('mkfifo', [path]),
  };
  for (const [what, make] of Object.entries(lists)) {
    const forge = join(desk.root, `forge ${what}`);
    mkdirSync(join(forge, 'tree'), { recursive: true });
    make(join(forge, 'names'));
    desk.emptyStaging();
    await desk.unpack(base);
    await assert.rejects(
      desk.unpack(archiveOf(forge, ['names', 'tree']), 'changes'),
      (error) => error instanceof DamagedError && /names is missing, or of another type/.test(error.message),
      what,
    );
    assert.equal(readFileSync(desk.back('kept'), 'utf8'), 'kept', what);
  }
});

test('an archive of changes does not follow links of the base, and entries beside its tree are ignored', async (t) => {
  const desk = new Desk(t);
  const outside = join(desk.root, 'outside');
  mkdirSync(outside);
  chownSync(outside, USER, USER);
  symlinkSync(outside, desk.at('through'));
  writeFileSync(desk.at('kept'), '');
  await desk.unpack(await desk.pack());
  const forge = join(desk.root, 'forge');
  mkdirSync(join(forge, 'tree/through'), { recursive: true });
  writeFileSync(join(forge, 'tree/through/file'), 'escaped');
  writeFileSync(join(forge, 'beside'), '');
  // It says that the link stays, and contains a directory of that name.
  writeFileSync(join(forge, 'names'), 'fkept\0lthrough\0');
  await assert.rejects(desk.unpack(archiveOf(forge, ['names', 'tree', 'beside']), 'changes'), DamagedError);
  assert.deepEqual(readdirSync(outside), []);
  assert.ok(!existsSync(desk.back('beside')));
});

test("only files, directories and links of an archive are restored, also from the predecessor's", async (t) => {
  const desk = new Desk(t);
  const forge = join(desk.root, 'forge');
  mkdirSync(join(forge, 'tree/in'), { recursive: true });
  writeFileSync(join(forge, 'tree/in/file'), '');
  symlinkSync('file', join(forge, 'tree/in/link'));
  execFileSync('mkfifo', [join(forge, 'tree/in/fifo')]);
  await desk.unpack(archiveOf(forge, ['tree']));
  assert.deepEqual(readdirSync(desk.back('in')).sort(), ['file', 'link']);
  desk.emptyStaging();
  const old = execFileSync('bash', ['-c', 'tar -C "$0" -c . | lz4 -q', join(forge, 'tree')]);
  await desk.unpack(old, 'old');
  assert.deepEqual(readdirSync(desk.back('in')).sort(), ['file', 'link']);
});

test('an archive of the predecessor with a link as its top counts as damaged', async (t) => {
  const desk = new Desk(t);
  const forge = join(desk.root, 'forge');
  mkdirSync(join(desk.root, 'outside'));
  mkdirSync(forge);
  symlinkSync(join(desk.root, 'outside'), join(forge, 'top'));
  const words = ['-c', 'tar -C "$0" -c --transform="flags=r;s,^top,.," top | lz4 -q', forge];
  await assert.rejects(desk.unpack(execFileSync('bash', words), 'old'), DamagedError);
  assert.ok(lstatSync(desk.staging).isDirectory());
  assert.deepEqual(readdirSync(desk.staging), []);
});

test('S8: an archive over the limit is refused both ways, and a decompression bomb is cut off at the limit', async (t) => {
  const desk = new Desk(t);
  writeFileSync(desk.at('zeros'), Buffer.alloc(20_000_000));
  await assert.rejects(desk.pack('all', 10_000_000), {
    code: 'config.too_large',
    message: /10000000 bytes/,
  });
  const bomb = await desk.pack();
  assert.ok(bomb.length < 10_000);
  await assert.rejects(desk.unpack(bomb, 'all', 10_000_000), { code: 'config.too_large' });
  const { blocks } = lstatSync(desk.back('zeros'));
  assert.ok(blocks * 512 <= 10_000_000);
});

test('an archive that is truncated, or is not an archive, counts as damaged', async (t) => {
  const desk = new Desk(t);
  for (let i = 0; i < 50; i++) writeFileSync(desk.at(`file${i}`), String(Math.random()).repeat(50));
  const archive = await desk.pack();
  for (const length of [0, 1, 100, archive.length >> 1, archive.length - 1]) {
    await assert.rejects(desk.unpack(archive.subarray(0, length)), DamagedError, `${length} bytes`);
  }
  await assert.rejects(desk.unpack(Buffer.from('nonsense'.repeat(1000))), DamagedError);
  await assert.rejects(desk.unpack(execFileSync('zstd', ['-qc'], { input: 'no tar' })), DamagedError);
});

test('archives of the predecessor are unpacked, and damaged ones as far as lz4 and tar can read them', async (t) => {
  const desk = new Desk(t);
  mkdirSync(desk.at('.mozilla'));
  writeFileSync(desk.at('.mozilla/prefs'), 'a preference');
  // Its tar stores whole seconds.
  utimesSync(desk.at('.mozilla/prefs'), 1_000_000_000, 1_000_000_000);
  const words = ['-c', 'tar -C "$0" -c . | lz4 -q', desk.tree];
  const old = execFileSync('bash', words);
  await desk.unpack(old, 'old');
  assert.equal(describe(desk.staging), describe(desk.tree));
  for (const damaged of [old.subarray(0, -40), Buffer.alloc(0), Buffer.from('garbage'.repeat(999))]) {
    desk.emptyStaging();
    await assert.rejects(desk.unpack(damaged, 'old'), DamagedError);
  }
});

test('the error of a failing source is passed on unchanged, and an abort ends the child process', async (t) => {
  const desk = new Desk(t);
  writeFileSync(desk.at('a'), Buffer.alloc(1_000_000, 'a'));
  const archive = await desk.pack();
  const failing = Readable.from(
    (async function* () {
      yield archive.subarray(0, 20);
      throw new DamagedError('a flipped bit');
    })(),
  );
  await assert.rejects(
    unpack(desk.place(desk.staging), 'all', failing, never()),
    /^DamagedError: a flipped bit/,
  );

  const stop = new AbortController();
  const stalled = new Readable({ read: () => {} });
  const unpacking = unpack(desk.place(desk.staging), 'all', stalled, stop.signal);
  stop.abort(new Error('the container ends'));
  await assert.rejects(unpacking, /the container ends/);
  await using child = new PackingChild({ place: desk.place(desk.tree), extent: 'all' }, stop.signal);
  await assert.rejects(child.look(), /the container ends/);
  await assert.rejects(child.done(), /the container ends/);
});

test('a service without free descriptors reports that when it packs, and leaks no pipe', (t) => {
  const desk = new Desk(t);
  const script = `
    import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
    import { Packing } from '${join(import.meta.dirname, '../../user-configs/pack-and-encrypt.ts')}';
    const task = { place: ${JSON.stringify(desk.place(desk.tree))}, extent: 'all' };
    const begin = async () => {
      await using packing = new Packing(task, new AbortController().signal);
      await packing.look();
    };
    const linkOf = (fd) => { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } };
    const pipes = () => readdirSync('/proc/self/fd').map(linkOf).filter((link) => link.startsWith('pipe:')).length;
    await begin();
    for (let free = 1, said = ''; said !== 'none'; free++) {
      const held = [];
      for (;;) try { held.push(openSync('/dev/null')); } catch { break; }
      for (const fd of held.splice(-free)) closeSync(fd);
      const before = pipes();
      said = await begin().then(() => 'none', ({ message }) => message);
      console.log(said, pipes() - before);
      held.forEach(closeSync);
    }`;
  const { status, stdout, stderr } = runWithFew(script);
  assert.equal(status, 0, stderr);
  const told = [...new Set(stdout.trim().split('\n'))];
  assert.deepEqual(told, [
    'make a pipe: too many open files 0',
    'no child can be started: too many files are open 0',
    'none 0',
  ]);
});

test('a host that cannot confine child processes is distinguished from one that can', async (t) => {
  const { tree, staging } = new Desk(t);
  await checkTools(tree, staging);
  const { status, stderr } = checkWith(['setpriv', '--bounding-set=-sys_admin'], tree, staging);
  assert.equal(status, 1);
  assert.match(stderr, /start\.no_config_tools/);
  assert.match(stderr, /unshare.*Operation not permitted.*USER_CONFIG_BUCKET=none/);
});

test('a process that is killed while it checks whether child processes can be confined leaves nothing', (t) => {
  const { root, tree, staging } = new Desk(t);
  const deadly = join(root, 'unshare');
  writeFileSync(deadly, '#!/bin/sh\nkill -KILL $PPID\n', { mode: 0o755 });
  const mounting = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount --bind "$0" /usr/bin/unshare && exec "$@"',
    deadly,
  ];
  const { signal, stderr } = checkWith(mounting, tree, staging);
  assert.equal(signal, 'SIGKILL', stderr);
  assert.deepEqual([...readdirSync(tree), ...readdirSync(staging)], []);
});

/** Checks the tools in a process that `words` start. */
function checkWith([program = '', ...words]: readonly string[], ...directories: readonly string[]) {
  const module = join(import.meta.dirname, '../../user-configs/confined-tar.ts');
  const check = `import { checkTools } from '${module}'; await checkTools('${directories.join("', '")}');`;
  const node = [process.execPath, '--input-type=module', '-e', check];
  return spawnSync(program, [...words, ...node], { encoding: 'utf8' });
}

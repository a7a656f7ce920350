import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtempDisposable,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isSystemError, ServiceError } from '../../errors/service-error.ts';
import { writeFileAtomically } from '../../host/atomic-file.ts';
import {
  exists,
  holdOwnDirectory,
  holdSharedDirectory,
  isMarked,
  MARK,
  mountsBelow,
  removeMarked,
  removeTree,
  seenGone,
} from '../../host/directories.ts';
import { readHostId } from '../../host/host-id.ts';
import { type Holder, lock } from '../../host/lock.ts';
import { pathsBelow } from '../../host/paths.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

const runFile = promisify(execFile);

async function directory() {
  return await mkdtempDisposable(join(await realpath(tmpdir()), 'host-files-'));
}

async function modeOf(path: string): Promise<number> {
  return (await lstat(path)).mode & 0o7777;
}

/** Mounts an empty filesystem until it is disposed of. */
async function mounted(path: string): Promise<AsyncDisposable> {
  await mkdir(path, { recursive: true });
  await runFile('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  return { [Symbol.asyncDispose]: async () => void (await runFile('umount', [path])) };
}

/** Sets the umask of this process until it is disposed of. */
function umask(mask: number): Disposable {
  const before = process.umask(mask);
  return { [Symbol.dispose]: () => void process.umask(before) };
}

/** Lets this process find programs only in `directory`, until the test has ended. */
function findProgramsIn(t: TestContext, directory: string): void {
  const { PATH } = process.env;
  t.after(() => {
    process.env.PATH = PATH;
  });
  process.env.PATH = directory;
}

function refusedWith(code: string, text: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof ServiceError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}

/** The refusal of an unwritable file, with the system's reason. */
function because(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof ServiceError && error.code === 'host.filesystem' && isSystemError(error.cause, code);
}

suite('a file that is written atomically', () => {
  test('C42: a file is created with its content and mode, whatever the umask', async () => {
    await using temporary = await directory();
    for (const mask of [0o000, 0o022, 0o177]) {
      using _umask = umask(mask);
      for (const mode of [0o600, 0o644, 0o666]) {
        const path = join(temporary.path, `${mask}-${mode}`);
        await writeFileAtomically(path, 'content', mode);
        assert.equal(await readFile(path, 'utf8'), 'content');
        assert.equal(await modeOf(path), mode);
      }
    }
  });

  test('an existing file is replaced, together with its mode', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'file');
    await writeFile(path, 'a longer content than the next');
    await chmod(path, 0o666);
    await writeFileAtomically(path, 'new', 0o600);
    assert.equal(await readFile(path, 'utf8'), 'new');
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(await readdir(temporary.path), ['file']);
  });

  test('a reader that has the file open keeps the complete old content', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'file');
    await writeFileAtomically(path, 'old', 0o600);
    await using reader = await open(path, 'r');
    await writeFileAtomically(path, 'new', 0o600);
    assert.equal(await reader.readFile('utf8'), 'old');
  });

  test('C29: a reader never sees a partial file', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'file');
    const contents = ['a'.repeat(200_000), 'b'.repeat(300_000)];
    await writeFileAtomically(path, contents[0] as string, 0o600);
    let writing = true;
    const write = async () => {
      for (let i = 1; i <= 20; i++) await writeFileAtomically(path, contents[i % 2] as string, 0o600);
      writing = false;
    };
    const read = async () => {
      while (writing) {
        const seen = await readFile(path, 'utf8');
        assert.ok(contents.includes(seen), `a partial file of ${seen.length} characters was seen`);
      }
    };
    await Promise.all([write(), read()]);
  });

  test('a file that cannot be moved into place leaves no draft', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'taken');
    await mkdir(path);
    await assert.rejects(writeFileAtomically(path, 'content', 0o600), because('EISDIR'));
    assert.deepEqual(await readdir(temporary.path), ['taken']);
  });

  test('a failed write keeps the old file', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'file');
    await writeFile(path, 'old');
    const missing = join(temporary.path, 'missing');
    await assert.rejects(writeFileAtomically(path, 'new', 0o600, missing), because('ENOENT'));
    assert.equal(await readFile(path, 'utf8'), 'old');
    assert.deepEqual(await readdir(temporary.path), ['file']);
  });

  test('a draft can be elsewhere, and is cleaned up there too', async () => {
    await using temporary = await directory();
    const drafts = join(temporary.path, 'drafts');
    const target = join(temporary.path, 'target');
    await mkdir(drafts);
    await mkdir(join(target, 'taken'), { recursive: true });
    await writeFileAtomically(join(target, 'file'), 'content', 0o600, drafts);
    await assert.rejects(writeFileAtomically(join(target, 'taken'), 'content', 0o600, drafts));
    assert.deepEqual(await readdir(drafts), []);
    assert.deepEqual((await readdir(target)).sort(), ['file', 'taken']);
    assert.equal(await readFile(join(target, 'file'), 'utf8'), 'content');
  });

  test("a link in its place is replaced, and the link's target is not touched", async () => {
    await using temporary = await directory();
    const pointedTo = join(temporary.path, 'pointed to');
    const path = join(temporary.path, 'file');
    await writeFile(pointedTo, 'old');
    await symlink(pointedTo, path);
    await writeFileAtomically(path, 'new', 0o600);
    assert.equal(await readFile(pointedTo, 'utf8'), 'old');
    assert.ok((await lstat(path)).isFile());
  });
});

suite('a shared directory', () => {
  test('a directory that the service made is removed when its holder ends', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    for (const mask of [0o000, 0o077]) {
      using _umask = umask(mask);
      const lifetime = new Lifetime('x');
      await holdSharedDirectory(lifetime, path, 0o755);
      assert.equal(await modeOf(path), 0o755);
      assert.deepEqual(await lifetime.end(), []);
      assert.equal(await exists(path), false);
      assert.deepEqual(lifetime.holdings.list(), []);
    }
  });

  test('a marked directory has its mark from the start and is removed by a later cleanup, and an unmarked one stays', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    using _umask = umask(0o077);
    const lifetime = new Lifetime('x');
    await holdSharedDirectory(lifetime, path, MARK | 0o700);
    assert.ok(await isMarked(path));
    await removeMarked(path);
    assert.equal(await isMarked(path), false);
    assert.equal(await exists(path), false);
    await mkdir(path);
    await removeMarked(path);
    assert.ok(await exists(path));
    assert.deepEqual(await lifetime.end(), []);
  });

  test('an existing directory stays, with its mode', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    await mkdir(path);
    await chmod(path, 0o711);
    const lifetime = new Lifetime('x');
    await holdSharedDirectory(lifetime, path, 0o755);
    assert.equal(await modeOf(path), 0o711);
    assert.deepEqual(await lifetime.end(), []);
    assert.equal(await modeOf(path), 0o711);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('a directory that the service made stays if somebody put something into it', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    const lifetime = new Lifetime('x');
    await holdSharedDirectory(lifetime, path, 0o755);
    await writeFile(join(path, 'of somebody'), 'content');
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(await readdir(path), ['of somebody']);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('a directory can be made below directories that do not exist yet', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'a/b/shared');
    await using lifetime = new Lifetime('x');
    await holdSharedDirectory(lifetime, path, 0o700);
    assert.equal(await modeOf(path), 0o700);
  });

  test('a directory that users other than root can write is refused and left alone', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    for (const mode of [0o775, 0o757, 0o777, 0o1777]) {
      await mkdir(path);
      await chmod(path, mode);
      await using lifetime = new Lifetime('x');
      await assert.rejects(
        holdSharedDirectory(lifetime, path, 0o755),
        refusedWith('start.filesystem', /shared: users other than root can write to it/),
      );
      assert.deepEqual(lifetime.holdings.list(), []);
      assert.equal(await modeOf(path), mode);
      await rmdir(path);
    }
  });

  test('a directory of another user is refused', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    await mkdir(path);
    await chmod(path, 0o755);
    await chown(path, 1000, 1000);
    await using lifetime = new Lifetime('x');
    await assert.rejects(
      holdSharedDirectory(lifetime, path, 0o755),
      refusedWith('start.filesystem', /users other than root can write to it/),
    );
  });

  test('a link is refused, whether or not it leads to a directory', async () => {
    await using temporary = await directory();
    const behind = join(temporary.path, 'behind');
    const path = join(temporary.path, 'shared');
    await symlink(behind, path);
    for (const make of [() => Promise.resolve(), () => mkdir(behind)]) {
      await make();
      await using lifetime = new Lifetime('x');
      await assert.rejects(
        holdSharedDirectory(lifetime, path, 0o755),
        refusedWith('start.filesystem', /shared: it is not a directory/),
      );
      assert.deepEqual(lifetime.holdings.list(), []);
      assert.ok((await lstat(path)).isSymbolicLink());
    }
  });

  test('a file in its place is refused and left alone', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'shared');
    await writeFile(path, 'content');
    await using lifetime = new Lifetime('x');
    await assert.rejects(
      holdSharedDirectory(lifetime, path, 0o755),
      refusedWith('start.filesystem', /shared: it is not a directory/),
    );
    assert.equal(await readFile(path, 'utf8'), 'content');
  });

  test('an abort is reported as such, and not as a fault of the filesystem', async () => {
    await using temporary = await directory();
    const lifetime = new Lifetime('x');
    const reason = new Error('over');
    await lifetime.end(reason);
    const path = join(temporary.path, 'shared');
    await assert.rejects(holdSharedDirectory(lifetime, path, 0o755), (error) => error === reason);
    assert.equal(await exists(path), false);
  });
});

suite('an own directory', () => {
  test('C33, C42: an own directory has its mode and owner, and is removed with its content', async () => {
    await using temporary = await directory();
    using _umask = umask(0o077);
    const path = join(temporary.path, 'own');
    const lifetime = new Lifetime('x');
    await holdOwnDirectory(lifetime, { path, mode: 0o751, owner: 1000 });
    assert.equal(await modeOf(path), 0o751);
    const { uid, gid } = await stat(path);
    assert.deepEqual([uid, gid], [1000, 1000]);
    await mkdir(join(path, 'deep/down'), { recursive: true });
    await writeFile(join(path, 'deep/down/file'), 'content');
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(await readdir(temporary.path), []);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('an own directory belongs to root by default', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'own');
    await using lifetime = new Lifetime('x');
    await holdOwnDirectory(lifetime, { path, mode: 0o700 });
    const { uid, gid } = await stat(path);
    assert.deepEqual([uid, gid], [0, 0]);
  });

  test('an existing file or directory is not taken over as an own directory, and stays', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'own');
    const lifetime = new Lifetime('x');
    const isRefused = () =>
      assert.rejects(holdOwnDirectory(lifetime, { path, mode: 0o700 }), because('EEXIST'));
    await mkdir(path);
    await writeFile(join(path, 'file'), 'content');
    await isRefused();
    await rename(path, join(temporary.path, 'behind'));
    await symlink(join(temporary.path, 'behind'), path);
    await isRefused();
    assert.deepEqual(lifetime.holdings.list(), []);
    assert.deepEqual(await lifetime.end(), []);
    assert.equal(await readFile(join(path, 'file'), 'utf8'), 'content');
  });

  test('C30: an own directory whose owner cannot be set is removed', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'own');
    await using lifetime = new Lifetime('x');
    await assert.rejects(holdOwnDirectory(lifetime, { path, mode: 0o700, owner: -2 }));
    assert.equal(await exists(path), false);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('an own directory that is already gone is seen gone', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'own');
    const lifetime = new Lifetime('x');
    await holdOwnDirectory(lifetime, { path, mode: 0o700 });
    await rmdir(path);
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('links in it are removed, and their targets are not touched', async () => {
    await using temporary = await directory();
    const { outside, path, endedWithOutsideLeft } = await ownBesideOutside(temporary.path);
    await symlink(outside, join(path, 'directory'));
    await symlink(join(outside, 'file'), join(path, 'file'));
    await symlink('nowhere', join(path, 'dangling'));
    await endedWithOutsideLeft();
  });

  test('a link that replaced it is removed, and its target is not touched', async () => {
    await using temporary = await directory();
    const { outside, path, endedWithOutsideLeft } = await ownBesideOutside(temporary.path);
    await rmdir(path);
    await symlink(outside, path);
    await endedWithOutsideLeft();
  });

  test('C30: a directory with a mount in it stays, is reported, and is not entered', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'own');
    const lifetime = new Lifetime('x');
    await holdOwnDirectory(lifetime, { path, mode: 0o700 });
    await using _mount = await mounted(join(path, 'mount'));
    await writeFile(join(path, 'mount/file'), 'of somebody');
    const [failure, ...others] = await lifetime.end();
    assert.deepEqual(others, []);
    assert.match(String(failure?.error), /own\/mount is mounted there; run "umount .*own\/mount"/);
    assert.deepEqual(await readdir(join(path, 'mount')), ['file']);
    assert.deepEqual(
      lifetime.holdings.list().map(({ what }) => what),
      [path],
    );
  });
});

suite('removing a tree', () => {
  test('removing a tree that does not exist succeeds', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'missing');
    await removeTree(path);
    assert.equal(await seenGone(path), 'no longer exists');
  });

  test('a tree with a mount in it is not removed', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'tree');
    await using _mount = await mounted(path);
    await writeFile(join(path, 'file'), 'of somebody');
    await assert.rejects(removeTree(path), /is mounted there/);
    assert.deepEqual(await readdir(path), ['file']);
  });

  test('a mount is not entered even if a link leads to the tree', async () => {
    await using temporary = await directory();
    const link = join(temporary.path, 'link');
    await mkdir(join(temporary.path, 'real'));
    await symlink('real', link);
    await using _mount = await mounted(join(temporary.path, 'real/tree/mount'));
    await writeFile(join(link, 'tree/mount/file'), 'of somebody');
    await assert.rejects(removeTree(join(link, 'tree')));
    assert.deepEqual(await readdir(join(link, 'tree/mount')), ['file']);
  });

  test('a tree that is deeper than any path is removed, whatever its modes', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'tree');
    await mkdir(path);
    const deep =
      'for i in {1..600}; do mkdir "$0" && cd "$0" || exit; done; touch file; mkfifo fifo; chmod 0 .';
    await runFile('bash', ['-c', deep, 'n'.repeat(200)], { cwd: path });
    await removeTree(path);
    assert.deepEqual(await readdir(temporary.path), []);
  });

  test('a link is removed, alone or in a tree, and its target stays', async () => {
    await using temporary = await directory();
    await using elsewhere = await directory();
    await writeFile(join(elsewhere.path, 'file'), 'of somebody');
    await mkdir(join(temporary.path, 'tree/in'), { recursive: true });
    for (const name of ['link', 'tree/link', 'tree/in/link'])
      await symlink(elsewhere.path, join(temporary.path, name));
    await removeTree(join(temporary.path, 'link'));
    await removeTree(join(temporary.path, 'tree'));
    assert.deepEqual(await readdir(temporary.path), []);
    assert.deepEqual(await readdir(elsewhere.path), ['file']);
  });

  test('a removal that takes too long is aborted, and a later one continues it', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'tree');
    await mkdir(path);
    await runFile('bash', ['-c', 'seq -f file%.0f 100000 | xargs touch'], { cwd: path });
    await assert.rejects(removeTree(path, 1), refusedWith('still.there', /within 0.001 s/));
    const { length: left } = await readdir(path);
    assert.ok(left > 0 && left < 100_000, `${left} are left`);
    await removeTree(path);
    assert.deepEqual(await readdir(temporary.path), []);
  });

  test('a failed removal leaves no descriptor open', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'tree');
    await mkdir(path);
    await runFile('bash', ['-c', 'seq -f file%.0f 50000 | xargs touch'], { cwd: path });
    const open = (await readdir('/proc/self/fd')).length;
    await assert.rejects(removeTree(path, 1), refusedWith('still.there', /within/));
    assert.equal((await readdir('/proc/self/fd')).length, open);
  });

  test('a path that still exists is not seen gone, not even a dangling link', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'link');
    await symlink('nowhere', path);
    assert.equal(await exists(path), true);
    await assert.rejects(seenGone(path), refusedWith('still.there', /link is still there/));
  });
});

suite('mounts', () => {
  test('the mounts at and below a path are found, whatever their names', async () => {
    await using temporary = await directory();
    const at = join(temporary.path, 'a');
    const below = join(at, 'with space\tand \\ and ü');
    await using _at = await mounted(at);
    await using _below = await mounted(below);
    await using _beside = await mounted(join(temporary.path, 'a-beside'));
    assert.deepEqual((await mountsBelow(at)).sort(), [at, below]);
    assert.deepEqual(await mountsBelow(join(at, 'with')), []);
    assert.equal((await mountsBelow(temporary.path)).length, 3);
  });

  test('a path without mounts has none', async () => {
    await using temporary = await directory();
    assert.deepEqual(await mountsBelow(temporary.path), []);
  });

  test('all mounts are below the root', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'mount');
    await using _mount = await mounted(path);
    assert.ok((await mountsBelow('/')).includes(path));
  });
});

suite('the host id', () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

  test('the id is made once and then stays the same', async () => {
    await using temporary = await directory();
    const id = await readHostId(temporary.path);
    assert.match(id, UUID);
    assert.equal(await readHostId(temporary.path), id);
    assert.equal(await modeOf(join(temporary.path, 'host-id')), 0o600);
    assert.deepEqual(await readdir(temporary.path), ['host-id']);
  });

  test('two hosts have different ids', async () => {
    await using one = await directory();
    await using other = await directory();
    assert.notEqual(await readHostId(one.path), await readHostId(other.path));
  });

  test('an id that an operator wrote is used, with or without a line end', async () => {
    await using temporary = await directory();
    const id = 'c0ffee00-1234-4abc-8def-0123456789ab';
    for (const content of [id, `${id}\n`]) {
      await writeFile(join(temporary.path, 'host-id'), content);
      assert.equal(await readHostId(temporary.path), id);
    }
  });

  test('a malformed id is refused and not replaced', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'host-id');
    const id = 'c0ffee00-1234-4abc-8def-0123456789ab';
    for (const content of ['', 'host', id.slice(1), `${id}0`, `${id}\n${id}`, `../${id}`]) {
      await writeFile(path, content);
      await assert.rejects(
        readHostId(temporary.path),
        refusedWith('start.filesystem', /host-id: it is not a UUID; remove it to get a new one/),
      );
      assert.equal(await readFile(path, 'utf8'), content);
    }
  });

  test('an id that cannot be stored is not used', async () => {
    await assert.rejects(readHostId('/proc/missing'), because('ENOENT'));
  });

  test('an id is stored even if no service has made the directory yet', async () => {
    await using temporary = await directory();
    const state = join(temporary.path, 'lib/state');
    assert.equal(await readHostId(state), await readHostId(state));
    assert.equal(await modeOf(state), 0o700);
  });
});

suite('the lock', () => {
  /** The files below `path` that this process has open, including removed ones. */
  async function openFilesBelow(path: string): Promise<string[]> {
    const names = await readdir('/proc/self/fd');
    const targets = await Promise.all(names.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    return targets.filter((target) => target.startsWith(`${path}/`));
  }

  test('the lock names its holder, and only root can read it', async () => {
    await using temporary = await directory();
    await using lifetime = new Lifetime('x');
    await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    const path = join(temporary.path, 'lock');
    assert.equal(await readFile(path, 'utf8'), `${process.pid} service\n`);
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(
      lifetime.holdings.list().map(({ kind, what }) => [kind, what]),
      [['lock', path]],
    );
  });

  test('a second holder is refused while the first one has the lock, and changes nothing', async () => {
    await using temporary = await directory();
    await using first = new Lifetime('first');
    await using second = new Lifetime('second');
    await lock(first, { run: temporary.path, root: '/the/root', as: 'service' });
    for (let i = 0; i < 2; i++) {
      await assert.rejects(
        lock(second, { run: temporary.path, root: '/the/root', as: 'service' }),
        refusedWith(
          'start.locked',
          new RegExp(
            `^another copy of the service \\(pid ${process.pid}\\) runs on /the/root; stop that copy first`,
          ),
        ),
      );
    }
    assert.deepEqual(second.holdings.list(), []);
    assert.equal((await openFilesBelow(temporary.path)).length, 1);
    assert.equal(await readFile(join(temporary.path, 'lock'), 'utf8'), `${process.pid} service\n`);
  });

  test('the lock is free and its file is gone after its holder has ended', async () => {
    await using temporary = await directory();
    for (const name of ['first', 'second']) {
      const lifetime = new Lifetime(name);
      await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
      assert.deepEqual(await lifetime.end(), []);
      assert.deepEqual(await readdir(temporary.path), []);
      assert.deepEqual(await openFilesBelow(temporary.path), []);
      assert.deepEqual(lifetime.holdings.list(), []);
    }
  });

  test('a lock file that a dead service left behind does not block the next one', async () => {
    await using temporary = await directory();
    const path = join(temporary.path, 'lock');
    await writeFile(path, '4194304000\n');
    await using lifetime = new Lifetime('x');
    await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    assert.equal(await readFile(path, 'utf8'), `${process.pid} service\n`);
  });

  test('locks of two roots are independent', async () => {
    await using one = await directory();
    await using other = await directory();
    await using lifetime = new Lifetime('x');
    await lock(lifetime, { run: one.path, root: '/one', as: 'service' });
    await lock(lifetime, { run: other.path, root: '/other', as: 'service' });
    assert.equal(lifetime.holdings.list().length, 2);
  });

  test('only one of many concurrent attempts holds the lock at a time', async () => {
    await using temporary = await directory();
    let holders = 0;
    const contend = async (name: string) => {
      const lifetime = new Lifetime(name);
      try {
        await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
      } catch (error) {
        refusedWith('start.locked', /another copy of the service/)(error);
        return false;
      }
      assert.equal(++holders, 1);
      await stat(temporary.path);
      assert.equal(holders--, 1);
      await lifetime.end();
      return true;
    };
    const untilHeld = async (name: string) => {
      while (!(await contend(name)));
    };
    await Promise.all(Array.from({ length: 6 }, (_, i) => untilHeld(`contender ${i}`)));
  });

  test('a file that its last holder removes at that moment does not count as the lock', async (t) => {
    await using temporary = await directory();
    await using first = new Lifetime('first');
    await using second = new Lifetime('second');
    const path = join(temporary.path, 'lock');
    const programs = join(temporary.path, 'programs');
    await mkdir(programs);
    // The first time, the file disappears between its opening and its locking.
    const script = [
      '#!/bin/sh',
      `PATH='${process.env.PATH}'`,
      `mkdir '${join(temporary.path, 'removed')}' && rm '${path}'`,
      'exec flock "$@"',
    ];
    await writeFile(join(programs, 'flock'), script.join('\n'), { mode: 0o755 });
    findProgramsIn(t, programs);
    await lock(first, { run: temporary.path, root: '/the/root', as: 'service' });
    assert.ok(await exists(join(temporary.path, 'removed')));
    assert.equal(await readFile(path, 'utf8'), `${process.pid} service\n`);
    await assert.rejects(
      lock(second, { run: temporary.path, root: '/the/root', as: 'service' }),
      refusedWith('start.locked', /another copy of the service/),
    );
  });

  test('an attempt that cannot request the lock leaves no descriptor open', async (t) => {
    await using temporary = await directory();
    findProgramsIn(t, temporary.path);
    await using lifetime = new Lifetime('x');
    await assert.rejects(lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' }), (error) =>
      isSystemError(error, 'ENOENT'),
    );
    assert.deepEqual(lifetime.holdings.list(), []);
    assert.deepEqual(await openFilesBelow(temporary.path), []);
  });

  test('the lock is released even if somebody removed its file', async () => {
    await using temporary = await directory();
    const lifetime = new Lifetime('x');
    await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    await rm(join(temporary.path, 'lock'));
    await lifetime.end();
    assert.deepEqual(await openFilesBelow(temporary.path), []);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('releasing the lock leaves the file of a new holder alone', async () => {
    await using temporary = await directory();
    const first = new Lifetime('first');
    await using second = new Lifetime('second');
    await lock(first, { run: temporary.path, root: '/the/root', as: 'service' });
    await rm(join(temporary.path, 'lock'));
    await lock(second, { run: temporary.path, root: '/the/root', as: 'service' });
    await first.end();
    await using third = new Lifetime('third');
    await assert.rejects(
      lock(third, { run: temporary.path, root: '/the/root', as: 'service' }),
      refusedWith('start.locked', /another copy of the service/),
    );
  });
});

/** A process that holds the lock until it is told to release it. */
async function holderOf(run: string, as: Holder) {
  const [lockModule, lifetimeModule] = ['host/lock.ts', 'lifetime/lifetime.ts'].map((path) =>
    JSON.stringify(join(import.meta.dirname, '../..', path)),
  );
  const script = `import { lock } from ${lockModule};
    import { Lifetime } from ${lifetimeModule};
    const lifetime = new Lifetime('holder');
    await lock(lifetime, { run: process.argv[1], root: '/the/root', as: process.argv[2] });
    process.stdin.once('data', () => lifetime.end().then(() => process.stdin.destroy()));
    process.stdout.write('held');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, run, as], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    pid: child.pid,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    letGo: () => void child.stdin.write('.'),
    /** Its exit code and signal. */
    ended: () => ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Resolves after so many failed attempts to lock. */
async function untilAsked(t: TestContext, place: string, times: number): Promise<() => Promise<void>> {
  const [programs, asked] = [join(place, 'programs'), join(place, 'asked')];
  await mkdir(programs);
  const script = ['#!/bin/sh', `PATH='${process.env.PATH}'`, `echo >> '${asked}'`, 'exec flock "$@"'];
  await writeFile(join(programs, 'flock'), script.join('\n'), { mode: 0o755 });
  const path = `${programs}:${process.env.PATH}`;
  findProgramsIn(t, path);
  return async () => {
    while ((await readFile(asked, 'utf8').catch(() => '')).length < times) await pause(5);
  };
}

suite('the holders of the lock', () => {
  test('a starting service kills a holder that waits', async () => {
    await using temporary = await directory();
    await using holder = await holderOf(temporary.path, 'wait');
    await using lifetime = new Lifetime('x');
    await lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    assert.deepEqual(await holder.ended(), [null, 'SIGKILL']);
    assert.equal(await readFile(join(temporary.path, 'lock'), 'utf8'), `${process.pid} service\n`);
  });

  test('a starting service waits until bury has finished, and does not harm it', async (t) => {
    await using temporary = await directory();
    await using holder = await holderOf(temporary.path, 'bury');
    await using lifetime = new Lifetime('x');
    const asked = await untilAsked(t, temporary.path, 3);
    const locked = lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    await Promise.race([asked(), locked]);
    assert.deepEqual([holder.hasEnded(), lifetime.holdings.list().length], [false, 1]);
    holder.letGo();
    await locked;
    assert.deepEqual(await holder.ended(), [0, null]);
  });

  for (const holding of ['service', 'wait', 'bury'] as const) {
    for (const as of ['wait', 'bury'] as const) {
      test(`as ${as}, it is refused while ${holding} holds the lock, and no process is killed`, async () => {
        await using temporary = await directory();
        await using holder = await holderOf(temporary.path, holding);
        await using lifetime = new Lifetime('x');
        const refused = lock(lifetime, { run: temporary.path, root: '/the/root', as });
        await assert.rejects(refused, refusedWith('start.locked', new RegExp(`pid ${holder.pid}`)));
        holder.letGo();
        assert.deepEqual(await holder.ended(), [0, null]);
      });
    }
  }

  test('a process that has reused the pid of a waiting holder is not killed', async (t) => {
    await using temporary = await directory();
    await using holder = await holderOf(temporary.path, 'bury');
    await using elsewhere = await directory();
    await using innocent = await holderOf(elsewhere.path, 'service');
    await using lifetime = new Lifetime('x');
    await writeFile(join(temporary.path, 'lock'), `${innocent.pid} wait\n`);
    const asked = await untilAsked(t, temporary.path, 3);
    const locked = lock(lifetime, { run: temporary.path, root: '/the/root', as: 'service' });
    await Promise.race([asked(), locked]);
    holder.letGo();
    await locked;
    assert.equal(innocent.hasEnded(), false);
  });
});

suite('the paths', () => {
  test('all files are below the root, where the predecessor had them', () => {
    assert.deepEqual(pathsBelow('/'), {
      root: '/',
      containers: '/fractal',
      kept: '/fractal/kept',
      temporary: '/fractal/temp',
      cloudStorage: '/fractalCloudStorage',
      private: '/fractalprivate',
      run: '/run/ecs-host-service',
      ledger: '/run/ecs-host-service/ledger',
      dockerProxy: '/run/ecs-host-service/docker.sock',
      apiSocket: '/run/ecs-host-service/api.sock',
      waitLog: '/run/ecs-host-service/wait.log',
      settings: '/etc/ecs-host-service',
      state: '/var/lib/ecs-host-service',
      spool: '/var/lib/ecs-host-service/spool',
      receipts: '/var/lib/ecs-host-service/receipts',
      logs: '/var/lib/ecs-host-service/logs',
      nodes: '/var/lib/ecs-host-service/nodes',
      agent: {
        config: '/etc/ecs/ecs.config',
        packagedConfig: '/var/lib/ecs/ecs.config',
        state: '/var/lib/ecs',
        data: '/var/lib/ecs/data',
        log: '/var/log/ecs',
        cache: '/var/cache/ecs',
        systemd: '/run/systemd/system',
      },
    });
    const { agent, ...ours } = pathsBelow('/srv/x');
    for (const path of [...Object.values(ours), ...Object.values(agent)]) {
      assert.match(path, /^\/srv\/x(\/|$)/);
    }
  });
});

/** An own directory, and beside it a directory that must outlive it. */
async function ownBesideOutside(place: string) {
  const outside = join(place, 'outside');
  const path = join(place, 'own');
  const lifetime = new Lifetime('x');
  await mkdir(outside);
  await writeFile(join(outside, 'file'), 'content');
  await holdOwnDirectory(lifetime, { path, mode: 0o700 });
  const endedWithOutsideLeft = async () => {
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(await readdir(place), ['outside']);
    assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'content');
  };
  return { outside, path, endedWithOutsideLeft };
}

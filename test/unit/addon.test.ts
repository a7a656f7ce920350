/** The parts of the native addon that need no uinput: passing descriptors, its errors, and that nothing makes it crash. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { addon } from '../../uinput-native/addon.ts';
import { AXIS_MAXIMUM, DEVICES } from '../../uinput-native/descriptions.ts';
import { callAtRandom } from '../support/addon-calls.ts';
import { SEED } from '../support/seed.ts';

const BUILD = join(import.meta.dirname, '../../build');
const IDS = new Uint16Array(4);
const NO_BITS = new Uint16Array();
interface Opened {
  readonly master: number;
  readonly slave: number;
}

const DEVICE = { name: 'x', ids: IDS, bits: NO_BITS };

function newDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'addon-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Runs a script, which gets the `file` of the addon, in its own Node process. @returns its output */
function runApart(script: string, words: readonly string[] = [], node = process.execPath): string {
  const file = join(BUILD, `uinput-linux-${process.arch}.node`);
  const preamble = `const file = ${JSON.stringify(file)}; const words = ${JSON.stringify(words)};`;
  const { stdout, stderr, status, signal } = spawnSync(node, ['--expose-gc', '-e', preamble + script], {
    encoding: 'utf8',
    cwd: tmpdir(),
  });
  assert.deepEqual([status, signal], [0, null], stdout + stderr);
  return stdout.trim();
}

suite('the addon', () => {
  test('fails with the code and the step of a call that the kernel refuses', async () => {
    const create = (path: string, bits = NO_BITS) =>
      addon().createDevices(path, AXIS_MAXIMUM, [{ ...DEVICE, bits }]);
    await assert.rejects(create('/not/there'), { code: 'ENOENT', message: /^open uinput: / });
    await assert.rejects(create('/dev/null'), { code: 'ENOTTY', message: /^UI_DEV_SETUP: / });
    await assert.rejects(create('/dev/null', Uint16Array.of(99, 1)), { code: 'ENOTTY' });
  });

  test('leaves no descriptor behind when it fails', () => {
    const script = `
      const addon = require(file);
      const { readdirSync } = require('node:fs');
      const count = () => readdirSync('/proc/self/fd').length;
      const fail = () => addon.createDevices('/dev/null', 1, [{ name: 'x', ids: new Uint16Array(4), bits: new Uint16Array() }]).catch(() => {});
      (async () => {
        await fail();
        const before = count();
        for (let i = 0; i < 50; i++) {
          await fail();
          try { addon.openSocket(words[0], 'x'.repeat(60) + '/', 0o755, () => {}); } catch {}
          try { addon.openSocket('/proc', 'refused', 0o755, () => {}); } catch {}
        }
        console.log(count() - before);
      })();`;
    assert.equal(runApart(script, [tmpdir()]), '0');
  });

  test('keeps a pseudo-terminal from the programs that the process starts', async () => {
    const { default: pty } = await import('node-pty');
    const { native } = pty as unknown as { native: { open(columns: number, rows: number): Opened } };
    const { master, slave } = native.open(80, 24);
    const flags = () => /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${master}`, 'utf8'))?.[1];
    const isKept = () => (Number.parseInt(flags() ?? '', 8) & 0o2000000) !== 0;
    assert.equal(isKept(), false, 'without it, the addon would not be needed');
    addon().closeOnExec(master);
    assert.ok(isKept());
    for (const descriptor of [master, slave]) closeSync(descriptor);
    assert.throws(() => addon().closeOnExec(-1), { code: 'EBADF', message: /^close on exec: / });
  });

  test('refuses arguments of a wrong type and names them', () => {
    const wrong = (call: () => unknown, message: RegExp) =>
      assert.throws(call, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
    const describe = (given: object) => () =>
      addon().createDevices('/x', 1, [DEVICE, { ...DEVICE, ...given } as never]);
    wrong(() => addon().createDevices(1 as never, 1, [DEVICE]), /^path must be a string/);
    wrong(() => addon().createDevices('/x', 1.5, [DEVICE]), /^axisMaximum must be an integer/);
    wrong(() => addon().createDevices('/x', 1, []), /^descriptions must be an array of 1 to 8/);
    wrong(() => addon().createDevices('/x', 1, [null as never]), /^descriptions must be objects/);
    wrong(describe({ name: 'x'.repeat(80) }), /^name must be neither empty nor that long/);
    wrong(describe({ name: 'a\0b' }), /^name must be without zero bytes/);
    wrong(describe({ ids: [1, 2, 3, 4] }), /^ids must be a Uint16Array/);
    wrong(describe({ ids: NO_BITS }), /^ids must be four/);
    wrong(describe({ bits: Uint16Array.of(1) }), /^bits must be pairs/);
    wrong(() => addon().openSocket('/x', 'x', '0755' as never, () => {}), /^mode must be an integer/);
    wrong(() => void addon().removeTree('/x', 'a/b', 1), /^name must be a name in the directory/);
    wrong(() => void addon().removeTree('/x', '..', 1), /^name must be a name in the directory/);
    wrong(() => addon().handOver({} as never, [1]), /^socket must be what this addon made/);
    wrong(() => addon().handOver({} as never, []), /^descriptors must be an array of 1 to 8/);
  });

  test('does not crash on any arguments in any order, nor when its objects are garbage-collected', () => {
    assert.equal(callAtRandom(SEED, 20_000), 'alive', `seed ${SEED}`);
  });

  test('does not crash when the only thread that used it ends', () => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const directory = require('node:fs').mkdtempSync('/tmp/addon-thread-');
      const code = \`
        const { file, directory, number } = require('node:worker_threads').workerData;
        const addon = require(file);
        addon.openSocket(directory, 's' + number, 0o700, () => {});
        addon.createDevices('/dev/null', 1, [{ name: 'x', ids: new Uint16Array(4), bits: new Uint16Array() }]).catch(() => {});
        if (number % 2) process.exit();\`;
      let left = 5;
      for (let number = 0; number < 5; number++) new Worker(code, { eval: true, workerData: { file, directory, number } }).on('exit', () => { if (--left === 0) { require('node:fs').rmSync(directory, { recursive: true }); console.log('alive'); } });`;
    assert.equal(runApart(script), 'alive');
  });

  test('loads on the next major version of Node too', () => {
    const node = join(BUILD, `../tools/node-26/node_modules/node-linux-${process.arch}/bin/node`);
    assert.match(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout, /^v26\./);
    const script = `const addon = require(file); addon.createDevices('/dev/null', 1, [{ name: 'x', ids: new Uint16Array(4), bits: new Uint16Array() }]).catch(({ code }) => {
      const socket = addon.openSocket(words[0], 'on-26-' + process.pid, 0o700, () => {});
      addon.closeSocket(socket);
      require('node:fs').unlinkSync(words[0] + '/on-26-' + process.pid);
      console.log(code);
    });`;
    assert.equal(runApart(script, [tmpdir()], node), 'ENOTTY');
  });

  test('is built for both architectures, for the oldest C library that Node itself supports', () => {
    // e_machine of the ELF header: EM_X86_64 and EM_AARCH64.
    for (const [arch, machine] of [
      ['x64', 62],
      ['arm64', 183],
    ] as const) {
      const file = readFileSync(join(BUILD, `uinput-linux-${arch}.node`));
      assert.equal(file.toString('latin1', 0, 4), '\x7fELF');
      assert.deepEqual([file.readUInt16LE(16), file.readUInt16LE(18)], [3, machine], 'a shared object');
      const versions = [...file.toString('latin1').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) =>
        Number(minor),
      );
      assert.ok(versions.length > 0 && Math.max(...versions) <= 28, versions.join());
    }
  });
});

suite('the devices', () => {
  test("match the kernel's names, ids and codes of known types", () => {
    assert.deepEqual(
      DEVICES.map(({ what }) => what),
      ['absolute pointer', 'relative mouse', 'keyboard'],
    );
    for (const { name, ids, bits } of DEVICES) {
      assert.ok(name.length < 80);
      assert.equal(ids.length, 4);
      assert.ok(bits.length > 0 && bits.length % 2 === 0);
      assert.ok(bits.every((value, i) => i % 2 === 0 || value <= 0x2ff));
    }
  });
});

test('a socket’s mode is the requested one, whatever the umask', (t) => {
  const directory = newDirectory(t);
  addon().closeSocket(addon().openSocket(directory, 'a', 0o755, () => {}));
  assert.equal(statSync(join(directory, 'a')).mode & 0o777, 0o755);
  assert.throws(() => addon().openSocket(directory, 'a', 0o755, () => {}), { code: 'EADDRINUSE' });
  assert.throws(() => addon().openSocket(join(directory, 'no'), 'a', 0o755, () => {}), { code: 'ENOENT' });
});

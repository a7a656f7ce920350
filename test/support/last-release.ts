/**
 * The last release of the service, built from its commit: its sources, and its addon. It runs with the packages and the Node of
 * this checkout, which has the packages of @peculiar only for this purpose.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * No tag names it yet: the last commit of which hosts run version 0.1.0 before shells on the host were handed over. If the packages
 * of this checkout no longer serve it, name a newer release.
 */
const COMMIT = 'ef22fbbcced00f50d6cd9e1da026f48e6668c18b';

const ROOT = join(import.meta.dirname, '../..');
const ADDON = `build/uinput-linux-${process.arch}.node`;
const C_FLAGS = ['-std=gnu17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-DNAPI_VERSION=9'];

export class LastRelease implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'last-release-'));

  /** @throws Error if the commit is missing, for example in a shallow clone */
  constructor() {
    const archive = join(this.#directory, 'sources.tar');
    try {
      // The checkout may belong to another user than root.
      const git = ['-c', 'safe.directory=*', '-C', ROOT];
      execFileSync('git', [...git, 'archive', '--output', archive, COMMIT], { stdio: 'pipe' });
    } catch (cause) {
      throw new Error(`the commit ${COMMIT} is missing; run git fetch --unshallow`, { cause });
    }
    execFileSync('tar', ['-x', '-f', archive, '-C', this.#directory]);
    symlinkSync(join(ROOT, 'node_modules'), join(this.#directory, 'node_modules'));
    mkdirSync(join(this.#directory, 'build'));
    copyFileSync(join(ROOT, 'build/seccomp.json'), join(this.#directory, 'build/seccomp.json'));
    const headers = join(dirname(process.env.TEST_NODE ?? process.execPath), '../include/node');
    const sources = globSync('uinput-native/*.c', { cwd: this.#directory });
    const words = [...C_FLAGS, `-I${headers}`, '-o', ADDON, ...sources];
    execFileSync('cc', words, { cwd: this.#directory });
  }

  /** The service's program. */
  get program(): string {
    return join(this.#directory, 'src/ecs-host-service.ts');
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

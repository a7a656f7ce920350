/** A program under the launcher: tests start it, read its output, and see the values that the burial command got. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const LAUNCHER = join(import.meta.dirname, '../../build/launcher');
/** Writes down its environment. */
const BURY = ['sh', '-c', 'env > buried'];
const TOLD = ['SERVICE_RESULT', 'EXIT_CODE', 'EXIT_STATUS'];

export interface LaunchOptions {
  readonly options?: readonly string[];
  readonly bury?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export class Launched implements Disposable {
  readonly child: ChildProcess;
  readonly directory = mkdtempSync(join(tmpdir(), 'launched-'));
  /** The stderr of the launcher, the program and the burial command, as far as it has arrived. */
  errors = '';
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<unknown>;

  constructor(words: readonly string[], { options = [], bury = BURY, env = {} }: LaunchOptions = {}) {
    this.child = spawn(LAUNCHER, [...options, ...words, '--', ...bury], {
      cwd: this.directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.child, 'close');
    this.child.stderr?.on('data', (text: Buffer) => {
      this.errors += text;
    });
    const input = this.child.stdout as NodeJS.ReadableStream;
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  /** The next line that matches. @throws Error with the output if there is none */
  async line(words: RegExp): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`it exited without ${words}:\n${this.errors}`);
      if (words.test(value)) return value;
    }
  }

  /** Resolves when no process can write any more. @returns the launcher's exit code */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.child.exitCode;
  }

  /** The environment of the burial command. */
  get environment(): Readonly<Record<string, string>> {
    const lines = readFileSync(join(this.directory, 'buried'), 'utf8').split('\n');
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }

  /** The end as reported to the burial command: result, code and status. */
  get told(): (string | undefined)[] {
    return TOLD.map((name) => this.environment[name]);
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true });
  }
}

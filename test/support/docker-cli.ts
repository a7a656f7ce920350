/** Clients of Docker, such as its own command line, as child processes, and an image with a shell for them. */

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import type Dockerode from 'dockerode';
import { importArchive } from '../../scripts/image.ts';

export const SHELL = 'tests/shell:current-build';

/** Programs of this machine with their libraries, so that no registry is needed. */
const PROGRAMS = ['sh', 'cat', 'sleep'];

export async function importShell(docker: Dockerode): Promise<void> {
  const paths = execFileSync('which', PROGRAMS, { encoding: 'utf8' }).trim().split('\n');
  const linked = execFileSync('ldd', paths, { encoding: 'utf8' }).match(/(?<=\s)\/\S+(?= \()/g) ?? [];
  const files = [...new Set([...paths, ...linked])].map((path) => path.slice(1));
  await importArchive(docker, SHELL, ['-hC', '/', ...files], 'CMD ["sleep", "600"]');
}

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** One running command. */
export class Command {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #said: Promise<[Buffer, string, [number | null]]>;
  #out = '';
  #hasEnded = false;
  #look = () => {};

  constructor(file: string, words: readonly string[]) {
    this.child = spawn(file, words, { env: { ...process.env, DOCKER_BUILDKIT: '0' } });
    const { stdout, stderr } = this.child;
    stdout.on('data', (piece: Buffer) => {
      this.#out += piece.toString('latin1');
      this.#look();
    });
    // The process may exit before it has read everything.
    this.child.stdin.on('error', () => {});
    const ended = once(this.child, 'close') as Promise<[number | null]>;
    void ended.then(() => {
      this.#hasEnded = true;
      this.#look();
    });
    this.#said = Promise.all([buffer(stdout), text(stderr), ended]);
  }

  /** Resolves when it has written `words` on stdout. */
  async wrote(words: string): Promise<void> {
    const patience = AbortSignal.timeout(30_000);
    const said = Promise.withResolvers<void>();
    this.#look = () => {
      if (this.#out.includes(words)) said.resolve();
      else if (patience.aborted || this.#hasEnded)
        said.reject(new Error(`"${words}" is not in ${JSON.stringify(this.#out)}`));
    };
    patience.addEventListener('abort', this.#look);
    this.#look();
    await said.promise;
  }

  async ended(): Promise<Said & { readonly bytes: Buffer }> {
    const [bytes, err, [code]] = await this.#said;
    return { code, out: bytes.toString(), err, bytes };
  }

  /** Closes its stdin and waits for its exit. */
  async finish(input: string | Buffer = ''): Promise<Said & { readonly bytes: Buffer }> {
    this.child.stdin.end(input);
    return await this.ended();
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#said;
  }
}

/** A program with the first arguments of each of its commands. */
export class Cli {
  readonly #file: string;
  readonly #words: readonly string[];

  constructor(file: string, words: readonly string[]) {
    this.#file = file;
    this.#words = words;
  }

  start(...words: string[]): Command {
    return new Command(this.#file, [...this.#words, ...words]);
  }

  /** In its own terminal; input is written to its stdin. */
  onTerminal(...words: string[]): Command {
    const command = [this.#file, ...this.#words, ...words].map((word) => `'${word}'`).join(' ');
    return new Command('script', ['-qec', command, '/dev/null']);
  }

  /** Runs to its end, without input. */
  async run(...words: string[]): Promise<Said> {
    const { code, out, err } = await this.start(...words).finish();
    return { code, out, err };
  }

  /** Like `run`; it must succeed. @returns its trimmed stdout */
  async ok(...words: string[]): Promise<string> {
    const { code, out, err } = await this.run(...words);
    assert.equal(code, 0, `${this.#file} ${words.join(' ')}: ${err}`);
    return out.trim();
  }

  /** Like `run`; it must fail. @returns its stderr */
  async fails(...words: string[]): Promise<string> {
    const { code, err } = await this.run(...words);
    assert.notEqual(code, 0, `${this.#file} ${words.join(' ')} succeeded`);
    return err;
  }
}

export class DockerCli extends Cli {
  /** @param socket path of a unix socket */
  constructor(socket: string) {
    super('docker', ['-H', `unix://${socket}`]);
  }
}

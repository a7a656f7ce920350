/** A program in a container with a pseudo-terminal of Docker, as with `docker exec -it`. */

import { once } from 'node:events';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';
import type { Pty, Size } from '../ttys/pty.ts';
import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';
import { hijack } from './hijack.ts';
import { hangUp, processesOf, TERMINAL } from './terminal-processes.ts';

export interface ExecOptions {
  readonly terminal: string;
  readonly dockerId: DockerId;
  readonly command: readonly string[];
  /** In Docker's format; undefined: the container's default user. */
  readonly user: string | undefined;
  /** The value of TERM in its environment. */
  readonly type: string;
  readonly size: Size;
}

/** The time limit for each call to Docker, in milliseconds. */
const PATIENCE = 10_000;
/** How many times, and at which interval in milliseconds, this polls for information that Docker delivers late. */
const LOOKS = 100;
const BETWEEN_LOOKS = 20;

interface Looked {
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly Pid: number;
}

export class Exec implements Pty {
  readonly #docker: Docker;
  readonly #id: string;
  readonly #options: ExecOptions;
  /** Not connected until Docker has opened the connection. */
  #stream = new Socket();
  /** The session of the started program, by its id on the host. */
  #session: number | undefined;
  /** The exit code of the program. Processes that it leaves running belong to the container. */
  #exitCode: number | undefined;

  private constructor(docker: Docker, id: string, options: ExecOptions) {
    this.#docker = docker;
    this.#id = id;
    this.#options = options;
  }

  /** @throws {ServiceError} `docker.*` */
  static async start(docker: Docker, options: ExecOptions, signal: AbortSignal): Promise<Exec> {
    const { terminal, dockerId, command, user, type, size } = options;
    const body = {
      Cmd: [...command],
      Env: [`TERM=${type}`, `${TERMINAL}=${terminal}`],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      ConsoleSize: [size.rows, size.columns] as [number, number],
      ...(user !== undefined && { User: user }),
    };
    const { id } = await docker.call(
      'exec_create',
      PATIENCE,
      (abortSignal, api) => api.getContainer(dockerId).exec({ ...body, abortSignal }),
      signal,
    );
    const exec = new Exec(docker, id, options);
    try {
      await exec.#attach(signal);
      await exec.#begin(signal);
      return exec;
    } catch (error) {
      await exec.#undo();
      throw error;
    }
  }

  async #attach(signal: AbortSignal): Promise<void> {
    const { socket } = this.#docker;
    const start = { Detach: false, Tty: true };
    this.#stream = await this.#docker.call(
      'exec_start',
      PATIENCE,
      (late) => hijack(socket, `/exec/${this.#id}/start`, start, late),
      signal,
    );
    // The end of the stream is handled elsewhere.
    this.#stream.on('error', () => {});
  }

  /** Docker may have started the program without being able to report it, or may be about to start it. */
  async #undo(): Promise<void> {
    await this.#begin().catch(() => {});
    await this.hangUp().catch(() => {});
  }

  /** An Engine before version 23 accepts no initial size, and for a moment it has no session to resize. */
  async #begin(signal?: AbortSignal): Promise<void> {
    for (let look = 1; look <= LOOKS; look++) {
      signal?.throwIfAborted();
      const { Running: isRunning, ExitCode: code, Pid: pid } = await this.#look();
      if (pid > 0) this.#session = pid;
      if (!isRunning && code !== null) return;
      if (isRunning && pid > 0 && (await this.#resize(this.#options.size))) return;
      await pause(BETWEEN_LOOKS);
    }
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#stream;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { writable, destroyed } = this.#stream;
    if (!writable || destroyed || this.#stream.write(bytes)) return;
    const gone = new AbortController();
    try {
      const { signal } = gone;
      await Promise.race([once(this.#stream, 'drain', { signal }), once(this.#stream, 'close', { signal })]);
    } finally {
      gone.abort();
    }
  }

  /** Has no effect after the program has ended. */
  async resize(size: Size): Promise<void> {
    await this.#resize(size);
  }

  /** @returns whether the terminal has that size now */
  async #resize({ columns: w, rows: h }: Size): Promise<boolean> {
    return await this.#docker
      .call('exec_resize', PATIENCE, (abortSignal, api) =>
        api.getExec(this.#id).resize({ h, w, abortSignal }),
      )
      .then(
        () => true,
        () => false,
      );
  }

  async exitCode(): Promise<number | undefined> {
    for (let look = 1; look <= LOOKS; look++) {
      const { Running: isRunning, ExitCode: code } = await this.#look();
      if (!isRunning) this.#exitCode = code ?? undefined;
      if (!isRunning) break;
      await pause(BETWEEN_LOOKS);
    }
    return this.#exitCode;
  }

  #look(): Promise<Looked> {
    return this.#docker.call(
      'exec_inspect',
      PATIENCE,
      async (abortSignal, api) => (await api.getExec(this.#id).inspect({ abortSignal })) as Looked,
    );
  }

  async hangUp(): Promise<void> {
    this.#stream.destroy();
    if (this.#exitCode === undefined) await hangUp(this.#processes);
  }

  abandon(): void {
    void this.hangUp().catch(() => {});
  }

  async seenGone(): Promise<string> {
    if (this.#exitCode !== undefined) return `it ended with code ${this.#exitCode}`;
    const left = await processesOf(this.#processes);
    const what = `the terminal ${this.#options.terminal}`;
    if (left.length > 0) throw new ServiceError('still.there', { what, why: `${left.length} processes run` });
    return 'none of its processes runs';
  }

  get #processes() {
    const { dockerId, terminal } = this.#options;
    return { dockerId, terminal, session: this.#session };
  }
}

/** A program in a container with a pseudo-terminal of Docker, as with `docker exec -it`. */

import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';
import { descriptorOf, unsentIn } from '../lifetime/descriptors.ts';
import type { HandedExec } from '../ttys/handed-terminal.ts';
import type { Keep, Pty, Size } from '../ttys/pty.ts';
import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';
import { hijack } from './hijack.ts';
import { hangUp, processesOf, TERMINAL } from './terminal-processes.ts';

interface Place {
  readonly terminal: string;
  readonly dockerId: DockerId;
}

export interface ExecOptions extends Place {
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
  readonly #place: Place;
  /** Not connected until Docker has opened the connection. */
  #stream = new Socket();
  /** The session of the started program, by its id on the host. */
  #session: number | undefined;
  /** The exit code of the program. Processes that it leaves running belong to the container. */
  #exitCode: number | undefined;
  /** The newest written bytes, some of which may not have been sent yet. */
  #written: Uint8Array[] = [];
  /** Bytes that were read during a hand-over and are not part of the output yet. */
  #unread = Buffer.alloc(0);
  #isPassedOn = false;

  private constructor(docker: Docker, id: string, { terminal, dockerId }: Place) {
    this.#docker = docker;
    this.#id = id;
    this.#place = { terminal, dockerId };
  }

  /**
   * Continues with a program of the previous service.
   * @param descriptor its connection, which this closes
   * @throws Error if the descriptor is of another kind
   */
  static takeOver(docker: Docker, { id, ...handed }: HandedExec, terminal: string, descriptor: number): Exec {
    const exec = new Exec(docker, id, { terminal, dockerId: handed.dockerId as DockerId });
    try {
      exec.#connect(new Socket({ fd: descriptor }));
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    exec.#session = handed.session;
    exec.#unread = Buffer.from(handed.printed, 'base64');
    // If the program accepts no more input, the stream ends, which is handled elsewhere.
    if (handed.typed !== '') void exec.write(Buffer.from(handed.typed, 'base64')).catch(() => {});
    return exec;
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
      await exec.#begin(size, signal);
      return exec;
    } catch (error) {
      await exec.#undo(size);
      throw error;
    }
  }

  async #attach(signal: AbortSignal): Promise<void> {
    const { socket } = this.#docker;
    const start = { Detach: false, Tty: true };
    const stream = await this.#docker.call(
      'exec_start',
      PATIENCE,
      (late) => hijack(socket, `/exec/${this.#id}/start`, start, late),
      signal,
    );
    this.#connect(stream);
  }

  #connect(stream: Socket): void {
    this.#stream = stream;
    // The end of the stream is handled elsewhere.
    stream.on('error', () => {});
  }

  /** Docker may have started the program without being able to report it, or may be about to start it. */
  async #undo(size: Size): Promise<void> {
    await this.#begin(size).catch(() => {});
    await this.hangUp().catch(() => {});
  }

  /** An Engine before version 23 accepts no initial size, and for a moment it has no session to resize. */
  async #begin(size: Size, signal?: AbortSignal): Promise<void> {
    for (let look = 1; look <= LOOKS; look++) {
      signal?.throwIfAborted();
      const { Running: isRunning, ExitCode: code, Pid: pid } = await this.#look();
      if (pid > 0) this.#session = pid;
      if (!isRunning && code !== null) return;
      if (isRunning && pid > 0 && (await this.#resize(size))) return;
      await pause(BETWEEN_LOOKS);
    }
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    const before = this.#unread;
    if (before.length > 0 && !this.#isPassedOn) {
      this.#unread = Buffer.alloc(0);
      yield before;
    }
    try {
      yield* this.#stream;
    } catch (error) {
      if (!this.#isPassedOn) throw error;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isPassedOn) {
      this.#written.push(bytes);
      return;
    }
    const { writable, destroyed } = this.#stream;
    if (!writable || destroyed) return;
    this.#written.push(bytes);
    const isAccepted = this.#stream.write(bytes, () => {
      if (!this.#isPassedOn) this.#written.shift();
    });
    if (isAccepted) return;
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
    if (!this.#isPassedOn) void this.hangUp().catch(() => {});
  }

  /** Takes everything that was read or is not sent yet, and closes the connection, in one turn of the event loop. */
  passOn(keep: Keep): boolean {
    const stream = this.#stream;
    if (stream.destroyed) return false;
    keep(descriptorOf(stream));
    this.#isPassedOn = true;
    const unsent = unsentIn(stream);
    const written = Buffer.concat(this.#written);
    this.#written = [written.subarray(written.length - unsent)];
    this.#unread = Buffer.concat([this.#unread, stream.read() ?? Buffer.alloc(0)]);
    stream.destroy();
    return true;
  }

  get handed(): { readonly exec: HandedExec } {
    const exec = {
      id: this.#id,
      dockerId: this.#place.dockerId,
      ...(this.#session !== undefined && { session: this.#session }),
      printed: this.#unread.toString('base64'),
      typed: Buffer.concat(this.#written).toString('base64'),
    };
    return { exec };
  }

  async seenGone(): Promise<string> {
    if (this.#exitCode !== undefined) return `it ended with code ${this.#exitCode}`;
    const left = await processesOf(this.#processes);
    const what = `the terminal ${this.#place.terminal}`;
    if (left.length > 0) throw new ServiceError('still.there', { what, why: `${left.length} processes run` });
    return 'none of its processes runs';
  }

  get #processes() {
    return { ...this.#place, session: this.#session };
  }
}

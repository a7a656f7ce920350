/** Sends commands to the program with input devices in a container (test/image/input-program.c). */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { InputEvent } from './evdev.ts';

export const INPUT_IMAGE = 'fractal/input:current-build';

/** In the order in which they were passed. */
export const [POINTER, MOUSE, KEYBOARD] = [0, 1, 2] as const;

export class InputProgram {
  readonly #socket: Socket;
  readonly #answers: AsyncIterator<string>;

  /** Connects as soon as the program listens. @param port host port of 32262/tcp */
  static async open(port: number): Promise<InputProgram> {
    for (const patience = AbortSignal.timeout(30_000); ; await pause(50)) {
      patience.throwIfAborted();
      const socket = connect({ host: '127.0.0.1', port });
      const program = new InputProgram(socket, createInterface({ input: socket }));
      // Docker's proxy accepts connections even while nobody listens behind it.
      if ((await program.#ask('hello\n', 1).catch(() => []))[0] === 'what?') return program;
      socket.destroy();
    }
  }

  private constructor(socket: Socket, lines: Interface) {
    this.#socket = socket;
    socket.on('error', () => {});
    this.#answers = lines[Symbol.asyncIterator]();
  }

  /** @returns its answer to one line */
  async say(line: string): Promise<string> {
    return (await this.#ask(`${line}\n`, 1))[0] as string;
  }

  /** Makes it write events. @throws Error if one could not be written */
  async write(device: number, events: readonly InputEvent[]): Promise<void> {
    const lines = events.map((event) => `write ${device} ${event.join(' ')}\n`);
    const answers = await this.#ask(lines.join(''), events.length);
    const failed = answers.find((answer) => answer !== 'done');
    if (failed) throw new Error(`the program could not write: ${failed}`);
  }

  async #ask(lines: string, count: number): Promise<string[]> {
    this.#socket.write(lines);
    const answers: string[] = [];
    while (answers.length < count) {
      const { value, done } = await this.#answers.next();
      if (done) throw new Error('the program has disconnected');
      answers.push(value);
    }
    return answers;
  }

  async close(): Promise<void> {
    this.#socket.end();
    if (!this.#socket.closed) await once(this.#socket, 'close');
  }
}

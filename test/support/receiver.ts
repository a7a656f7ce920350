/** Plays systemd for the service: it receives sd_notify messages. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(import.meta.dirname, '../../build/notify-receiver');

export class Receiver implements AsyncDisposable {
  readonly child;
  readonly #words: AsyncIterator<string>;

  /** Resolves when it listens. @param socket a path, or `@` and an abstract name */
  static async open(socket: string): Promise<Receiver> {
    const receiver = new Receiver(socket);
    await receiver.until('listening');
    return receiver;
  }

  private constructor(socket: string) {
    this.child = spawn(PROGRAM, [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#words = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** The next message. */
  async next(): Promise<string> {
    const { value, done } = await this.#words.next();
    if (done) throw new Error('the receiver has ended');
    return value;
  }

  /** Waits for this message. @returns all earlier messages */
  async until(wanted: string): Promise<string[]> {
    const heard: string[] = [];
    for (let word = await this.next(); word !== wanted; word = await this.next()) heard.push(word);
    return heard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

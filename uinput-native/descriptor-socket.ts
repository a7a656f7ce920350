/**
 * The socket at which a program in a container gets the descriptors of its input devices, as often as it asks
 * for them while the container lives.
 */

import { addon, type NativeSocket } from './addon.ts';

/** root alone may connect: connecting needs the right to write. */
const MODE = 0o755;
/** Connections that are served at once, and milliseconds before more are: a program could ask for ever. */
const AT_ONCE = 8;
const PAUSE = 50;

export interface DescriptorSocketOptions {
  readonly directory: string;
  readonly name: string;
  /** At most 8; all go in one message. Whoever gives them keeps them open until the socket is closed. */
  readonly descriptors: readonly number[];
  /** Is told how many hand-overs there were. */
  readonly onHandOver: (count: number) => void;
  /** Is told why a hand-over did not work the first time; it is tried again until it does. */
  readonly onTrouble: (error: unknown) => void;
}

export class DescriptorSocket {
  readonly #options: DescriptorSocketOptions;
  readonly #socket: NativeSocket;
  #count = 0;
  #inTrouble = false;
  #closed = false;
  #resume: NodeJS.Timeout | undefined;

  /** Listens. @throws Error with a `code`, such as `EADDRINUSE` */
  constructor(options: DescriptorSocketOptions) {
    this.#options = options;
    this.#socket = addon().openSocket(options.directory, options.name, MODE, () => this.#serve());
  }

  #serve(): void {
    for (let served = 0; served < AT_ONCE; served++) {
      const sent = this.#handOver();
      if (sent === undefined) return;
      if (sent === 'trouble') break;
      if (sent) this.#options.onHandOver(++this.#count);
    }
    this.#pause();
  }

  #handOver(): boolean | undefined | 'trouble' {
    try {
      const sent = addon().handOver(this.#socket, this.#options.descriptors);
      this.#inTrouble = false;
      return sent;
    } catch (error) {
      if (!this.#inTrouble) this.#options.onTrouble(error);
      this.#inTrouble = true;
      return 'trouble';
    }
  }

  #pause(): void {
    addon().pauseSocket(this.#socket);
    this.#resume = setTimeout(() => {
      addon().resumeSocket(this.#socket);
      // A connection that could not be served waits unseen: it was accepted before.
      this.#serve();
    }, PAUSE).unref();
  }

  /** Once it is closed, closing it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#resume);
    addon().closeSocket(this.#socket);
  }
}

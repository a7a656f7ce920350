/**
 * The socket from which a program in a container gets the descriptors of its input devices. It can ask any number of
 * times while the container runs.
 */

import { addon, type NativeSocket } from './addon.ts';

/** Connecting needs write permission, so only root can connect. */
const MODE = 0o755;
/**
 * The number of connections that are served at once, and the pause in milliseconds before the next ones, so that a
 * program cannot keep the service busy.
 */
const AT_ONCE = 8;
const PAUSE = 50;

export interface DescriptorSocketOptions {
  readonly directory: string;
  readonly name: string;
  /** At most 8; all are sent in one message. The caller keeps them open until the socket is closed. */
  readonly descriptors: readonly number[];
  /** A socket of the previous process that already listens there; missing: a new one is made. */
  readonly listening?: number | undefined;
  /** Called with the number of hand-overs. */
  readonly onHandOver: (count: number) => void;
  /** Called with the reason when a hand-over fails for the first time. It is retried until it succeeds. */
  readonly onTrouble: (error: unknown) => void;
}

export class DescriptorSocket {
  readonly #options: DescriptorSocketOptions;
  readonly #socket: NativeSocket;
  #count = 0;
  #inTrouble = false;
  #closed = false;
  #resume: NodeJS.Timeout | undefined;

  /** Starts to listen. @throws Error with a `code`, such as `EADDRINUSE` */
  constructor(options: DescriptorSocketOptions) {
    this.#options = options;
    const { directory, name, listening } = options;
    const serve = () => this.#serve();
    this.#socket =
      listening === undefined
        ? addon().openSocket(directory, name, MODE, serve)
        : addon().adoptSocket(listening, serve);
  }

  /** The descriptor of the listening socket. */
  get fd(): number {
    return this.#socket.fd;
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
      // A connection whose service failed was already accepted, so the socket does not report it again.
      this.#serve();
    }, PAUSE).unref();
  }

  /** Closing it again has no effect. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#resume);
    addon().closeSocket(this.#socket);
  }
}

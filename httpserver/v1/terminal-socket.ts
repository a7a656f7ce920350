/** Connects a WebSocket with a terminal until one of them ends. */

import type { RawData, WebSocket } from 'ws';
import type { TerminalMessage } from '../../packages/api-client/src/main.ts';
import { misfit } from '../../parsing/json.ts';
import type { Attachment, Seen } from '../../ttys/attachment.ts';
import type { Terminal } from '../../ttys/terminal.ts';
import { Said } from './terminal-messages.ts';

/** Milliseconds between checks whether the client is still connected and authorised. */
const BETWEEN_LOOKS = 15_000;
/** The number of silent checks after which the client is given up. */
const MOST_SILENT = 4;

/** Status codes of a close. Source: RFC 6455, 7.4.1 */
const DONE = 1000;
const GOING_AWAY = 1001;
const REFUSED = 1008;
/** The client may reconnect. Source: IANA, WebSocket Close Code Number Registry */
const RESTARTS = 1012;

export interface JoinOptions {
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  /** @throws when the client may not continue */
  readonly askAgain: () => void;
}

/** Never rejects. Resolves when the client has disconnected. */
export async function join(
  socket: WebSocket,
  terminal: Terminal,
  attachment: Attachment,
  { closing, askAgain }: JoinOptions,
): Promise<void> {
  const line = new Line(socket, attachment);
  const leave = () => {
    if (terminal.isPassedOn) socket.close(RESTARTS, 'the next service takes over; attach again');
    else socket.close(GOING_AWAY, 'the service closes');
  };
  closing.addEventListener('abort', leave);
  const timer = setInterval(() => line.look(askAgain), BETWEEN_LOOKS);
  try {
    const { columns, rows } = terminal.size;
    await line.tell({ type: 'attached', terminal: terminal.id, columns, rows, after: attachment.place });
    if (closing.aborted) leave();
    for await (const seen of attachment.see()) await line.show(seen);
    if (!line.isOpen) return;
    const exitCode = await terminal.ended;
    await line.tell({ type: 'ended', ...(exitCode !== undefined && { exitCode }) });
    socket.close(DONE);
  } finally {
    clearInterval(timer);
    closing.removeEventListener('abort', leave);
    attachment.detach();
  }
}

class Line {
  readonly #socket: WebSocket;
  readonly #attachment: Attachment;
  #silent = 0;
  #isRefused = false;
  #taking: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(socket: WebSocket, attachment: Attachment) {
    this.#socket = socket;
    this.#attachment = attachment;
    socket.on('message', (data, isBinary) => void this.#take(data, isBinary));
    socket.on('pong', () => this.#heard());
    // A close event follows each error.
    socket.on('error', () => {});
    socket.on('close', () => attachment.detach());
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  #heard(): void {
    this.#silent = 0;
  }

  /** Checks whether the client is still connected and authorised. */
  look(askAgain: () => void): void {
    try {
      askAgain();
    } catch {
      this.#refuse('the token does not count any more');
    }
    // While input waits for the terminal, the client's pongs are not read either, so its silence does not count.
    if (this.#waiting === 0) this.#silent += 1;
    if (this.#silent > MOST_SILENT) this.#socket.terminate();
    else if (this.isOpen) this.#socket.ping();
  }

  #refuse(why: string): void {
    this.#isRefused = true;
    this.#socket.close(REFUSED, why);
  }

  async show(seen: Seen): Promise<void> {
    if ('bytes' in seen) await this.#send(seen.bytes);
    else if ('missed' in seen) await this.tell({ type: 'missed', bytes: seen.missed });
    else await this.tell({ type: 'writer', writes: seen.isWriter });
  }

  async tell(told: TerminalMessage): Promise<void> {
    await this.#send(JSON.stringify(told));
  }

  /** Resolves when the kernel has accepted the data, or the client has disconnected. */
  async #send(data: string | Uint8Array): Promise<void> {
    await new Promise((sent) => this.#socket.send(data, sent));
    this.#heard();
  }

  /** Passes input in order, and at once if none is waiting. While two messages wait, nothing more is read. */
  async #take(data: RawData, isBinary: boolean): Promise<void> {
    // A client may send more until it answers the close. That input is used, unless the client was refused.
    if (this.#isRefused) return;
    this.#heard();
    const pass = () => this.#pass(data, isBinary);
    const passed = this.#waiting === 0 ? pass() : this.#taking.then(pass);
    // If the terminal accepts no more input, its end tells the client.
    this.#taking = passed.catch(() => {});
    this.#waiting += 1;
    if (this.#waiting > 1) this.#socket.pause();
    await this.#taking;
    this.#waiting -= 1;
    if (this.#waiting === 0 && this.#socket.isPaused) this.#socket.resume();
  }

  async #pass(data: RawData, isBinary: boolean): Promise<void> {
    if (isBinary) return await this.#attachment.write(data as Buffer);
    const said = saidIn(data);
    if (said) await this.#attachment.resize(said);
    else this.#refuse('the service does not know this message');
  }
}

function saidIn(data: RawData): Said | undefined {
  try {
    const said: unknown = JSON.parse((data as Buffer).toString());
    return misfit(Said, said) === undefined ? (said as Said) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The command that connects the operator's terminal with one in a container. Input and output are passed on unchanged
 * until the program in the container has ended. When the connection breaks, it attaches again and goes on where it
 * stopped: another version of the service may have taken the host over.
 */

import type { WebSocket } from 'ws';
import { ServiceError } from '../../errors/service-error.ts';
import type { Target } from '../../packages/api-client/src/main.ts';
import { isRecord } from '../../parsing/json.ts';
import { openSocket, reopenSocket } from './client.ts';
import { makeRaw } from './raw-terminal.ts';

export interface ExecWords {
  readonly name: 'exec' | 'nodes exec';
  /** The terminal to reattach to; undefined: a new one. */
  readonly attach: string | undefined;
  readonly as: 'write' | 'take' | 'watch';
  /** The id of the container, or the name of the node; empty when reattaching. */
  readonly id: string;
  readonly command: readonly string[];
  readonly user: string | undefined;
}

/** The standard streams of the command, which may be a terminal. */
export interface Own {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly say: (line: string) => void;
}

/** The status code with which the service refuses to go on. Source: RFC 6455, 7.4.1 */
const REFUSED = 1008;
const CTRL_D = '\x04';
/** Ctrl-], pressed this many times in a row, detaches from the terminal. */
const LEAVE = 0x1d;
const TIMES = 3;
/** Signals that end the command but not the terminal. */
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;

/** @returns the exit code of the program in the terminal; 0 if it keeps running @throws {ServiceError} `operator.*` */
export async function exec(target: Target, words: ExecWords | 'host-shell', own: Own): Promise<number> {
  const { stdin, stdout } = own;
  let socket: WebSocket | undefined = await openSocket(target, pathOf(words, stdout));
  const session = new Session(own);
  const restore = stdin.isTTY ? makeRaw() : () => {};
  for (const signal of SIGNALS) process.on(signal, session.leave);
  stdout.on('resize', session.resize).on('error', session.noReader);
  stdin.on('data', session.type).on('end', session.noMore);
  try {
    while (socket && (await session.useUp(socket))) {
      const again: ReturnType<typeof reopenSocket> = reopenSocket(target, session.path);
      socket = await Promise.race([again, session.left]);
      if (!socket) void again.then((late) => late?.terminate()).catch(() => {});
    }
  } finally {
    restore();
    for (const signal of SIGNALS) process.off(signal, session.leave);
    stdout.off('resize', session.resize).off('error', session.noReader);
    stdin.off('data', session.type).off('end', session.noMore).pause();
  }
  return session.result();
}

function pathOf(words: ExecWords | 'host-shell', { columns, rows }: NodeJS.WriteStream): string {
  const query = new URLSearchParams({
    ...(columns && { columns: String(columns), rows: String(rows) }),
    ...(process.env.TERM && { type: process.env.TERM }),
  });
  if (words === 'host-shell') return `/v1/host/terminal?${query.toString()}`;
  const { name, attach, as, id, command, user } = words;
  if (attach !== undefined) return `/v1/terminals/${encodeURIComponent(attach)}/attach?as=${as}`;
  if (user) query.append('user', user);
  for (const word of command) query.append('command', word);
  const place = name === 'exec' ? 'containers' : 'nodes';
  return `/v1/${place}/${encodeURIComponent(id)}/terminal?${query.toString()}`;
}

class Session {
  readonly #own: Own;
  readonly #left = Promise.withResolvers<undefined>();
  /** Input that the connection has not accepted yet, in order. */
  readonly #typed: Buffer[] = [];
  #socket: WebSocket | undefined;
  #terminal = '';
  /** How many bytes of the whole output have arrived. */
  #place = 0;
  #writes: boolean | undefined;
  #exitCode: number | undefined;
  #isLeft = false;
  #leaving = 0;

  constructor(own: Own) {
    this.#own = own;
  }

  /** Resolves when the person leaves the terminal. */
  get left(): Promise<undefined> {
    return this.#left.promise;
  }

  /** The path by which it attaches again. */
  get path(): string {
    const as = this.#writes === false ? 'watch' : 'write';
    return `/v1/terminals/${this.#terminal}/attach?as=${as}&after=${this.#place}`;
  }

  /** Uses a connection until it closes. @returns whether to attach again */
  async useUp(socket: WebSocket): Promise<boolean> {
    this.#socket = socket;
    // A close event follows each error.
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#print(data as Buffer);
      else this.#hear(JSON.parse((data as Buffer).toString()));
    });
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    for (const bytes of this.#typed) this.#send(bytes);
    socket.resume();
    this.#own.stdin.resume();
    const code = await closed;
    const isOver = this.#exitCode !== undefined || this.#isLeft || this.#terminal === '';
    return !isOver && code !== REFUSED;
  }

  readonly type = (bytes: Buffer): void => {
    const { stdin } = this.#own;
    if (stdin.isTTY && this.#isLeaving(bytes)) this.leave();
    else this.#enter(bytes);
  };

  #enter(bytes: Buffer): void {
    const { stdin } = this.#own;
    this.#typed.push(bytes);
    if (this.#isOpen) this.#send(bytes);
    // A person may leave while there is no connection.
    if (this.#isOpen ? this.#socket?.bufferedAmount : !stdin.isTTY) stdin.pause();
  }

  get #isOpen(): boolean {
    const socket = this.#socket;
    return socket !== undefined && socket.readyState === socket.OPEN;
  }

  /** If the connection breaks, the next one sends what this one has not accepted. */
  #send(bytes: Buffer): void {
    this.#socket?.send(bytes, (error) => {
      if (error) return;
      this.#typed.splice(this.#typed.indexOf(bytes), 1);
      this.#own.stdin.resume();
    });
  }

  readonly leave = (): void => {
    this.#isLeft = true;
    this.#socket?.close();
    this.#left.resolve(undefined);
  };

  /** The output has no reader any more, so the command does not wait for the end of the terminal. */
  readonly noReader = (): void => {
    this.leave();
    this.#socket?.terminate();
  };

  readonly noMore = (): void => this.#enter(Buffer.from(CTRL_D));

  readonly resize = (): void => {
    const { columns, rows, isTTY } = this.#own.stdout;
    if (isTTY && this.#isOpen) this.#socket?.send(JSON.stringify({ type: 'resize', columns, rows }));
  };

  #isLeaving(bytes: Buffer): boolean {
    for (const byte of bytes) {
      this.#leaving = byte === LEAVE ? this.#leaving + 1 : 0;
      if (this.#leaving === TIMES) return true;
    }
    return false;
  }

  #print(bytes: Buffer): void {
    this.#place += bytes.length;
    if (this.#own.stdout.write(bytes)) return;
    this.#socket?.pause();
    this.#own.stdout.once('drain', () => this.#socket?.resume());
  }

  #hear(told: unknown): void {
    if (!isRecord(told)) return;
    if (told.type === 'attached') {
      this.#terminal = String(told.terminal);
      this.#place = Number(told.after);
    }
    if (told.type === 'missed') {
      this.#place += Number(told.bytes);
      this.#own.say(`(${Number(told.bytes)} bytes of older output are no longer available)\r`);
    }
    if (told.type === 'writer') this.#hearWriter(told.writes === true);
    if (told.type === 'ended') this.#exitCode = typeof told.exitCode === 'number' ? told.exitCode : 1;
  }

  #hearWriter(writes: boolean): void {
    // A previous client may have set another size.
    if (writes) this.resize();
    else if (this.#writes !== false) this.#own.say('(watching: your input is ignored)\r');
    this.#writes = writes;
  }

  result(): number {
    const terminal = this.#terminal;
    if (this.#exitCode !== undefined) return this.#exitCode;
    if (!this.#isLeft) throw new ServiceError('operator.terminal_cut_off', { terminal });
    this.#own.say(
      `detached; the terminal keeps running for a while: ecs-host-service exec --attach ${terminal}`,
    );
    return 0;
  }
}

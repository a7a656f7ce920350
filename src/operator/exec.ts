/**
 * The command that connects the operator's terminal with one in a container. Input and output are passed on unchanged
 * until the program in the container has ended.
 */

import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { ServiceError } from '../../errors/service-error.ts';
import type { Target } from '../../packages/api-client/src/main.ts';
import { isRecord } from '../../parsing/json.ts';
import { openSocket } from './client.ts';
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

const CTRL_D = '\x04';
/** Ctrl-], pressed this many times in a row, detaches from the terminal. */
const LEAVE = 0x1d;
const TIMES = 3;
/** Signals that end the command but not the terminal. */
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;

/** @returns the exit code of the program in the terminal; 0 if it keeps running @throws {ServiceError} `operator.*` */
export async function exec(target: Target, words: ExecWords | 'host-shell', own: Own): Promise<number> {
  const { stdin, stdout } = own;
  const socket = await openSocket(target, pathOf(words, stdout));
  const session = new Session(socket, own);
  const restore = stdin.isTTY ? makeRaw() : () => {};
  for (const signal of SIGNALS) process.on(signal, session.leave);
  stdout.on('resize', session.resize).on('error', session.noReader);
  stdin.on('data', session.type).on('end', session.noMore);
  try {
    await once(socket, 'close');
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
  readonly #socket: WebSocket;
  readonly #own: Own;
  #terminal = '';
  #exitCode: number | undefined;
  #isLeft = false;
  #leaving = 0;

  constructor(socket: WebSocket, own: Own) {
    this.#socket = socket;
    this.#own = own;
    // A close event follows each error.
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#print(data as Buffer);
      else this.#hear(JSON.parse((data as Buffer).toString()));
    });
    socket.resume();
  }

  readonly type = (bytes: Buffer): void => {
    const { stdin } = this.#own;
    if (stdin.isTTY && this.#isLeaving(bytes)) this.leave();
    else {
      this.#socket.send(bytes, () => stdin.resume());
      if (this.#socket.bufferedAmount > 0) stdin.pause();
    }
  };

  readonly leave = (): void => {
    this.#isLeft = true;
    this.#socket.close();
  };

  /** The output has no reader any more, so the end of the terminal is not awaited. */
  readonly noReader = (): void => {
    this.#isLeft = true;
    this.#socket.terminate();
  };

  readonly noMore = (): void => this.#socket.send(Buffer.from(CTRL_D));

  readonly resize = (): void => {
    const { columns, rows, isTTY } = this.#own.stdout;
    if (isTTY) this.#socket.send(JSON.stringify({ type: 'resize', columns, rows }));
  };

  #isLeaving(bytes: Buffer): boolean {
    for (const byte of bytes) {
      this.#leaving = byte === LEAVE ? this.#leaving + 1 : 0;
      if (this.#leaving === TIMES) return true;
    }
    return false;
  }

  #print(bytes: Buffer): void {
    if (this.#own.stdout.write(bytes)) return;
    this.#socket.pause();
    this.#own.stdout.once('drain', () => this.#socket.resume());
  }

  #hear(told: unknown): void {
    if (!isRecord(told)) return;
    if (told.type === 'attached') this.#terminal = String(told.terminal);
    if (told.type === 'missed')
      this.#own.say(`(${Number(told.bytes)} bytes of older output are no longer available)\r`);
    // The terminal may have had another size before.
    if (told.type === 'writer' && told.writes) this.resize();
    if (told.type === 'writer' && !told.writes) this.#own.say('(watching: your input is ignored)\r');
    if (told.type === 'ended') this.#exitCode = typeof told.exitCode === 'number' ? told.exitCode : 1;
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

/** The log of a running service: tests wait for its lines. Also the calls that a running service accepts. */

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { pathsBelow } from '../../host/paths.ts';
import { keep } from './evidence.ts';
import { call, type Reply } from './https.ts';

/** One line of the log. */
export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export abstract class ServiceLog {
  readonly lines: Line[] = [];
  /** Output that is not a line of its log. */
  readonly other: string[] = [];
  readonly port: number;
  /** For the operator's API. */
  readonly apiSocket: string;
  /** The time limit of every wait, in milliseconds. */
  protected readonly patience: number;
  readonly #waiting = new Set<() => void>();

  constructor(port: number, root: string, patience: number) {
    this.port = port;
    this.apiSocket = pathsBelow(root).apiSocket;
    this.patience = patience;
  }

  abstract get hasEnded(): boolean;

  protected read(stream: NodeJS.ReadableStream | null): void {
    if (!stream) return;
    createInterface({ input: stream }).on('line', (text) => {
      keep('log', text);
      try {
        this.lines.push(JSON.parse(text));
      } catch {
        this.other.push(text);
      }
      this.wake();
    });
  }

  protected wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when a fault that waits for SIGURG has begun to wait. */
  async waiting(): Promise<void> {
    await this.wrote('waiting');
  }

  /** Waits for output that is not a line of the log, from index `from` on. */
  async wrote(words: string, from = 0): Promise<void> {
    await this.#until(() => (this.other.includes(words, from) ? true : undefined));
  }

  /** The first matching output that is not a line of the log. */
  wroteLike(words: RegExp): Promise<string> {
    return this.#until(() => this.other.find((text) => words.test(text)));
  }

  /** The first line, from `from` on, that `matches`. Rejects if the process exits without it. */
  line(matches: (line: Line) => boolean, from = 0): Promise<Line> {
    return this.#until(() => this.lines.slice(from).find(matches));
  }

  async #until<T>(find: () => T | undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = () => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (this.hasEnded) reject(new Error(`the process exited without that line:\n${this.log()}`));
    };
    const timer = setTimeout(
      () => reject(new Error(`no such line within ${this.patience} ms:\n${this.log()}`)),
      this.patience,
    );
    this.#waiting.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  message(text: string, from = 0): Promise<Line> {
    return this.line(({ msg }) => msg === text, from);
  }

  async ready(): Promise<this> {
    await this.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats');
    return this;
  }

  /** Resolves when everything that the container owned was seen released. @param id its container id */
  async gone(id: string): Promise<void> {
    const line = await this.line(({ container, msg }) => container === id && msg === 'container is gone');
    assert.equal(line.cause, 'every resource was released');
  }

  /** What containers hold, according to the log. */
  heldByContainers(): string[] {
    const held = new Set<string>();
    for (const { msg, owner, kind, what } of this.lines) {
      const name = [owner, kind, what].join(' ');
      if (!name.includes('container')) continue;
      if (msg === 'taken') held.add(name);
      if (msg === 'gone') held.delete(name);
    }
    return [...held];
  }

  /** Resolves when containers hold nothing, according to the log. */
  async holdsNothing(): Promise<void> {
    await this.#until(() => (this.heldByContainers().length === 0 ? true : undefined));
  }

  put(path: string, body: unknown): Promise<Reply> {
    return call({ port: this.port, method: 'PUT', path, body });
  }

  get(path: string): Promise<Reply> {
    return call({ port: this.port, method: 'GET', path });
  }

  log(): string {
    return [...this.lines.map((line) => JSON.stringify(line)), ...this.other].join('\n');
  }
}

/** The WebSocket of a terminal. After a broken connection, it reconnects to the same terminal at the same place. */

import { signal } from '@preact/signals';
import type { TerminalMessage } from 'ecs-host-service-api-client';
import { answerTo, api } from '../state/api.ts';
import { lookWho, mayAct } from '../state/session.ts';

export type Phase =
  | { readonly is: 'connecting' | 'attached' | 'lost' }
  | { readonly is: 'ended'; readonly text: string };

export interface Reactions {
  readonly onBytes: (bytes: Uint8Array) => void;
  readonly onAttached: (terminal: string, columns: number, rows: number) => void;
  readonly onMissed: (bytes: number) => void;
}

export type Wanted =
  | (({ readonly container: string } | { readonly node: string }) & {
      readonly columns: number;
      readonly rows: number;
    })
  | { readonly terminal: string; readonly as: 'write' | 'watch' | 'take' };

const PAUSE = 2000;
/** Bytes of one message. The service accepts 64 KiB. */
const MOST_MESSAGE = 32 * 1024;

export class Connection {
  readonly phase = signal<Phase>({ is: 'connecting' });
  readonly writes = signal(true);
  readonly #reactions: Reactions;
  #wanted: Wanted;
  #place: number | undefined;
  #socket: WebSocket | undefined;
  #wasAttached = false;
  #isHeld = false;
  #isClosed = false;

  constructor(wanted: Wanted, reactions: Reactions) {
    this.#wanted = wanted;
    this.#reactions = reactions;
    this.#open();
  }

  type(text: string): void {
    if (this.#socket?.readyState !== WebSocket.OPEN || !this.writes.value) return;
    const bytes = new TextEncoder().encode(text);
    for (let i = 0; i < bytes.length; i += MOST_MESSAGE) this.#socket.send(bytes.slice(i, i + MOST_MESSAGE));
  }

  resize(columns: number, rows: number): void {
    if (this.#socket?.readyState === WebSocket.OPEN && this.writes.value)
      this.#socket.send(JSON.stringify({ type: 'resize', columns, rows }));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.close();
  }

  /** Stops reading, so that the service waits. A browser can slow a WebSocket down only by closing it. */
  hold(): void {
    this.#isHeld = true;
    this.#socket?.close();
  }

  /** Continues after `hold`, where the output stopped. */
  resume(): void {
    if (!this.#isHeld || this.#isClosed) return;
    this.#isHeld = false;
    this.#open();
  }

  #open(): void {
    const socket = new WebSocket(this.#address());
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === 'string') return this.#take(JSON.parse(data));
      const bytes = new Uint8Array(data);
      this.#place = (this.#place ?? 0) + bytes.length;
      this.#reactions.onBytes(bytes);
    };
    socket.onclose = () => void this.#comeBack();
  }

  #address(): URL {
    const wanted = this.#wanted;
    const path =
      'terminal' in wanted
        ? `terminals/${wanted.terminal}/attach`
        : 'node' in wanted
          ? `nodes/${wanted.node}/terminal`
          : `containers/${wanted.container}/terminal`;
    const url = new URL(`/v1/${path}`, location.origin.replace(/^http/, 'ws'));
    if (!('terminal' in wanted)) {
      url.searchParams.set('columns', String(wanted.columns));
      url.searchParams.set('rows', String(wanted.rows));
    } else {
      url.searchParams.set('as', wanted.as);
      if (this.#place !== undefined) url.searchParams.set('after', String(this.#place));
    }
    return url;
  }

  #take(told: TerminalMessage): void {
    if (told.type === 'attached') {
      this.#wasAttached = true;
      this.#place = told.after;
      const as = 'as' in this.#wanted ? this.#wanted.as : 'write';
      // A connection that took over does not take over again when it reconnects.
      this.#wanted = { terminal: told.terminal, as: as === 'take' ? 'write' : as };
      this.writes.value = as !== 'watch';
      this.phase.value = { is: 'attached' };
      this.#reactions.onAttached(told.terminal, told.columns, told.rows);
    } else if (told.type === 'writer') {
      this.writes.value = told.writes;
    } else if (told.type === 'missed') {
      this.#place = (this.#place ?? 0) + told.bytes;
      this.#reactions.onMissed(told.bytes);
    } else {
      const code = told.exitCode === undefined ? '' : ` with exit code ${told.exitCode}`;
      this.phase.value = { is: 'ended', text: `The program has exited${code}.` };
    }
  }

  async #comeBack(): Promise<void> {
    if (this.#isClosed || this.#isHeld || this.phase.value.is === 'ended') return;
    const isSignedIn = await lookWho();
    if (isSignedIn === false) return;
    const text = isSignedIn ? await this.#whyRefused() : undefined;
    if (text !== undefined) {
      this.phase.value = { is: 'ended', text };
      return;
    }
    this.phase.value = { is: 'lost' };
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (!this.#isClosed) this.#open();
  }

  /**
   * A browser does not report why a WebSocket was refused, so this function asks the API.
   * @returns undefined when a later attempt may succeed
   */
  async #whyRefused(): Promise<string | undefined> {
    const wanted = this.#wanted;
    if (!('terminal' in wanted) && !mayAct.value)
      return 'Your token can only read, so you cannot open a terminal. Watch one that is open, on the page of its container.';
    if (!('terminal' in wanted))
      return 'The terminal was refused. Check that the container runs, has a shell, and has no more terminals than TERMINALS_PER_CONTAINER.';
    try {
      const { terminals } = await answerTo(api.GET('/v1/terminals'));
      const found = terminals.find(({ id }) => id === wanted.terminal);
      if (!found) return 'This terminal has ended. Open a new one on the page of its container.';
      const isTaken = found.written && wanted.as === 'write' && !this.#wasAttached;
      return isTaken
        ? 'Somebody else types in this terminal. Watch it, or take over, on the page of its container.'
        : undefined;
    } catch {
      return undefined;
    }
  }
}

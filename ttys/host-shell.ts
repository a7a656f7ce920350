/**
 * A shell on this host, as the user that a setting names. In a hand-over it keeps running: the next service gets its
 * pseudo-terminal.
 */

import { closeSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ReadStream } from 'node:tty';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import { end, isRunning, kill, type ProcessIdentity, processesThat, sessionOf } from '../host/processes.ts';
import { descriptorOf } from '../lifetime/descriptors.ts';
import { closeOnExec } from '../uinput-native/close-on-exec.ts';
import { keepFromCredentials } from './credential-guard.ts';
import type { HandedShell } from './handed-terminal.ts';
import { type HostUser, lookUp, whyEqualToRoot } from './host-user.ts';
import type { Keep, Pty, Size } from './pty.ts';
import { Keeper } from './shell-keeper.ts';

/** The user for shells on the host. */
export interface ShellUser {
  readonly name: string;
  /** Whether a user with root's rights is allowed. */
  readonly mayBeRoot: boolean;
  /** The Docker Engine's socket. A user who can use it has root's rights. */
  readonly dockerSocket: string;
  /** Whether each shell gets a scope of systemd. */
  readonly hasScope: boolean;
}

export interface ShellOptions {
  readonly terminal: string;
  readonly user: ShellUser;
  /** The value of TERM in its environment. */
  readonly type: string;
  readonly size: Size;
}

/** What the previous service handed over. */
export interface LeftShell {
  readonly user: ShellUser;
  readonly size: Size;
  readonly shell: HandedShell;
}

/** Of its pseudo-terminal, and of its keeper's socket. */
export interface Descriptors {
  readonly connection: number;
  readonly exit: number;
}

/** The part of node-pty that needs no program. Its types leave it out, and its version is pinned. */
interface Native {
  open(
    columns: number,
    rows: number,
  ): { readonly master: number; readonly slave: number; readonly pty: string };
  resize(descriptor: number, columns: number, rows: number, width: number, height: number): void;
}

/** Milliseconds between the hang-up and the kill. */
const GRACE = 1000;
/** Milliseconds without output, after the end of the shell, while other programs have its terminal open. */
const SILENCE = 200;
/** Milliseconds between two attempts to write. Without success they double, up to the second number. */
const SOON = 1;
const LATE = 50;

export class HostShell implements Pty {
  /** The descriptor and the stream of the pseudo-terminal. The stream closes it. */
  readonly #descriptor: number;
  readonly #terminal: ReadStream;
  readonly #keeper: Keeper;
  readonly #leader: ProcessIdentity;
  /** What was read in a hand-over and is not part of the output yet. */
  #unread = Buffer.alloc(0);
  /** What was written and the terminal has not accepted. */
  #typed: Uint8Array[] = [];
  #writing: Promise<void> | undefined;
  #isOver = false;
  #isPassedOn = false;
  /** Wakes whoever waits for output. */
  #more = Promise.withResolvers<void>();

  private constructor(descriptor: number, terminal: ReadStream, keeper: Keeper, leader: ProcessIdentity) {
    this.#descriptor = descriptor;
    this.#terminal = terminal;
    this.#keeper = keeper;
    this.#leader = leader;
    terminal.on('readable', () => this.#more.resolve());
    terminal.on('close', () => this.#more.resolve());
    // When no program has the terminal open any more, reading from it fails.
    terminal.on('error', () => {});
    void keeper.exit.then(() => {
      this.#isOver = true;
      this.#more.resolve();
    });
  }

  /** @throws {ServiceError} `terminal.no_host_shell` */
  static async start({ terminal, user: wanted, type, size }: ShellOptions): Promise<HostShell> {
    const user = await permit(wanted);
    const { master, slave, pty: path } = (await native()).open(size.columns, size.rows);
    closeOnExec();
    try {
      const { hasScope } = wanted;
      const { keeper, leader } = await Keeper.start({ terminal, user, type, path, hasScope });
      return new HostShell(master, new ReadStream(master), keeper, leader);
    } catch (error) {
      closeSync(master);
      throw error;
    } finally {
      closeSync(slave);
    }
  }

  /**
   * Goes on with a shell of the previous service.
   * @param take takes its descriptors
   * @throws {ServiceError} `terminal.no_host_shell` if its user may not have a shell any more
   */
  static async takeOver({ user, size, shell }: LeftShell, take: () => Descriptors): Promise<HostShell> {
    await permit(user);
    const one = HostShell.#adopt(take(), shell.leader);
    one.#unread = Buffer.from(shell.printed, 'base64');
    if (shell.typed !== '') void one.write(Buffer.from(shell.typed, 'base64'));
    await one.resize(size);
    return one;
  }

  static #adopt({ connection, exit }: Descriptors, leader: ProcessIdentity): HostShell {
    let terminal: ReadStream | undefined;
    try {
      terminal = new ReadStream(connection);
      return new HostShell(connection, terminal, Keeper.takeOver(exit), leader);
    } catch (error) {
      if (terminal) terminal.destroy();
      else closeSync(connection);
      closeSync(exit);
      throw error;
    }
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    try {
      while (!this.#isPassedOn) {
        const bytes = this.#read();
        if (bytes) yield bytes;
        else if (this.#terminal.destroyed) return;
        else if (!(await this.#printsMore())) return;
      }
    } finally {
      this.#terminal.destroy();
    }
  }

  #read(): Buffer | null {
    const before = this.#unread;
    this.#unread = Buffer.alloc(0);
    return before.length > 0 ? before : (this.#terminal.read() as Buffer | null);
  }

  /** @returns false if the shell has ended and no other program prints */
  async #printsMore(): Promise<boolean> {
    this.#more = Promise.withResolvers();
    const more = this.#more.promise.then(() => true);
    return await (this.#isOver ? Promise.race([more, pause(SILENCE, false, { ref: false })]) : more);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#typed.push(Buffer.from(bytes));
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  /** The kernel does not say when a terminal accepts more. */
  async #writeAll(): Promise<void> {
    let wait = SOON;
    for (let [first] = this.#typed; first && this.#isOpen; [first] = this.#typed) {
      const written = writeSome(this.#descriptor, first);
      wait = written > 0 ? SOON : Math.min(2 * wait, LATE);
      if (written === first.length) this.#typed.shift();
      else {
        this.#typed[0] = first.subarray(written);
        await pause(wait, undefined, { ref: false });
      }
    }
  }

  get #isOpen(): boolean {
    return !this.#terminal.destroyed;
  }

  async resize({ columns, rows }: Size): Promise<void> {
    const pty = await native();
    if (this.#isOpen) pty.resize(this.#descriptor, columns, rows, 0, 0);
  }

  exitCode(): Promise<number | undefined> {
    return this.#keeper.exit;
  }

  async hangUp(): Promise<void> {
    if (this.#keeper.code === undefined) await endSession(this.#leader.pid);
  }

  abandon(): void {
    // When this process has ended, the kernel hangs up the terminal, unless the next service has it.
  }

  passOn(keep: Keep): boolean {
    if (this.#isOver || !this.#isOpen) return false;
    keep(this.#descriptor);
    keep(descriptorOf(this.#keeper.socket), 'exit');
    this.#isPassedOn = true;
    this.#unread = Buffer.concat([this.#unread, (this.#terminal.read() as Buffer | null) ?? Buffer.alloc(0)]);
    this.#terminal.destroy();
    this.#keeper.socket.destroy();
    return true;
  }

  get handed(): { readonly shell: HandedShell } {
    const printed = this.#unread.toString('base64');
    return { shell: { leader: this.#leader, printed, typed: Buffer.concat(this.#typed).toString('base64') } };
  }

  async seenGone(): Promise<string> {
    const { pid } = this.#leader;
    if (this.#keeper.code !== undefined) return `it ended with code ${this.#keeper.code}`;
    const left = await processesIn(pid);
    if (left.length === 0) return 'no process of its session runs';
    const why = `${left.length} processes of its session run`;
    throw new ServiceError('still.there', { what: `the shell of process ${pid}`, why });
  }
}

/** Ends a shell that a service has left. @throws {ServiceError} `still.there` */
export async function endLeftShell({ leader }: HandedShell): Promise<void> {
  if (isRunning(leader)) await endSession(leader.pid);
}

/**
 * The user's groups, and the rules that keep the user from credentials, may have changed since the last time.
 * @throws {ServiceError} `terminal.no_host_shell` if the user may have no shell
 */
async function permit({ name, mayBeRoot, dockerSocket }: ShellUser): Promise<HostUser> {
  const user = await lookUp(name);
  const why = mayBeRoot ? undefined : await whyEqualToRoot(name, dockerSocket);
  if (why !== undefined)
    throw new ServiceError('terminal.no_host_shell', { why: `${why}, and so has the same rights as root` });
  // Root can get the credentials in the same way as this service, so the guard would have no effect.
  if (Number(user.uid) !== 0) await keepFromCredentials(name, user.uid);
  return user;
}

async function native(): Promise<Native> {
  const { default: pty } = await import('node-pty');
  return (pty as unknown as { readonly native: Native }).native;
}

/** @returns how many bytes the terminal has accepted; all if nobody can read them any more */
function writeSome(descriptor: number, bytes: Uint8Array): number {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    return isSystemError(error, 'EAGAIN') ? 0 : bytes.length;
  }
}

async function endSession(session: number): Promise<void> {
  await end(await processesIn(session), GRACE, ['HUP', 'CONT']);
  // Kills processes that were forked meanwhile.
  await kill(...(await processesIn(session)));
}

function processesIn(session: number): Promise<ProcessIdentity[]> {
  return processesThat(async (pid) => sessionOf(pid) === session);
}

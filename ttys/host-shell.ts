/** A shell on this host, in a pseudo-terminal of the service, as the user that a setting names. */

import { setTimeout as pause } from 'node:timers/promises';
import type { IPty } from 'node-pty';
import { ServiceError } from '../errors/service-error.ts';
import { end, kill, processesThat, sessionOf } from '../host/processes.ts';
import { keepFromCredentials } from './credential-guard.ts';
import { lookUp, whyEqualToRoot } from './host-user.ts';
import type { Pty, Size } from './pty.ts';

/** The user for shells on the host. */
export interface ShellUser {
  readonly name: string;
  /** Whether a user with root's rights is allowed. */
  readonly mayBeRoot: boolean;
  /** The Docker Engine's socket. A user who can use it has root's rights. */
  readonly dockerSocket: string;
}

export interface ShellOptions {
  readonly user: ShellUser;
  /** The value of TERM in its environment. */
  readonly type: string;
  readonly size: Size;
}

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** Milliseconds between the hang-up and the kill. */
const GRACE = 1000;
/** Milliseconds between checks while output waits to be read. Soon after the shell ends, node-pty stops reading. */
const BETWEEN_LOOKS = 50;

/**
 * Resets the OOM score, because the programs of a shell must not be protected from the OOM killer as the service is.
 */
const BECOME = 'echo 0 2> /dev/null > /proc/self/oom_score_adj; exec setpriv "$@"';

/** The number of messages in node-pty's queue at which this stops accepting input. */
const MOST_WAITING = 16;

export class HostShell implements Pty {
  readonly #pty: IPty;
  readonly #printed: Buffer[] = [];
  readonly #exit = Promise.withResolvers<number>();
  #isOver = false;
  #more = Promise.withResolvers<void>();
  #waiting: NodeJS.Timeout | undefined;

  private constructor(pty: IPty) {
    this.#pty = pty;
    // node-pty's types declare text, but without an encoding it emits buffers.
    pty.onData((bytes: unknown) => this.#take(bytes as Buffer));
    pty.onExit(({ exitCode, signal }) => {
      this.#isOver = true;
      this.#more.resolve();
      this.#exit.resolve(signal ? 128 + signal : exitCode);
    });
  }

  /** @throws {ServiceError} `terminal.no_host_shell` */
  static async start({ user, type, size }: ShellOptions): Promise<HostShell> {
    const { uid, gid, home, shell } = await lookUp(user.name);
    // Checked at each start, because the user's groups may have changed.
    const why = user.mayBeRoot ? undefined : await whyEqualToRoot(user.name, user.dockerSocket);
    if (why !== undefined)
      throw new ServiceError('terminal.no_host_shell', { why: `${why}, and so has the same rights as root` });
    // Root can get the credentials in the same way as this service, so the guard would have no effect.
    if (Number(uid) !== 0) await keepFromCredentials(user.name, uid);
    // node-pty's own options for the user would keep root's groups.
    const become = [
      '--reuid',
      uid,
      '--regid',
      gid,
      '--init-groups',
      '--no-new-privs',
      '--reset-env',
      '--',
      shell,
      '-l',
    ];
    const { default: pty } = await import('node-pty');
    return new HostShell(
      pty.spawn('sh', ['-c', BECOME, 'setpriv', ...become], {
        name: type,
        cols: size.columns,
        rows: size.rows,
        cwd: home,
        env: { PATH },
        encoding: null,
      }),
    );
  }

  /** Handles one piece at a time, while the shell runs. */
  #take(bytes: Buffer): void {
    this.#printed.push(bytes);
    this.#more.resolve();
    this.#pty.pause();
    this.#waiting ??= setInterval(() => {
      if (sessionOf(this.#pty.pid) !== this.#pty.pid) this.#pty.resume();
    }, BETWEEN_LOOKS);
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const bytes = this.#printed.shift();
      if (bytes) yield bytes;
      else if (this.#isOver) return clearInterval(this.#waiting);
      else {
        clearInterval(this.#waiting);
        this.#waiting = undefined;
        this.#more = Promise.withResolvers();
        this.#pty.resume();
        await this.#more.promise;
      }
    }
  }

  /** node-pty gives no back-pressure and queues any amount. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#pty.write(Buffer.from(bytes));
    while (!this.#isOver && queueOf(this.#pty).length > MOST_WAITING) {
      await pause(BETWEEN_LOOKS, undefined, { ref: false });
    }
  }

  async resize({ columns, rows }: Size): Promise<void> {
    if (!this.#isOver) this.#pty.resize(columns, rows);
  }

  exitCode(): Promise<number> {
    return this.#exit.promise;
  }

  async hangUp(): Promise<void> {
    if (this.#isOver) return;
    await end(await this.#session(), GRACE, ['HUP', 'CONT']);
    // Kills processes that were forked meanwhile.
    await kill(...(await this.#session()));
  }

  abandon(): void {
    // When this process has ended, the kernel hangs up the terminal.
  }

  async seenGone(): Promise<string> {
    if (this.#isOver) return `it ended with code ${await this.#exit.promise}`;
    const left = await this.#session();
    if (left.length === 0) return 'no process of its session runs';
    const what = `the shell of process ${this.#pty.pid}`;
    throw new ServiceError('still.there', { what, why: `${left.length} processes of its session run` });
  }

  #session() {
    return processesThat(async (pid) => sessionOf(pid) === this.#pty.pid);
  }
}

/** The queue of unwritten input, an internal field of this node-pty version, which is pinned. */
function queueOf(pty: IPty): readonly unknown[] {
  return (pty as IPty & { readonly _writeStream: { readonly _writeQueue: readonly unknown[] } })._writeStream
    ._writeQueue;
}

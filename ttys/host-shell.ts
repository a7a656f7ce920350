/** A shell on this host, in a pseudo-terminal of the service's own, as a user that a setting names. */

import { setTimeout as pause } from 'node:timers/promises';
import type { IPty } from 'node-pty';
import { ServiceError } from '../errors/service-error.ts';
import { end, kill, processesThat, sessionOf } from '../host/processes.ts';
import { keepFromCredentials } from './credential-guard.ts';
import { lookUp, whyEqualToRoot } from './host-user.ts';
import type { Pty, Size } from './pty.ts';

/** As whom shells on the host are. */
export interface ShellUser {
  readonly name: string;
  /** It may be equal to root. */
  readonly mayBeRoot: boolean;
  /** Of the Docker Engine: who can use it is equal to root. */
  readonly dockerSocket: string;
}

export interface ShellOptions {
  readonly user: ShellUser;
  /** TERM of its environment. */
  readonly type: string;
  readonly size: Size;
}

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** Milliseconds from the hang-up until what runs there is killed. */
const GRACE = 1000;
/** Milliseconds between looks while what was printed waits to be read: soon after its end, node-pty reads no more. */
const BETWEEN_LOOKS = 50;

/** When the host runs out of memory, what runs in a shell is not spared as the service is. */
const BECOME = 'echo 0 2> /dev/null > /proc/self/oom_score_adj; exec setpriv "$@"';

/** Messages that wait to be written until no more are taken. */
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
    // Its types know of no other encoding than text.
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
    // The groups of a user may have changed since the start.
    const why = user.mayBeRoot ? undefined : await whyEqualToRoot(user.name, user.dockerSocket);
    if (why !== undefined)
      throw new ServiceError('terminal.no_host_shell', { why: `${why}, and so has the same rights as root` });
    // Root's way to the credentials is this service's own.
    if (Number(uid) !== 0) await keepFromCredentials(user.name, uid);
    // Not node-pty's own way to be another user: root's groups would stay.
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

  /** One piece at a time, as long as it runs. */
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

  /** node-pty does not say when more can be taken, and would take anything. */
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
    // What was forked meanwhile.
    await kill(...(await this.#session()));
  }

  abandon(): void {
    // The kernel hangs up on what runs there when this process has ended.
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

/** What waits to be written: of this version of node-pty, which is pinned. */
function queueOf(pty: IPty): readonly unknown[] {
  return (pty as IPty & { readonly _writeStream: { readonly _writeQueue: readonly unknown[] } })._writeStream
    ._writeQueue;
}

/**
 * The keeper of a shell on the host: a small process that is its parent, waits for it, and writes its exit code into a
 * socket. After a hand-over, the next service reads the exit code there, because it is no parent of the shell. If somebody
 * kills the keeper, the exit code is unknown.
 */

import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { ServiceError } from '../errors/service-error.ts';
import { identify, type ProcessIdentity } from '../host/processes.ts';
import type { HostUser } from './host-user.ts';
import { inScope } from './shell-scope.ts';

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The first program in the shell's session. The pseudo-terminal, which it opens, becomes the session's terminal. Then it
 * becomes the shell. New versions of systemd-run would expand two dollar signs, or braces behind one.
 */
const BEGIN = `
  exec 0<>"$0" 1>&0 2>&0
  read -r pid rest < /proc/self/stat
  echo "session $pid" >&3
  exec 3>&-
  cd "$1" && shift && exec setpriv "$@"`;

/** Resets the OOM score, because a shell must not be protected from the OOM killer as the service is. */
const KEEP = `
  echo 0 2> /dev/null > /proc/self/oom_score_adj
  setsid sh -c "$0" "$@" 3>&2 2> /dev/null
  echo "exit $?" >&2`;

export interface Kept {
  readonly terminal: string;
  readonly user: HostUser;
  /** The value of TERM in its environment. */
  readonly type: string;
  /** The path of its pseudo-terminal. */
  readonly path: string;
  readonly hasScope: boolean;
}

export class Keeper {
  readonly #socket: Socket;
  readonly #session = Promise.withResolvers<number | undefined>();
  readonly #exit = Promise.withResolvers<number | undefined>();
  #said = '';
  /** The exit code of the shell; undefined while it runs, and if it is unknown. */
  code: number | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#hear(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#session.resolve(undefined);
      this.#exit.resolve(this.code);
    });
  }

  /** @param descriptor what the previous service handed over @throws Error if it is no socket; it stays open then */
  static takeOver(descriptor: number): Keeper {
    return new Keeper(new Socket({ fd: descriptor }));
  }

  /**
   * Starts a shell.
   * @returns the leader of its session too
   * @throws {ServiceError} `terminal.no_host_shell`
   */
  static async start(one: Kept): Promise<{ readonly keeper: Keeper; readonly leader: ProcessIdentity }> {
    const [program = '', ...words] = wordsFor(one);
    const child = spawn(program, words, {
      cwd: '/',
      env: { PATH, TERM: one.type },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    // In a hand-over, it outlives this process.
    child.unref();
    child.on('error', () => {});
    const keeper = new Keeper(child.stderr as Socket);
    const pid = await keeper.#session.promise;
    if (pid === undefined)
      throw new ServiceError('terminal.no_host_shell', { why: `it did not start (${keeper.#said.trim()})` });
    // It may have ended already.
    return { keeper, leader: identify(pid) ?? { pid, startTime: '0' } };
  }

  /** Resolves when the shell has ended, or when nobody waits for it any more. */
  get exit(): Promise<number | undefined> {
    return this.#exit.promise;
  }

  /** What the next service needs. */
  get socket(): Socket {
    return this.#socket;
  }

  #hear(bytes: Buffer): void {
    this.#said += bytes;
    const [, session] = /^session (\d+)$/m.exec(this.#said) ?? [];
    const [, code] = /^exit (\d+)$/m.exec(this.#said) ?? [];
    if (session !== undefined) this.#session.resolve(Number(session));
    if (code === undefined) return;
    this.code = Number(code);
    this.#socket.destroy();
  }
}

/** The words that start a keeper and its shell. */
export function wordsFor({ terminal, user, path, hasScope }: Kept): string[] {
  const { uid, gid, home, shell } = user;
  // The own options of most programs that change the user would keep root's groups.
  const become = ['--reuid', uid, '--regid', gid, '--init-groups', '--no-new-privs', '--reset-env'];
  const keep = ['sh', '-c', KEEP, BEGIN, path, home, ...become, '--', shell, '-l'];
  return [...(hasScope ? inScope(terminal) : []), ...keep];
}

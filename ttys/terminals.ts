/**
 * The registry of all open terminals of this host. It limits their number, records who opened which, and ends idle
 * ones. Each terminal belongs to the lifetime of its container or of the service.
 */

import { randomBytes } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import type { Failure, Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { connectionOf, exitOf, type HandedOnHost, type HandedTerminal } from './handed-terminal.ts';
import { type Descriptors, HostShell, type ShellUser } from './host-shell.ts';
import type { Pty, Size } from './pty.ts';
import { Terminal } from './terminal.ts';

export interface TerminalLimits {
  /** The maximum on this host, and for each container or the host itself. */
  readonly all: number;
  readonly each: number;
  /** Milliseconds. */
  readonly idle: number;
  /** The user for shells on the host; undefined: no shells. */
  readonly hostUser: ShellUser | undefined;
}

/** The description of a terminal. */
export interface Opening {
  /** The id of its container; undefined: it is on the host. */
  readonly container: string | undefined;
  /** The program without its arguments, which may contain secrets. */
  readonly program: string;
  /** undefined: the default user of the container. */
  readonly user: string | undefined;
  readonly size: Size;
  /** Who opened it: an address, or the unix socket. */
  readonly by: string;
}

export interface HostRequest extends Pick<Opening, 'size' | 'by'> {
  /** The value of TERM in its environment. */
  readonly type: string;
}

export interface Open extends Omit<Opening, 'size'> {
  readonly terminal: Terminal;
  readonly end: () => Promise<readonly Failure[]>;
  /** Ends its lifetime without ending its programs. */
  readonly leave: (why: Error) => Promise<unknown>;
}

/** The name of the lifetime of a shell. */
const ON_HOST = 'terminal on the host';

/** Keeps the descriptor of a connection open beyond this process. */
type KeepNamed = (name: string, descriptor: number) => void;

export class Terminals {
  readonly left: Promise<void>;
  readonly #limits: TerminalLimits;
  readonly #log: Logger;
  readonly #open = new Map<string, Open>();
  /** The places of terminals that are being opened: the container's id, or undefined for the host. */
  readonly #opening: (string | undefined)[] = [];
  /** How terminals are handed over; undefined until that begins. */
  #keep: KeepNamed | undefined;

  /** @param left resolves when the terminals of the previous service are taken over */
  constructor(limits: TerminalLimits, log: Logger, left: Promise<void> = Promise.resolve()) {
    this.#limits = limits;
    this.#log = log;
    this.left = left;
  }

  /**
   * Opens a shell on the host.
   * @param parent the terminal ends at the latest with this lifetime
   * @throws {ServiceError} `terminal.no_host_shell`, `terminal.too_many`
   */
  async openOnHost(parent: Lifetime, { size, type, by }: HostRequest): Promise<Terminal> {
    const user = this.#limits.hostUser;
    if (user === undefined)
      throw new ServiceError('terminal.no_host_shell', { why: 'no user is configured for it' });
    const opening = { container: undefined, program: 'shell', user: user.name, size, by };
    return await this.open(parent.child(ON_HOST), opening, (terminal) =>
      HostShell.start({ terminal, user, type, size }),
    );
  }

  /**
   * Goes on with a shell of the previous service.
   * @param take takes its descriptors
   * @throws {ServiceError} `terminal.no_host_shell` if its user may not have a shell any more
   */
  async takeOverOnHost(parent: Lifetime, left: HandedOnHost, take: () => Descriptors): Promise<void> {
    const user = this.#limits.hostUser;
    if (user?.name !== left.user)
      throw new ServiceError('terminal.no_host_shell', { why: `no shell is for ${left.user} any more` });
    const { size, shell } = left;
    await this.takeOver(parent.child(ON_HOST), left, () => HostShell.takeOver({ user, size, shell }, take));
  }

  /** Whether a client is attached to a terminal of the container. */
  isAnyoneIn(id: string): boolean {
    return this.list().some(({ container, terminal }) => container === id && terminal.attached > 0);
  }

  list(): readonly Open[] {
    return [...this.#open.values()];
  }

  /** Finds a terminal for a client that will attach. @throws {ServiceError} `terminal.unknown` */
  async find(id: string, by: string): Promise<Terminal> {
    await this.left;
    const { terminal } = this.#named(id);
    this.#log.info({ terminal: id, by }, 'a client attached to a terminal');
    return terminal;
  }

  /**
   * Ends a terminal and all its processes.
   * @returns the ended terminal
   * @throws {ServiceError} `terminal.unknown`, `still.there`
   */
  async end(id: string): Promise<Open> {
    await this.left;
    const open = this.#named(id);
    const [failure] = await open.end();
    if (failure) throw failure.error;
    return open;
  }

  #named(id: string): Open {
    const open = this.#open.get(id);
    if (!open) throw new ServiceError('terminal.unknown', { id });
    return open;
  }

  /**
   * @param lifetime one for this terminal only; it ends with the terminal
   * @param start starts the program
   * @throws {ServiceError} `terminal.too_many`, and what `start` throws
   */
  async open(
    lifetime: Lifetime,
    { size, ...opening }: Opening,
    start: (id: string, signal: AbortSignal) => Promise<Pty>,
  ): Promise<Terminal> {
    const id = randomBytes(8).toString('hex');
    try {
      this.#throwIfTooMany(opening.container);
      this.#opening.push(opening.container);
      const pty = await this.#hold(lifetime, id, (signal) => start(id, signal)).finally(() =>
        this.#opening.splice(this.#opening.indexOf(opening.container), 1),
      );
      const terminal = this.#begin(lifetime, opening, new Terminal(id, pty, size));
      if (this.#keep) this.#passOn(terminal, this.#keep);
      return terminal;
    } catch (error) {
      await lifetime.end();
      throw error;
    }
  }

  /**
   * Continues a terminal of the previous service.
   * @param lifetime as for `open`
   * @param take takes its connection
   * @throws what `take` throws
   */
  async takeOver(lifetime: Lifetime, left: HandedTerminal, take: () => Pty | Promise<Pty>): Promise<void> {
    const { id, program, user, by, size } = left;
    const container = 'container' in left ? left.container : undefined;
    try {
      const pty = await this.#hold(lifetime, id, take);
      const terminal = new Terminal(id, pty, size, left);
      this.#begin(lifetime, { container, program, user, by }, terminal, 'terminal taken over');
    } catch (error) {
      await lifetime.end();
      throw error;
    }
  }

  async #hold(
    lifetime: Lifetime,
    what: string,
    take: (signal: AbortSignal) => Pty | Promise<Pty>,
  ): Promise<Pty> {
    return await lifetime.acquire({
      kind: 'terminal',
      what,
      take,
      release: (one) => one.hangUp(),
      seenGone: (one) => one.seenGone(),
      leave: (one) => one.abandon(),
    });
  }

  /** Stops all terminals, including those that open later, so that the next service can continue them. */
  passOn(keep: KeepNamed): void {
    this.#keep = keep;
    for (const { terminal } of this.list()) this.#passOn(terminal, keep);
  }

  #passOn(terminal: Terminal, keep: KeepNamed): void {
    const { id } = terminal;
    terminal.passOn((descriptor, exit) => keep(exit ? exitOf(id) : connectionOf(id), descriptor));
  }

  /** The data of the terminals that the next service continues. */
  async handed(): Promise<HandedTerminal[]> {
    return await Promise.all(
      this.#passedOn.map(async ({ terminal, container, program, user, by }) => {
        const where = { ...(container !== undefined && { container }), ...(user !== undefined && { user }) };
        return { ...(await terminal.handed()), ...where, program, by } as HandedTerminal;
      }),
    );
  }

  /** Leaves them to the next service. */
  async leave(why: Error): Promise<void> {
    const leave = async (open: Open) => {
      this.#open.delete(open.terminal.id);
      await open.leave(why);
    };
    await Promise.all(this.#passedOn.map(leave));
  }

  get #passedOn(): readonly Open[] {
    return this.list().filter(({ terminal }) => terminal.isPassedOn);
  }

  #throwIfTooMany(container: string | undefined): void {
    const places = [...this.list().map((open) => open.container), ...this.#opening];
    const { all, each } = this.#limits;
    if (places.length >= all) {
      throw new ServiceError('terminal.too_many', { place: 'this host', most: all, setting: 'TERMINALS' });
    }
    if (places.filter((place) => place === container).length >= each) {
      const place = container === undefined ? 'the host itself' : `the container ${container}`;
      throw new ServiceError('terminal.too_many', { place, most: each, setting: 'TERMINALS_PER_CONTAINER' });
    }
  }

  #begin(
    lifetime: Lifetime,
    what: Omit<Opening, 'size'>,
    terminal: Terminal,
    message = 'terminal opened',
  ): Terminal {
    const { id } = terminal;
    const end = () => lifetime.end();
    const open: Open = { ...what, terminal, end, leave: (why) => lifetime.leave(why) };
    const log = this.#log.child({ terminal: id, ...what });
    log.info(message);
    this.#open.set(id, open);
    const timer = this.#endWhenIdle(open, log);
    const forget = (exitCode?: number) => {
      clearTimeout(timer.current);
      if (!this.#open.delete(id)) return;
      log.info({ exitCode, seconds: secondsSince(terminal.began) }, 'terminal ended');
    };
    lifetime.signal.addEventListener('abort', () => forget());
    void terminal.ended.then(async (exitCode) => {
      forget(exitCode);
      await end();
    });
    return terminal;
  }

  #endWhenIdle({ terminal, end }: Open, log: Logger): { current: NodeJS.Timeout | undefined } {
    const timer: { current: NodeJS.Timeout | undefined } = { current: undefined };
    const look = () => {
      const left = this.#limits.idle - terminal.idle;
      if (left > 0) timer.current = setTimeout(look, left).unref();
      else {
        log.warn('ending an idle terminal');
        void end();
      }
    };
    look();
    return timer;
  }
}

function secondsSince(moment: Date): number {
  return Math.round((Date.now() - moment.getTime()) / 1000);
}

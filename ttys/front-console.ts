/**
 * The console in front. The kernel sends the keys of every keyboard to it, those of containers too, and a container
 * can ask for its own console to be in front. So the service keeps one of its own there: its keyboard mode is off,
 * and the lock forbids every switch, also the one that a program asks for by an escape sequence.
 *
 * All of it is the kernel's state and outlives the process: while claimed containers live on after a death, nothing
 * changes.
 */

import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Entry } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { addon, type ConsoleControl } from '../uinput-native/addon.ts';

/**
 * Below the consoles of containers, and above those that systemd-logind starts login prompts on, which would turn the
 * keyboard on again. Source: NAutoVTs in logind.conf(5).
 */
const CANDIDATES = [9, 8, 7];
const LAST_OF_HOST = 9;
/** Keyboard modes. Source: the kernel's kd.h. */
const K_UNICODE = 3;
const K_OFF = 4;
/** Milliseconds that the kernel gets to bring a console to the front, and between looks. */
const PATIENCE = 5000;
const BETWEEN_LOOKS = 10;

const KIND = 'front console';

/** N of /dev/ttyN: the service's, and the one that was in front before. */
export interface FrontConsole {
  readonly own: number;
  readonly before: number;
}

/** What a dead service left in front, by what it held. */
export function frontConsoleIn(entries: readonly Entry[]): FrontConsole | undefined {
  const { what = '' } = entries.find(({ kind }) => kind === KIND) ?? {};
  const [, own, before] = /^tty(\d+) instead of tty(\d+)$/.exec(what) ?? [];
  return own === undefined ? undefined : { own: Number(own), before: Number(before) };
}

/**
 * Keeps a console in front until the lifetime ends; one that is left stays in front.
 * @param left what a dead service left in front, which is kept without a gap
 * @throws Error that says why it cannot be
 */
export async function holdFrontConsole(lifetime: Lifetime, left?: FrontConsole): Promise<FrontConsole> {
  const console = left ?? choose();
  await lifetime.acquire({
    kind: KIND,
    what: `tty${console.own} instead of tty${console.before}`,
    take: () => bringToFront(console),
    release: async (held) => {
      held.close();
      await giveBackFrontConsole(console);
    },
    seenGone: () => {
      using current = new Console(0);
      return `tty${current.active} is in the foreground`;
    },
    leave: (held) => held.close(),
  });
  return console;
}

/** Undoes it; the same again does no harm. @throws Error when the console from before does not come to the front */
export async function giveBackFrontConsole({ own, before }: FrontConsole): Promise<void> {
  using console = new Console(own);
  console.control('unlock');
  if (console.active === own) await console.bringToFront(before);
  console.control('keyboard mode', K_UNICODE);
}

/** @throws Error when there is none, or every candidate is in use */
function choose(): FrontConsole {
  using current = new Console(0);
  const own = CANDIDATES.find((n) => !current.isInUse(n));
  if (own === undefined) throw new Error('/dev/tty7, /dev/tty8 and /dev/tty9 are all in use');
  // A container's, where no service has kept one in front, is not brought back: the container will have gone.
  return { own, before: current.active <= LAST_OF_HOST ? current.active : 1 };
}

/** @returns the console, open, so that no other program takes it for a free one */
async function bringToFront({ own, before }: FrontConsole): Promise<Console> {
  const console = new Console(own);
  try {
    console.control('keyboard mode', K_OFF);
    // Locked first and looked at then: a switch that a container asked for may have come in between.
    for (console.control('lock'); console.active !== own; console.control('lock')) {
      console.control('unlock');
      await console.bringToFront(own);
    }
    return console;
  } catch (error) {
    console.close();
    await giveBackFrontConsole({ own, before }).catch(() => {});
    throw error;
  }
}

class Console implements Disposable {
  readonly #fd: number;
  #isOpen = true;

  /** @param n of /dev/ttyN; 0: the one in front */
  constructor(n: number) {
    this.#fd = openSync(`/dev/tty${n}`, constants.O_RDWR | constants.O_NOCTTY);
  }

  /** N of the /dev/ttyN in front. */
  get active(): number {
    return addon().consoleState(this.#fd)[0];
  }

  isInUse(n: number): boolean {
    return (addon().consoleState(this.#fd)[1] & (1 << n)) !== 0;
  }

  control(control: ConsoleControl, number = 0): void {
    addon().controlConsole(this.#fd, control, number);
  }

  /** @throws Error when it does not come: the program of the one in front can refuse that, as X servers can */
  async bringToFront(n: number): Promise<void> {
    this.control('activate', n);
    for (const late = AbortSignal.timeout(PATIENCE); this.active !== n; await pause(BETWEEN_LOOKS)) {
      if (late.aborted) throw new Error(`the kernel does not switch from /dev/tty${this.active} to /dev/tty${n}`);
    }
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Keeps a console of the service in the foreground. The kernel sends the keys of every keyboard, including those of
 * containers, to the foreground console, and a container can request that its own console comes to the foreground. So
 * the service puts its own console there, turns off its keyboard mode, and locks the consoles. The lock also blocks
 * switches that a program requests with an escape sequence.
 *
 * All of this is kernel state that outlives the process, so it protects the containers that keep running after a crash.
 */

import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Entry } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { addon, type ConsoleControl } from '../uinput-native/addon.ts';

/**
 * The consoles below those of containers, and above those on which systemd-logind starts login prompts. A login prompt
 * would turn the keyboard on again. Source: NAutoVTs in logind.conf(5).
 */
const CANDIDATES = [9, 8, 7];
const LAST_OF_HOST = 9;
/** Keyboard modes. Source: the kernel's kd.h. */
const K_UNICODE = 3;
const K_OFF = 4;
/** In milliseconds: the time limit for a console switch, and the pause between checks. */
const PATIENCE = 5000;
const BETWEEN_LOOKS = 10;

const KIND = 'front console';

/** N of /dev/ttyN: of the service's console, and of the one that was in the foreground before. */
export interface FrontConsole {
  readonly own: number;
  readonly before: number;
}

/** The console that a crashed service left in the foreground, according to its ledger. */
export function frontConsoleIn(entries: readonly Entry[]): FrontConsole | undefined {
  const { what = '' } = entries.find(({ kind }) => kind === KIND) ?? {};
  const [, own, before] = /^tty(\d+) instead of tty(\d+)$/.exec(what) ?? [];
  return own === undefined ? undefined : { own: Number(own), before: Number(before) };
}

/**
 * Keeps a console in the foreground until the lifetime ends.
 * @param left the console that a crashed service left in the foreground, which is kept without a gap
 * @throws Error that says why it is not possible
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

/**
 * Undoes the switch. Calling it again has no effect.
 * @throws Error when the previous console does not come to the foreground
 */
export async function giveBackFrontConsole({ own, before }: FrontConsole): Promise<void> {
  using console = new Console(own);
  console.control('unlock');
  if (console.active === own) await console.bringToFront(before);
  console.control('keyboard mode', K_UNICODE);
}

/** @throws Error when no candidate exists, or all are in use */
function choose(): FrontConsole {
  using current = new Console(0);
  const own = CANDIDATES.find((n) => !current.isInUse(n));
  if (own === undefined) throw new Error('/dev/tty7, /dev/tty8 and /dev/tty9 are all in use');
  // If the previous console is a container's, it is not restored, because the container will have ended.
  return { own, before: current.active <= LAST_OF_HOST ? current.active : 1 };
}

/** @returns the open console; while it is open, other programs do not consider it free */
async function bringToFront({ own, before }: FrontConsole): Promise<Console> {
  const console = new Console(own);
  try {
    console.control('keyboard mode', K_OFF);
    // Locks before it checks, because a switch that a container requested may happen in between.
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

  /** @param n of /dev/ttyN; 0: the foreground console */
  constructor(n: number) {
    this.#fd = openSync(`/dev/tty${n}`, constants.O_RDWR | constants.O_NOCTTY);
  }

  /** N of the /dev/ttyN in the foreground. */
  get active(): number {
    return addon().consoleState(this.#fd)[0];
  }

  isInUse(n: number): boolean {
    return (addon().consoleState(this.#fd)[1] & (1 << n)) !== 0;
  }

  control(control: ConsoleControl, number = 0): void {
    addon().controlConsole(this.#fd, control, number);
  }

  /**
   * @throws Error when the switch does not happen: the program on the foreground console can refuse it, as X servers do
   */
  async bringToFront(n: number): Promise<void> {
    this.control('activate', n);
    for (const late = AbortSignal.timeout(PATIENCE); this.active !== n; await pause(BETWEEN_LOOKS)) {
      if (late.aborted)
        throw new Error(`the kernel does not switch from /dev/tty${this.active} to /dev/tty${n}`);
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

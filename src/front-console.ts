/** Holds the service's console in the foreground, which keeps containers' keys apart, and gives it back. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Page } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { frontConsoleIn, giveBackFrontConsole, holdFrontConsole } from '../ttys/front-console.ts';
import { Ttys } from '../ttys/ttys.ts';
import { pageIn } from './reporting.ts';

interface Options {
  /** Pages that a crashed service left. */
  readonly left: readonly Page[];
  readonly log: Logger;
}

/**
 * @param lifetime if containers keep running, it is left to the next process, because they must stay apart
 * @throws {ServiceError} `start.no_front_console`
 */
export async function keepFrontConsole(
  lifetime: Lifetime,
  setting: Settings['FRONT_CONSOLE'],
  { left, log }: Options,
): Promise<void> {
  if (setting === 'leave') {
    await giveBackLeft(left);
    log.warn('FRONT_CONSOLE=leave: a container can read the keys that are typed in other containers');
    return;
  }
  if ((await Ttys.ofThisHost()).use.size === 0) {
    log.info('this host has no consoles for containers, so the service keeps none in the foreground');
    return;
  }
  try {
    const { own } = await holdFrontConsole(lifetime, foundIn(left));
    log.info({ tty: own }, 'keeping a console of the service in the foreground');
  } catch (error) {
    throw new ServiceError('start.no_front_console', { why: messageOf(error) }, { cause: error });
  }
}

/** Gives back the console that a crashed service left in the foreground. Can be repeated. */
export async function giveBackLeft(pages: readonly Page[]): Promise<void> {
  const left = foundIn(pages);
  if (left) await giveBackFrontConsole(left);
}

function foundIn(pages: readonly Page[]) {
  return frontConsoleIn(pageIn(pages)?.entries ?? []);
}

/**
 * After the last cleanup, the process exits because its event loop is empty. A handle that is still open would keep it
 * alive forever. Such a handle is a bug: it is logged by name and unreferenced.
 */

import { createHook } from 'node:async_hooks';
import type { Logger } from '../../logging/logger.ts';

/** The common part of handles and timers. */
interface Handle {
  readonly fd?: number;
  hasRef?(): boolean;
  /** Set on a timer that has ended, which the hook learns only later. */
  readonly _destroyed?: boolean;
  unref?(): unknown;
}

/** Node's list of open handles, which is not public. It does not contain the timers. */
const node = process as unknown as { _getActiveHandles(): (Handle & Described)[] };

export class OpenHandles {
  readonly #timers = new Map<number, Handle & Described>();

  constructor() {
    const timers = this.#timers;
    createHook({
      init: (id, type, _, timer) => {
        if (type === 'Timeout') timers.set(id, timer as Handle & Described);
      },
      destroy: (id) => {
        timers.delete(id);
      },
      trackPromises: false,
    } as Parameters<typeof createHook>[0]).enable();
  }

  /** Unreferences everything that keeps the process alive, and returns the number of handles. */
  letGo(log: Logger): number {
    const handles = node._getActiveHandles().filter(({ fd }) => fd === undefined || fd > 2);
    const timers = [...this.#timers.values()].filter(({ _destroyed }) => !_destroyed);
    const left = [...handles, ...timers].filter((handle) => handle.hasRef?.() ?? true);
    for (const handle of left) {
      log.error({ handle: nameOf(handle) }, 'a handle still keeps the process alive; exiting without it');
      handle.unref?.();
    }
    return left.length;
  }
}

/** The properties by which handles can be described. */
interface Described {
  readonly _idleTimeout?: number;
  readonly _onTimeout?: { readonly name: string };
  readonly spawnfile?: string;
  readonly pid?: number;
  address?(): unknown;
}

function nameOf(handle: Described): string {
  const { name } = handle.constructor;
  if (handle._onTimeout)
    return `${name} of ${handle._idleTimeout} ms, ${handle._onTimeout.name || 'anonymous'}`;
  if (handle.address) return `${name} ${JSON.stringify(handle.address())}`;
  if (handle.spawnfile) return `${name} ${handle.spawnfile} (pid ${handle.pid})`;
  return name;
}

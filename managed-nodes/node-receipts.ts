/**
 * Writes a receipt for each container of a node that the service removes. It says when the container was created,
 * started and ended, how it ended, and why it was removed. A receipt is a line of the log and a file. If it cannot be
 * written, no step is delayed.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf } from '../errors/service-error.ts';
import { writeFileAtomically } from '../host/atomic-file.ts';
import { makeWithParents } from '../host/directories.ts';
import { removeOldest } from '../host/old-files.ts';
import type { Logger } from '../logging/logger.ts';
import { decide } from './plan/decide.ts';
import type { Outcome } from './plan/effects.ts';
import type { Step, World } from './plan/world.ts';

/** All times are in ISO 8601. */
export interface NodeReceipt {
  readonly node: string;
  readonly container: string;
  /** The image from which it was created, with its digest. */
  readonly image: string;
  readonly created: string;
  /** The last start. Left out if it never started. */
  readonly started?: string;
  /** The last end. Left out if it never ended by itself or by a stop. */
  readonly ended?: string;
  readonly exitCode?: number;
  /** How often Docker restarted it after an exit. */
  readonly restarts: number;
  readonly removed: string;
  /** Why it was removed. */
  readonly cause: string;
  /** The container that took its place. */
  readonly successor?: string;
}

type CarryOut = (step: Step, world: World, signal: AbortSignal) => Promise<Outcome>;

export interface NodeReceiptsOptions {
  readonly docker: Pick<Docker, 'call'>;
  /** The directory of the files. */
  readonly directory: string;
  readonly log: Logger;
}

/** The number of files that are kept. */
const MOST_FILES = 1000;
/** Time limit for an inspection, in milliseconds. */
const LOOK = 10_000;
const SHORT = 12;
/** Docker's timestamp for something that has not happened. */
const NEVER = /^0001-/;

export class NodeReceipts {
  readonly #options: NodeReceiptsOptions;

  constructor(options: NodeReceiptsOptions) {
    this.#options = options;
  }

  /** @returns `carryOut` with a receipt after each removal */
  around(carryOut: CarryOut): CarryOut {
    return async (step, world, signal) => {
      const begun = step.do === 'remove' ? await this.#begin(step.node, step.container, world) : undefined;
      const outcome = await carryOut(step, world, signal);
      if (begun) await this.#write({ ...begun, removed: new Date().toISOString() });
      return outcome;
    };
  }

  /** @returns the receipts of a node's containers, the newest removal first */
  async of(node: string): Promise<NodeReceipt[]> {
    const { directory } = this.#options;
    const names = await readdir(directory).catch(() => []);
    const own = names.filter((name) => name.startsWith(`${node}.`) && name.endsWith('.json'));
    const texts = await Promise.all(own.map((name) => readFile(join(directory, name), 'utf8')));
    const found: NodeReceipt[] = texts.map((text) => JSON.parse(text));
    return found.sort((a, b) => b.removed.localeCompare(a.removed));
  }

  /** @returns undefined if Docker does not know the container any more */
  async #begin(node: string, container: DockerId, world: World) {
    const { docker, log } = this.#options;
    try {
      const found = await docker.call('inspect', LOOK, (abortSignal, api) =>
        api.getContainer(container).inspect({ abortSignal }),
      );
      const { Running, StartedAt, FinishedAt, ExitCode } = found.State;
      const hasEnded = !Running && !NEVER.test(FinishedAt);
      const successor = world.actual.containers.find((one) => one.node === node && one.id !== container);
      return {
        node,
        container,
        image: found.Config.Image,
        created: found.Created,
        ...(!NEVER.test(StartedAt) && { started: StartedAt }),
        ...(hasEnded && { ended: FinishedAt, exitCode: ExitCode }),
        restarts: found.RestartCount,
        cause: decide(world, node)?.cause ?? 'its node is gone',
        ...(successor && { successor: successor.id }),
      };
    } catch (error) {
      log.warn({ node, container, why: messageOf(error) }, 'could not make the receipt of a node');
      return undefined;
    }
  }

  async #write(receipt: NodeReceipt): Promise<void> {
    const { directory, log } = this.#options;
    const { node, container } = receipt;
    log.info({ receipt }, 'receipt of a container of a node');
    try {
      await makeWithParents(directory, 0o700);
      const path = join(directory, `${node}.${container.slice(0, SHORT)}.json`);
      await writeFileAtomically(path, `${JSON.stringify(receipt, null, 2)}\n`, 0o600);
      await removeOldest(directory, MOST_FILES);
    } catch (error) {
      log.warn({ node, container, why: messageOf(error) }, 'could not write the receipt of a node');
    }
  }
}

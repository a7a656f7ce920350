/**
 * What was begun in a terminal of a container. Docker cannot end what it has executed in a container, and leaves it
 * running when nobody looks any more; so it is found and ended here. It belongs to a terminal when it is in its session, or
 * was given its id in the environment, and is in the container, which the kernel says: what a container pretends about its own
 * processes can only be to their harm.
 */

import { readFile } from 'node:fs/promises';
import { ServiceError } from '../errors/service-error.ts';
import {
  end,
  hasVariable,
  kill,
  type ProcessIdentity,
  processesThat,
  sessionOf,
  variablesOf,
} from '../host/processes.ts';
import type { DockerId } from './docker-id.ts';

/** Has the id of a terminal in the environment of what runs in it. */
export const TERMINAL = 'ECS_HOST_SERVICE_TERMINAL';
/** Milliseconds from the hang-up until it is killed. */
const GRACE = 1000;
/** How often it is looked for what was forked meanwhile. */
const ROUNDS = 10;

export interface OfTerminal {
  readonly dockerId: DockerId;
  readonly terminal: string;
  /** undefined: not known. */
  readonly session: number | undefined;
}

export async function processesOf({ dockerId, terminal, session }: OfTerminal): Promise<ProcessIdentity[]> {
  return await processesThat(async (pid) => {
    if (!(await isIn(dockerId, pid))) return false;
    return sessionOf(pid) === session || (await hasVariable(pid, `${TERMINAL}=${terminal}`));
  });
}

/** @throws {ServiceError} `still.there` */
export async function hangUp(one: OfTerminal): Promise<void> {
  await end(await processesOf(one), GRACE, ['HUP', 'CONT']);
  await killAll(() => processesOf(one), `what runs in the terminal ${one.terminal}`);
}

/** Ends what a dead service's terminals have left in a container. @throws {ServiceError} `still.there` */
export async function killLeft(dockerId: DockerId): Promise<void> {
  await killAll(() => leftIn(dockerId), `what ran in terminals of the container ${dockerId}`);
}

/** With what is forked meanwhile. */
async function killAll(find: () => Promise<readonly ProcessIdentity[]>, what: string): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    const left = await find();
    if (left.length === 0) return;
    await kill(...left);
  }
  throw new ServiceError('still.there', { what, why: 'it forks' });
}

function leftIn(dockerId: DockerId): Promise<ProcessIdentity[]> {
  return processesThat(async (pid) => {
    if (!(await isIn(dockerId, pid))) return false;
    return (await variablesOf(pid)).some((variable) => variable.startsWith(`${TERMINAL}=`));
  });
}

/** Docker names the control groups of a container by its id. */
async function isIn(dockerId: DockerId, pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')).includes(dockerId);
}

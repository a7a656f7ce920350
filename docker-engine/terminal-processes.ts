/**
 * Ends the processes of a terminal in a container. Docker cannot end a program that it has executed in a container, and
 * keeps it running when its client disconnects. A process belongs to a terminal if it is in the terminal's session or
 * has the terminal's id in its environment, and if the kernel shows that it is in the container. If a container's
 * processes fake these properties, they only harm themselves.
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

/** The variable with the id of the terminal, in the environment of its programs. */
export const TERMINAL = 'ECS_HOST_SERVICE_TERMINAL';
/** Milliseconds between the hang-up and the kill. */
const GRACE = 1000;
/** How often this searches for processes that were forked meanwhile. */
const ROUNDS = 10;

export interface OfTerminal {
  readonly dockerId: DockerId;
  readonly terminal: string;
  /** undefined: unknown. */
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

/**
 * Ends the processes that an earlier service's terminals left in containers. All containers are searched at once,
 * because the host may have thousands of processes.
 * @param spared the ids of terminals that go on
 * @throws {ServiceError} `still.there`
 */
export async function killLeft(dockerIds: readonly DockerId[], spared: ReadonlySet<string>): Promise<void> {
  if (dockerIds.length > 0)
    await killAll(() => leftIn(dockerIds, spared), 'what ran in terminals of an earlier service');
}

/** Repeats the search, because processes may fork meanwhile. */
async function killAll(find: () => Promise<readonly ProcessIdentity[]>, what: string): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    const left = await find();
    if (left.length === 0) return;
    await kill(...left);
  }
  throw new ServiceError('still.there', { what, why: 'it forks' });
}

function leftIn(dockerIds: readonly DockerId[], spared: ReadonlySet<string>): Promise<ProcessIdentity[]> {
  const name = `${TERMINAL}=`;
  return processesThat(async (pid) => {
    const groups = await groupsOf(pid);
    if (!dockerIds.some((id) => groups.includes(id))) return false;
    const [variable] = (await variablesOf(pid)).filter((one) => one.startsWith(name));
    return variable !== undefined && !spared.has(variable.slice(name.length));
  });
}

/** Docker includes the container's id in the name of its control group. */
async function isIn(dockerId: DockerId, pid: number): Promise<boolean> {
  return (await groupsOf(pid)).includes(dockerId);
}

async function groupsOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
}

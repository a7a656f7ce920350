/**
 * Handles processes that are not children of this one. An id alone does not identify a process, because the kernel
 * reuses ids. An id together with the start time does.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';

/** Milliseconds between checks whether a process has ended. */
const BETWEEN_LOOKS = 20;
/** Milliseconds within which a killed process ends, unless it hangs in the kernel. */
const LAST = 5000;

/**
 * The maximum of bytes that are read of a process's arguments or environment. With prctl(2), a process can make them
 * gigabytes long.
 */
const MOST_WORDS = 2 ** 20;

export type Signal = 'TERM' | 'KILL' | 'HUP' | 'CONT';

export interface ProcessIdentity {
  readonly pid: number;
  /** In the kernel's clock ticks since boot. */
  readonly startTime: string;
}

/** @returns undefined if there is no such process, or if it has ended. Source: proc_pid_stat(5), fields 3 and 22 */
export function identify(pid: number): ProcessIdentity | undefined {
  const [state = 'X', ...fields] = statOf(pid);
  const startTime = fields[18];
  return startTime === undefined || 'ZX'.includes(state) ? undefined : { pid, startTime };
}

/** The session of a process, which is the id of its leader. Source: proc_pid_stat(5), field 6 */
export function sessionOf(pid: number): number {
  return Number(statOf(pid)[3]);
}

/** The fields from field 3 on. */
function statOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  // Field 2 is the name of the process and may contain any characters.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  return identify(pid)?.startTime === startTime;
}

/**
 * Finds processes with this environment variable in the host's network namespace. It skips processes in other network
 * namespaces, because a container chooses its environment and command line freely.
 * @param variable `NAME=value`
 * @param word a word that the command line must contain
 */
export async function findProcesses(variable: string, word?: string): Promise<ProcessIdentity[]> {
  const network = await readlink('/proc/self/ns/net');
  return await processesThat(async (pid) => {
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) !== network) return false;
    if (word !== undefined && !(await wordsIn(`/proc/${pid}/cmdline`)).includes(word)) return false;
    return await hasVariable(pid, variable);
  });
}

/** Whether the process has this variable, given as `NAME=value`, in its environment. */
export async function hasVariable(pid: number, variable: string): Promise<boolean> {
  return (await variablesOf(pid)).includes(variable);
}

/** The environment of a process, each variable as `NAME=value`; empty if the process has ended. */
export function variablesOf(pid: number): Promise<string[]> {
  return wordsIn(`/proc/${pid}/environ`);
}

export async function processesThat(fit: (pid: number) => Promise<boolean>): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  // Sequentially, because thousands of open files at a time would be too many.
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const one = (await fit(pid)) ? identify(pid) : undefined;
    if (one) found.push(one);
  }
  return found;
}

/** @throws {ServiceError} `still.there` */
export async function kill(...all: readonly ProcessIdentity[]): Promise<void> {
  await send('KILL', all);
  const [left] = await leftAfter(LAST, all);
  if (left)
    throw new ServiceError('still.there', {
      what: `process ${left.pid}`,
      why: 'it was killed, but it still runs',
    });
}

/**
 * Sends SIGTERM, and SIGKILL to the processes that are left after `milliseconds`. Returns when all have ended.
 * @returns whether any was killed
 * @throws as `kill`
 */
export async function end(
  all: readonly ProcessIdentity[],
  milliseconds: number,
  by: readonly Signal[] = ['TERM'],
): Promise<boolean> {
  for (const signal of by) await send(signal, all);
  const left = await leftAfter(milliseconds, all);
  await kill(...left);
  return left.length > 0;
}

async function leftAfter(
  milliseconds: number,
  all: readonly ProcessIdentity[],
): Promise<readonly ProcessIdentity[]> {
  const late = performance.now() + milliseconds;
  for (let left = all.filter(isRunning); ; left = left.filter(isRunning)) {
    if (left.length === 0 || performance.now() > late) return left;
    await pause(BETWEEN_LOOKS);
  }
}

/** Skips processes that have ended meanwhile. */
async function send(signal: Signal, all: readonly ProcessIdentity[]): Promise<void> {
  const running = all.filter(isRunning).map(({ pid }) => String(pid));
  if (running.length === 0) return;
  const words = ['-c', 'kill -"$0" "$@" 2> /dev/null', signal, ...running];
  await once(spawn('sh', words, { stdio: 'ignore', env: { PATH: process.env.PATH } }), 'exit');
}

async function wordsIn(path: string): Promise<string[]> {
  return (await text(createReadStream(path, { end: MOST_WORDS - 1 })).catch(() => '')).split('\0');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // The process has ended.
  }
}

/**
 * Processes that are not this one's children, or not while Docker is away. A number alone proves nothing, since the
 * kernel gives it out again: together with the time of its start it is one process, for ever.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';

/** Milliseconds between looks whether a process has gone. */
const BETWEEN_LOOKS = 20;
/** Milliseconds in which one that was killed goes, unless the kernel holds it. */
const LAST = 5000;

/** Bytes that are read of the words that a process was given: with prctl(2) it can pass off gigabytes as these. */
const MOST_WORDS = 2 ** 20;

export type Signal = 'TERM' | 'KILL' | 'HUP' | 'CONT';

export interface ProcessIdentity {
  readonly pid: number;
  /** In the kernel's ticks since its boot. */
  readonly startTime: string;
}

/** @returns undefined when there is no such process, or it has ended. Source: proc_pid_stat(5), fields 3 and 22 */
export function identify(pid: number): ProcessIdentity | undefined {
  const [state = 'X', ...fields] = statOf(pid);
  const startTime = fields[18];
  return startTime === undefined || 'ZX'.includes(state) ? undefined : { pid, startTime };
}

/** The session that a process is in: the number of its first process. Source: proc_pid_stat(5), field 6 */
export function sessionOf(pid: number): number {
  return Number(statOf(pid)[3]);
}

/** From field 3 on. */
function statOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is its name, which may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  return identify(pid)?.startTime === startTime;
}

/**
 * The processes in the host's network that are given this in their environment. Those in a network of their own do not
 * count: a container chooses its environment and its command line as it likes.
 * @param variable `NAME=value` @param word one that their command line must have
 */
export async function findProcesses(variable: string, word?: string): Promise<ProcessIdentity[]> {
  const network = await readlink('/proc/self/ns/net');
  return await processesThat(async (pid) => {
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) !== network) return false;
    if (word !== undefined && !(await wordsIn(`/proc/${pid}/cmdline`)).includes(word)) return false;
    return await hasVariable(pid, variable);
  });
}

/** Whether it was given this in its environment, as `NAME=value`. */
export async function hasVariable(pid: number, variable: string): Promise<boolean> {
  return (await variablesOf(pid)).includes(variable);
}

/** What it was given in its environment, each as `NAME=value`; none when it has gone. */
export function variablesOf(pid: number): Promise<string[]> {
  return wordsIn(`/proc/${pid}/environ`);
}

export async function processesThat(fit: (pid: number) => Promise<boolean>): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  // One after the other: thousands of files at a time would be too many.
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
    throw new ServiceError('still.there', { what: `process ${left.pid}`, why: 'it was killed, but it still runs' });
}

/**
 * Asks them to end, and kills those that are left after so many milliseconds. Returns when all have gone.
 * @returns whether any was killed @throws as `kill`
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

/** To nobody who has gone meanwhile. */
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
    return ''; // It has gone.
  }
}

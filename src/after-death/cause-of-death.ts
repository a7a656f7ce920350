/**
 * Determines from outside why a service died. Systemd and the launcher say how its process ended, and the kernel's log
 * says whether it was killed because the host ran out of memory.
 *
 * Source: systemd.exec(5) on SERVICE_RESULT, EXIT_CODE and EXIT_STATUS; the kernel's mm/oom_kill.c and
 * Documentation/ABI/testing/dev-kmsg.
 */

import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isSystemError } from '../../errors/service-error.ts';

/** The maximum number of kernel log records that are read. */
const MOST_RECORDS = 100_000;
/** The maximum size of a record in bytes. Source: the kernel's CONSOLE_EXT_LOG_MAX. */
const RECORD = 8192;

const KNOWN: Readonly<Record<string, string>> = {
  SEGV: 'it used memory that was not its own',
  ABRT: 'it gave up, as Node does when its heap is used up',
};

/**
 * @param environment as systemd gives it to ExecStopPost
 * @param pid of the dead process; undefined if unknown
 * @returns such as `killed by SIGSEGV: …`
 */
export function causeOfDeath(environment: NodeJS.ProcessEnv, pid: number | undefined): string {
  const { SERVICE_RESULT: result, EXIT_CODE: code, EXIT_STATUS: status } = environment;
  const memory = outOfMemory(result, pid);
  if (memory) return memory;
  if (result === 'watchdog') return 'it stopped responding, and its watchdog killed it';
  if (result === 'timeout') return 'it did not start or end in time';
  const when = result === 'protocol' ? ' before it was ready' : '';
  if (code === 'exited') return `it ended with exit code ${status}${when}`;
  if (code && status) return `killed by SIG${status}${KNOWN[status] ? `: ${KNOWN[status]}` : ''}`;
  return 'it is not known how its process ended';
}

function outOfMemory(result: string | undefined, pid: number | undefined): string | undefined {
  const record = pid === undefined ? undefined : killRecord(pid);
  if (record) return `killed by the kernel, out of memory: ${record}`;
  return result === 'oom-kill' ? 'killed by the kernel, out of memory' : undefined;
}

/** The kernel's message about the kill of this process. */
function killRecord(pid: number): string | undefined {
  const line = new RegExp(`out of memory[^:]*: (Killed process ${pid} .*)`, 'i');
  try {
    const file = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (const record of recordsOf(file)) {
        const found = line.exec(record)?.[1];
        if (found) return found;
      }
    } finally {
      closeSync(file);
    }
  } catch {
    // Without permission to read the kernel's log, the cause stays unknown.
  }
  return undefined;
}

function* recordsOf(file: number): Generator<string> {
  const record = Buffer.alloc(RECORD);
  for (let count = 0; count < MOST_RECORDS; count++) {
    try {
      yield record.toString('utf8', 0, readSync(file, record));
    } catch (error) {
      if (isSystemError(error, 'EAGAIN')) return;
      // EPIPE: unread records were overwritten; the next read returns the oldest one that is left.
      if (!isSystemError(error, 'EPIPE')) throw error;
    }
  }
}

/** Runs the ECS agent as a process. Its program is a static binary without dependencies. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { identify, isRunning, type ProcessIdentity } from '../../host/processes.ts';
import { Lines } from './agent-log.ts';
import type { Ended, Reports, RunningAgent, Way } from './way.ts';

/**
 * The agent starts only after the ledger knows its process; otherwise it could keep running unknown after a crash. It
 * must not be protected from the OOM killer as the service is.
 */
const BEGIN = 'echo 0 2> /dev/null > /proc/self/oom_score_adj; read -r go && exec "$0" < /dev/null';
/** The time limit in milliseconds for its last lines, which other processes with its stdout could delay. */
const LAST_LINES = 1000;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface BinaryOptions {
  readonly program: string;
  /** The complete environment of the agent. */
  readonly environment: NodeJS.ProcessEnv;
  readonly reports: Reports;
}

export class Binary implements Way {
  readonly mode = 'binary';
  readonly #options: BinaryOptions;

  constructor(options: BinaryOptions) {
    this.#options = options;
  }

  async start(signal: AbortSignal): Promise<RunningAgent> {
    signal.throwIfAborted();
    const { program, environment, reports } = this.#options;
    // The agent gets its own session, so that Ctrl-C on the terminal does not reach it.
    const child = spawn('sh', ['-c', BEGIN, program], { detached: true, env: environment, stdio: 'pipe' });
    const ended = endOf(child, reports.line);
    try {
      await once(child, 'spawn');
      const identity = identify(child.pid as number);
      if (identity) reports.note(identity);
      child.stdin.on('error', () => {}).end('go\n');
      return new RunningBinary(child, ended, identity, reports);
    } catch (error) {
      child.stdin.destroy();
      throw error;
    }
  }
}

async function endOf(child: Child, line: (line: string) => void): Promise<Ended> {
  const closed = [child.stdout, child.stderr].map(async (stream) => {
    const lines = new Lines(line);
    stream.on('data', (bytes: Uint8Array) => lines.push(bytes)).on('error', () => {});
    await once(stream, 'close');
    lines.end();
  });
  const [code, signal] = await once(child, 'exit').catch(() => [-1]);
  await Promise.race([Promise.all(closed), pause(LAST_LINES, undefined, { ref: false })]);
  return signal ? { signal } : { code };
}

class RunningBinary implements RunningAgent {
  readonly ended: Promise<Ended>;
  readonly #child: Child;
  readonly #identity: ProcessIdentity | undefined;
  readonly #reports: Reports;

  constructor(child: Child, ended: Promise<Ended>, identity: ProcessIdentity | undefined, reports: Reports) {
    this.#reports = reports;
    this.#child = child;
    this.ended = ended;
    this.#identity = identity;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  async stop(milliseconds: number): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#reports.killed();
      this.#child.kill('SIGKILL');
    }, milliseconds);
    await this.ended;
    clearTimeout(timer);
  }

  seenGone(): string {
    const what = `process ${this.#child.pid}`;
    if (this.#identity && isRunning(this.#identity))
      throw new ServiceError('still.there', { what, why: 'it has not ended' });
    return `${what} has ended`;
  }
}

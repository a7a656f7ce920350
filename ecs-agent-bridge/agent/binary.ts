/** The ECS agent as a process of its own: its program is a static binary that needs nothing beside it. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { identify, isRunning, type ProcessIdentity } from '../../host/processes.ts';
import { Lines } from './agent-log.ts';
import type { Ended, Reports, RunningAgent, Way } from './way.ts';

/**
 * It begins when it is told that it is known: one that nobody knows must not run on after a death of ours. When the host
 * runs out of memory, it is not spared as the service is.
 */
const BEGIN = 'echo 0 2> /dev/null > /proc/self/oom_score_adj; read -r go && exec "$0" < /dev/null';
/** Milliseconds in which its last lines come, unless others hold on to its stdout. */
const LAST_LINES = 1000;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface BinaryOptions {
  readonly program: string;
  /** All of it. */
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
    // A session of its own: Ctrl-C on our terminal is not for it.
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

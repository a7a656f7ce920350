/** systemd, as far as it is asked about the unit of the agent's own packages. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { withDeadline } from '../../lifetime/deadline.ts';

export const UNIT = 'ecs.service';

/** Milliseconds for one call; none of them waits for a unit. */
const PATIENCE = 20_000;

/** What systemd says of the unit. Source: org.freedesktop.systemd1(5). */
export interface UnitState {
  readonly isLoaded: boolean;
  /** Whether it neither runs nor is about to. */
  readonly isOver: boolean;
  /** Another one for each time that it is started; empty before the first. */
  readonly invocation: string;
  readonly result: string;
  /** Whether `status` is the number of a signal, and not an exit code. */
  readonly isKilled: boolean;
  readonly status: number;
  /** Of its main process; 0: it has none. */
  readonly pid: number;
}

const PROPERTIES = 'LoadState,ActiveState,Job,InvocationID,Result,ExecMainCode,ExecMainStatus,MainPID';
/** Source: waitid(2): CLD_KILLED, CLD_DUMPED. */
const KILLED = ['2', '3'];

export class Systemctl {
  readonly #environment: NodeJS.ProcessEnv;

  /** @param environment in which systemctl is found */
  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** @throws {ServiceError} `agent.systemd` */
  async run(...words: string[]): Promise<string> {
    const what = words.join(' ');
    try {
      return await withDeadline(PATIENCE, what, (late) => this.#call(words, late));
    } catch (error) {
      throw new ServiceError('agent.systemd', { words: what, why: messageOf(error) }, { cause: error });
    }
  }

  async state(): Promise<UnitState> {
    const answer = await this.run('show', UNIT, `--property=${PROPERTIES}`);
    const found = new Map(answer.split('\n').map((line) => line.split('=', 2) as [string, string]));
    const get = (name: string) => found.get(name) ?? '';
    return {
      isLoaded: get('LoadState') === 'loaded',
      isOver: Number(get('Job')) === 0 && ['inactive', 'failed'].includes(get('ActiveState')),
      invocation: get('InvocationID'),
      result: get('Result'),
      isKilled: KILLED.includes(get('ExecMainCode')),
      status: Number(get('ExecMainStatus')),
      pid: Number(get('MainPID')),
    };
  }

  async #call(words: readonly string[], signal: AbortSignal): Promise<string> {
    const child = spawn('systemctl', words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#environment,
      signal,
      killSignal: 'SIGKILL',
    });
    const [said, complaint, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    if (code !== 0) throw new Error(complaint.trim() || `it ended with code ${code}`);
    return said;
  }
}

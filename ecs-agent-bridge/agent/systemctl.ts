/** The systemd calls for the unit of the agent's own packages. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { withDeadline } from '../../lifetime/deadline.ts';

export const UNIT = 'ecs.service';

/** The time limit for one call in milliseconds. No call waits for a unit. */
const PATIENCE = 20_000;

/** The state of the unit according to systemd. Source: org.freedesktop.systemd1(5). */
export interface UnitState {
  readonly isLoaded: boolean;
  /** Whether it neither runs nor is about to run. */
  readonly isOver: boolean;
  /** A new id for each start; empty before the first start. */
  readonly invocation: string;
  readonly result: string;
  /** Whether `status` is the number of a signal instead of an exit code. */
  readonly isKilled: boolean;
  readonly status: number;
  /** The id of its main process; 0 if it has none. */
  readonly pid: number;
}

const PROPERTIES = 'LoadState,ActiveState,Job,InvocationID,Result,ExecMainCode,ExecMainStatus,MainPID';
/** Source: waitid(2): CLD_KILLED, CLD_DUMPED. */
const KILLED = ['2', '3'];

export class Systemctl {
  readonly #environment: NodeJS.ProcessEnv;

  /** @param environment for the search of systemctl */
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

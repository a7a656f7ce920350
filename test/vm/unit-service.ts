/** The service as a systemd unit, as on an AMI: tests start it, read its journal, and wait for its end. */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ServiceLog } from '../support/service-log.ts';

const run = promisify(execFile);

const UNIT = 'ecs-host-service.service';
/** Adopts the containers in use of a dead service. */
export const WAIT_UNIT = 'ecs-host-service-wait.service';
/** The time limit of every wait, in milliseconds. */
const PATIENCE = 90_000;
/** Milliseconds between checks of a unit's state; each check costs time of the guest's few processors. */
const BETWEEN_STATES = 200;
/** Milliseconds between checks whether it still runs. */
const BETWEEN_LOOKS = 2_000;

export interface Death {
  /** systemd's properties of the unit. */
  readonly result: string;
  readonly status: number;
  /** The reports to the outside world. */
  readonly report: string;
}

export class UnitService extends ServiceLog {
  readonly #journal: ChildProcess;
  readonly #watch: NodeJS.Timeout;
  #ended = false;

  /** Starts the unit. @param settings its environment file */
  constructor(settings: Readonly<Record<string, string>>) {
    super(4678, '/', PATIENCE);
    if (show('ActiveState') === 'active')
      throw new Error('the service of the previous test is still running');
    writeSettings(settings);
    // It does not block until the unit is ready, because this process is the outside world that the service calls.
    const last = show('InvocationID');
    execFileSync('systemctl', ['start', '--no-block', UNIT]);
    while (show('InvocationID') === last);
    const filter = `_SYSTEMD_INVOCATION_ID=${show('InvocationID')}`;
    this.#journal = spawn('journalctl', ['--follow', '--no-tail', '--output=cat', filter], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.read(this.#journal.stdout);
    let looks = 0;
    this.#watch = setInterval(() => {
      // bury has finished before the unit counts as failed.
      if (!['failed', 'inactive'].includes(show('ActiveState'))) return;
      // Its last lines may still be on their way.
      if (++looks === 2) this.#end();
    }, BETWEEN_LOOKS).unref();
  }

  override get hasEnded(): boolean {
    return this.#ended;
  }

  get pid(): number {
    return Number(show('MainPID'));
  }

  /** Asks it to stop and waits until it has. @returns its exit code */
  async stop(): Promise<number> {
    if (show('ActiveState') === 'active') await this.message('hosting containers');
    clearInterval(this.#watch);
    // It is not synchronous, because this process is the outside world to which the service reports its stop.
    await run('systemctl', ['stop', UNIT]);
    if (show('Result') === 'success') await this.message('ended');
    return this.#end();
  }

  /** Sends it a deadly signal, and waits until bury has finished. */
  async die(signal: NodeJS.Signals): Promise<Death> {
    const { pid } = this;
    if (pid === 0) throw new Error('the unit does not run');
    execFileSync('kill', [`-${constants.signals[signal]}`, String(pid)]);
    const { msg } = await this.line(({ level }) => level === 'fatal');
    await untilState('failed');
    return { result: show('Result'), status: this.#forget(), report: msg };
  }

  /** Ends it in any state, after a failed test. */
  async kill(): Promise<void> {
    const { pid } = this;
    if (pid !== 0) execFileSync('kill', ['-KILL', String(pid)]);
    if (show('ActiveState') !== 'inactive') await untilState('failed');
    this.#forget();
  }

  /** @returns its exit code, or the number of its signal */
  #forget(): number {
    const status = this.#end();
    execFileSync('systemctl', ['reset-failed', UNIT]);
    return status;
  }

  #end(): number {
    this.#ended = true;
    clearInterval(this.#watch);
    this.wake();
    this.#journal.kill();
    return Number(show('ExecMainStatus'));
  }
}

/** The environment of the unit at its next start. */
export function writeSettings(settings: Readonly<Record<string, string>>): void {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name}="${value.replaceAll(/["\\]/g, '\\$&')}"\n`,
  );
  writeFileSync('/etc/ecs-host-service/environment', lines.join(''), { mode: 0o600 });
}

export function show(property: string, unit = UNIT): string {
  return execFileSync('systemctl', toShow(property, unit), { encoding: 'utf8' }).trim();
}

/** Waits until the unit has this `ActiveState`. */
export async function untilState(state: string, unit = UNIT): Promise<void> {
  for (const patience = AbortSignal.timeout(PATIENCE); ; await pause(BETWEEN_STATES)) {
    // It is not synchronous, because this process is the outside world that the service and bury call.
    const found = (await run('systemctl', toShow('ActiveState', unit))).stdout.trim();
    if (found === state) return;
    if (patience.aborted) throw new Error(`${unit} is ${found} and not ${state}`);
  }
}

function toShow(property: string, unit: string): string[] {
  return ['show', '--value', '--property', property, unit];
}

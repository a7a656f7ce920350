/** The service as a systemd unit, as on an AMI: how a test starts it, reads its journal, and sees it end. */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ServiceLog } from '../support/service-log.ts';

const run = promisify(execFile);

const UNIT = 'ecs-host-service.service';
/** Hosts the containers on that a dead service left in use. */
export const WAIT_UNIT = 'ecs-host-service-wait.service';
/** Milliseconds that it gets for anything that is waited for. */
const PATIENCE = 90_000;
/** Milliseconds between looks at a unit's state; each is work for the guest's few processors. */
const BETWEEN_STATES = 200;
/** Milliseconds between looks whether it still runs. */
const BETWEEN_LOOKS = 2_000;

export interface Death {
  /** What systemd says. */
  readonly result: string;
  readonly status: number;
  /** What was told to the world. */
  readonly report: string;
}

export class UnitService extends ServiceLog {
  readonly #journal: ChildProcess;
  readonly #watch: NodeJS.Timeout;
  #ended = false;

  /** Starts the unit. @param settings its environment file */
  constructor(settings: Readonly<Record<string, string>>) {
    super(4678, '/', PATIENCE);
    if (show('ActiveState') === 'active') throw new Error('the service of the test before still runs');
    writeSettings(settings);
    // Not until it is ready: meanwhile this process is the world that the service asks.
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
      // It is buried before it has failed.
      if (!['failed', 'inactive'].includes(show('ActiveState'))) return;
      // What it wrote last may be on its way yet.
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
    // Not synchronously: meanwhile this process is the world that the service says goodbye to.
    await run('systemctl', ['stop', UNIT]);
    if (show('Result') === 'success') await this.message('ended');
    return this.#end();
  }

  /** Sends it what it dies of, and waits until it is buried. */
  async die(signal: NodeJS.Signals): Promise<Death> {
    const { pid } = this;
    if (pid === 0) throw new Error('it does not run');
    execFileSync('kill', [`-${constants.signals[signal]}`, String(pid)]);
    const { msg } = await this.line(({ level }) => level === 'fatal');
    await untilState('failed');
    return { result: show('Result'), status: this.#forget(), report: msg };
  }

  /** Ends it whatever it is doing, when a test has failed. */
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

/** What the unit gets when it is started the next time. */
export function writeSettings(settings: Readonly<Record<string, string>>): void {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name}="${value.replaceAll(/["\\]/g, '\\$&')}"\n`,
  );
  writeFileSync('/etc/ecs-host-service/environment', lines.join(''), { mode: 0o600 });
}

export function show(property: string, unit = UNIT): string {
  return execFileSync('systemctl', toShow(property, unit), { encoding: 'utf8' }).trim();
}

/** Waits until that is the `ActiveState` of the unit. */
export async function untilState(state: string, unit = UNIT): Promise<void> {
  for (const patience = AbortSignal.timeout(PATIENCE); ; await pause(BETWEEN_STATES)) {
    // Not synchronously: meanwhile this process is the world that the service, and whoever buries it, speaks to.
    const found = (await run('systemctl', toShow('ActiveState', unit))).stdout.trim();
    if (found === state) return;
    if (patience.aborted) throw new Error(`${unit} is ${found} and not ${state}`);
  }
}

function toShow(property: string, unit: string): string[] {
  return ['show', '--value', '--property', property, unit];
}

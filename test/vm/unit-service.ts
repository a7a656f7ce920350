/** The service as a systemd unit, as on an AMI: how a test starts it, reads its journal, and sees it end. */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ServiceLog } from '../support/service-log.ts';

const run = promisify(execFile);

const UNIT = 'ecs-host-service.service';
/** Milliseconds between looks whether it still runs. */
const BETWEEN_LOOKS = 2_000;

export class UnitService extends ServiceLog {
  readonly #journal: ChildProcess;
  readonly #watch: NodeJS.Timeout;
  #ended = false;

  /** Starts the unit. @param settings its environment file */
  constructor(settings: Readonly<Record<string, string>>) {
    super(4678, 60_000);
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
      if (this.pid !== 0) return;
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

  async kill(): Promise<void> {
    const { pid } = this;
    if (pid !== 0) execFileSync('kill', ['-KILL', String(pid)]);
    // It is buried before it has failed.
    for (
      const patience = AbortSignal.timeout(this.patience);
      show('ActiveState') !== 'failed';
      await pause(20)
    ) {
      patience.throwIfAborted();
    }
    this.#end();
    execFileSync('systemctl', ['reset-failed', UNIT]);
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
  const lines = Object.entries(settings).map(([name, value]) => `${name}="${value}"\n`);
  writeFileSync('/etc/ecs-host-service/environment', lines.join(''), { mode: 0o600 });
}

export function show(property: string): string {
  return execFileSync('systemctl', ['show', '--value', '--property', property, UNIT], {
    encoding: 'utf8',
  }).trim();
}

/** The service as a child process: how a test starts it, reads its log, calls it, and sees it end. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { keepProcesses } from './evidence.ts';
import { LAUNCHER } from './launched.ts';
import { ServiceLog } from './service-log.ts';

export interface StartOptions {
  /** Settings; APP_ENV=localdev and a ROOT of its own if not given. */
  readonly env?: Readonly<Record<string, string>>;
  /** The program to run instead of the service's own, in test/support. */
  readonly entry?: string;
  /** A program to run that needs no Node. */
  readonly executable?: string;
  readonly arguments?: readonly string[];
  /** Options of Node beside those that the service has. */
  readonly flags?: readonly string[];
  /** Options of the launcher, which stands above it then and buries it. */
  readonly launcher?: readonly string[];
  /** Milliseconds that it gets for anything that is waited for. */
  readonly patience?: number;
}

const HERE = import.meta.dirname;
/** Half of the processor time of a start from the sources goes into their compilation. */
const { NODE_COMPILE_CACHE } = process.env;
const COMPILE_CACHE = NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {};
/** Where the sources are not, such as in the guest, the bundle is named. */
const SERVICE = process.env.TEST_SERVICE ?? join(HERE, '../../src/ecs-host-service.ts');

export class ServiceProcess extends ServiceLog {
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(
    root: string,
    {
      env = {},
      entry,
      executable,
      arguments: words = [],
      flags = [],
      launcher,
      patience = 60_000,
    }: StartOptions = {},
  ) {
    super(Number(env.LISTEN_PORT ?? 4678), env.ROOT ?? root, patience);
    const program = entry ? join(HERE, entry) : SERVICE;
    const settings = {
      APP_ENV: 'localdev',
      ROOT: root,
      LOG_LEVEL: 'debug',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...COMPILE_CACHE,
    };
    const command = executable
      ? [executable, ...words]
      : [process.execPath, ...NODE_FLAGS, ...flags, program, ...words];
    const bury = [process.execPath, ...NODE_FLAGS, SERVICE, 'bury'];
    const [file = '', ...rest] = launcher ? [LAUNCHER, ...launcher, ...command, '--', ...bury] : command;
    this.child = spawn(file, rest, {
      env: { PATH: process.env.PATH, ...settings, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.child, 'close');
    this.read(this.child.stdout);
    this.read(this.child.stderr);
    void this.#ended.then(() => this.wake());
  }

  override async ready(): Promise<this> {
    await super.ready();
    keepProcesses(this.child.pid as number);
    return this;
  }

  override get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits for its end. @returns its exit code, or the signal that killed it */
  async ended(): Promise<number | string> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 3 * this.patience);
    await this.#ended;
    clearTimeout(timer);
    return this.child.exitCode ?? (this.child.signalCode as string);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    if (!this.hasEnded) this.child.kill(signal);
    return await this.ended();
  }
}

/** The service as a child process: tests start it, read its log, call it, and wait for its exit. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { keepProcesses } from './evidence.ts';
import { LAUNCHER } from './launched.ts';
import { ServiceLog } from './service-log.ts';

export interface StartOptions {
  /** Settings; the defaults are APP_ENV=localdev and a new ROOT. */
  readonly env?: Readonly<Record<string, string>>;
  /** The program in test/support to run instead of the service's own. */
  readonly entry?: string;
  /** A program to run that needs no Node. */
  readonly executable?: string;
  readonly arguments?: readonly string[];
  /** Options of Node, in addition to the service's. */
  readonly flags?: readonly string[];
  /** Options of the launcher, which then supervises the service and runs bury. */
  readonly launcher?: readonly string[];
  /** What the launcher runs instead of bury. */
  readonly bury?: readonly string[];
  /** The time limit of every wait, in milliseconds. */
  readonly patience?: number;
}

const HERE = import.meta.dirname;
/** Compilation takes half of the processor time of a start from the sources. */
const { NODE_COMPILE_CACHE } = process.env;
const COMPILE_CACHE = NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {};
/** Without the sources, for example in the guest, the bundle is named. */
export const SERVICE = process.env.TEST_SERVICE ?? join(HERE, '../../src/ecs-host-service.ts');

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
      bury = [process.execPath, ...NODE_FLAGS, SERVICE, 'bury'],
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

  /** Waits for its exit. @returns its exit code, or the signal that killed it */
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

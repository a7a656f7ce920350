/** A root directory with an agent's settings and a program that plays the agent: the base of tests of the supervision. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Docker } from '../../docker-engine/docker.ts';
import { EcsAgent, type EcsAgentOptions } from '../../ecs-agent-bridge/agent/ecs-agent.ts';
import { holdSharedDirectory } from '../../host/directories.ts';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { Holdings } from '../../lifetime/holdings.ts';
import { Ledger } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import type { FakeStart } from './fake-agent.ts';
import { until } from './site.ts';

/** Searches for a free port from here on: tests run side by side, and the kernel uses the ports above. */
const PORTS_FROM = 20_000;

export interface AgentSiteOptions {
  readonly plan?: readonly FakeStart[];
  /** Additional lines of ecs.config. */
  readonly config?: string;
  readonly root?: string;
}

/** The settings of a test's service. */
export const SETTINGS: EcsAgentOptions['settings'] = {
  ECS_AGENT: 'binary',
  ECS_AGENT_BINARY: '',
  ECS_AGENT_IMAGE: 'fake/ecs-agent:latest',
  LISTEN_PORT: 4678,
  RESERVED_PORTS: [2375, 2376],
};

export function ledgerOf(paths: Paths): Ledger {
  return new Ledger(paths.ledger);
}

/** Writes the program and its settings. @returns the program */
export function furnish(paths: Paths, port: number, { plan = [], config = '' }: AgentSiteOptions): string {
  const program = join(paths.root, 'fake-agent');
  mkdirSync(join(paths.root, 'etc/ecs'), { recursive: true });
  mkdirSync(paths.run, { recursive: true });
  const source = join(import.meta.dirname, 'fake-agent.ts');
  const node = process.env.TEST_NODE ?? process.execPath;
  writeFileSync(program, `#!/bin/sh\nexec ${node} ${source}\n`, { mode: 0o755 });
  chmodSync(program, 0o755);
  const lines = [
    'ECS_CLUSTER=live',
    `ECS_FAKE_PORT=${port}`,
    `ECS_FAKE_PLAN=${JSON.stringify(plan)}`,
    config,
  ];
  writeFileSync(paths.agent.config, lines.join('\n'));
  return program;
}

export class AgentSite implements AsyncDisposable {
  readonly paths: Paths;
  readonly port: number;
  readonly lines: Record<string, unknown>[] = [];
  readonly outlets = new Outlets({ write: (line) => void this.lines.push(JSON.parse(line)) });
  readonly log = createLogger({ level: 'debug', stream: this.outlets });
  readonly ledger: Ledger;
  readonly lifetime: Lifetime;
  readonly program: string;
  readonly #proxy: Server;
  drained = 0;
  dockerAnswers = true;

  static async open(options: AgentSiteOptions = {}): Promise<AgentSite> {
    const root = options.root ?? mkdtempSync(join(tmpdir(), 'agent-'));
    const site = new AgentSite(pathsBelow(root), options);
    await new Promise<void>((resolve) => site.#proxy.listen(site.socket, resolve));
    return site;
  }

  private constructor(paths: Paths, options: AgentSiteOptions) {
    this.paths = paths;
    this.port = PORTS_FROM + (process.pid % 10_000);
    this.program = furnish(paths, this.port, options);
    this.ledger = ledgerOf(paths);
    this.ledger.open();
    this.lifetime = new Lifetime('service', {
      holdings: new Holdings((event) => this.ledger.observe(event)),
      report: (failure) => this.log.error(failure, 'could not be ended'),
    });
    this.#proxy = createServer((_, response) => response.end('OK'));
  }

  get socket(): string {
    return join(this.paths.run, 'agent.sock');
  }

  options(more: Partial<EcsAgentOptions> = {}): EcsAgentOptions {
    const ping = async () => {
      if (!this.dockerAnswers) throw new Error('Docker is away');
    };
    return {
      environment: { PATH: process.env.PATH },
      paths: this.paths,
      hostId: 'the-host',
      docker: { socket: '/nobody.sock', ping } as unknown as Docker,
      proxySocket: this.socket,
      ledger: this.ledger,
      left: [],
      secrets: this.outlets.secrets,
      log: this.log,
      share: (path, mode) => holdSharedDirectory(this.lifetime, path, mode),
      drain: () => void this.drained++,
      introspection: new URL(`http://127.0.0.1:${this.port}`),
      ...more,
      settings: { ...SETTINGS, ECS_AGENT_BINARY: this.program, ...more.settings },
    };
  }

  /** @throws if this site needs no agent */
  async begin(more: Partial<EcsAgentOptions> = {}): Promise<EcsAgent> {
    const agent = await EcsAgent.open(this.lifetime, this.options(more));
    if (!agent) throw new Error('there is no agent');
    return agent;
  }

  async says(message: string | RegExp, times = 1): Promise<Record<string, unknown>> {
    const found = () =>
      this.lines.filter(({ msg }) =>
        typeof message === 'string' ? msg === message : message.test(String(msg)),
      );
    await until(`it logs ${String(message)}`, () => found().length >= times);
    return found()[times - 1] ?? {};
  }

  async registers(times = 1): Promise<void> {
    await this.says('the ECS agent has registered this host', times);
  }

  /** Sends the agent a command. */
  async tell(path: 'exit' | 'log' | 'tasks', body: string): Promise<void> {
    await (await fetch(`http://127.0.0.1:${this.port}/${path}`, { method: 'POST', body })).text();
  }

  /** Its starts: the process of each, and its environment. */
  get starts(): { readonly pid: number; readonly environment: Record<string, string> }[] {
    const path = join(this.paths.agent.data, 'starts');
    const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    return lines.map((line) => {
      const [pid = '', ...rest] = line.split(' ');
      return { pid: Number(pid), environment: JSON.parse(rest.join(' ')) };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lifetime.end();
    await new Promise((resolve) => this.#proxy.close(resolve));
    rmSync(this.paths.root, { recursive: true, force: true });
  }
}

/**
 * Keeps the stock Amazon ECS agent running beside the service, unmodified: as a process, a container or a systemd unit.
 * It uses Docker only through this service's proxy. Its log is part of the service's log, and its containers outlive
 * it.
 */

import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { portsOfThisHost } from '../../container/network/host-ports.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { exists } from '../../host/directories.ts';
import type { Paths } from '../../host/paths.ts';
import type { Ledger, Page } from '../../lifetime/ledger.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Secrets } from '../../logging/secrets.ts';
import { childEnvironment, type Settings } from '../../settings/load.ts';
import { reservedPorts } from '../../settings/reserved-ports.ts';
import { AgentDocker } from './agent-docker.ts';
import { AgentLog } from './agent-log.ts';
import { Binary } from './binary.ts';
import { chooseMode } from './choose.ts';
import { type AgentConfig, isTrue, readConfig, secretsIn } from './config-file.ts';
import { Container } from './container.ts';
import {
  binaryEnvironment,
  containerEnvironment,
  dataDirectory,
  type Facts,
  reservesPort,
} from './environment.ts';
import { type AgentTask, INTROSPECTION, Introspection } from './introspection.ts';
import { AGENT_LIFETIME, AGENT_PAGE, stopLeftAgent, warnOfKill } from './left-agent.ts';
import { Supervision, type SupervisionOptions } from './supervision.ts';
import { Systemctl } from './systemctl.ts';
import { Unit } from './unit.ts';
import type { AgentFacts, Mode, Reports, Way } from './way.ts';

/** Milliseconds between checks whether tasks have ended. */
const BETWEEN_LOOKS = 250;

export interface EcsAgentOptions {
  readonly settings: Pick<
    Settings,
    'ECS_AGENT' | 'ECS_AGENT_BINARY' | 'ECS_AGENT_IMAGE' | 'LISTEN_PORT' | 'RESERVED_PORTS'
  >;
  /** The environment of this process. */
  readonly environment: NodeJS.ProcessEnv;
  readonly paths: Paths;
  readonly hostId: string;
  /** Docker itself, not the proxy. */
  readonly docker: Docker;
  /** The unix socket of the Docker API proxy. It is listening, and stays the same file while the agent runs. */
  readonly proxySocket: string;
  readonly ledger: Ledger;
  /** The pages that a crashed service left in the ledger. */
  readonly left: readonly Page[];
  readonly secrets: Pick<Secrets, 'set'>;
  readonly log: Logger;
  /** Creates a shared directory if necessary, and holds it. */
  readonly share: (path: string, mode: number) => Promise<void>;
  /** Called when the agent has ended for good, so that no more containers are placed here. */
  readonly drain: () => void;
  /** The agent's introspection endpoint. Only tests use another one than the agent's own. */
  readonly introspection?: URL;
  readonly timing?: NonNullable<SupervisionOptions['timing']>;
}

export class EcsAgent {
  readonly #lifetime: Lifetime;
  readonly #supervision: Supervision;
  readonly #introspection: Introspection;

  private constructor(lifetime: Lifetime, supervision: Supervision, introspection: Introspection) {
    this.#lifetime = lifetime;
    this.#supervision = supervision;
    this.#introspection = introspection;
  }

  /**
   * Stops an agent that was left behind, and then keeps one running until `lifetime` ends. It does not wait for the
   * agent's registration.
   * @returns undefined if this host needs no agent
   * @throws {ServiceError} `agent.*`, `docker.*`, `start.filesystem`
   */
  static async open(lifetime: Lifetime, options: EcsAgentOptions): Promise<EcsAgent | undefined> {
    const { docker, left } = options;
    await stopLeftAgent(left, options);
    const systemctl = new Systemctl(childEnvironment(options.environment));
    const api = await AgentDocker.open(docker.socket);
    const mode = await choose(options, systemctl, api);
    if (!mode) return undefined;
    const facts = await readFacts(mode, options);
    await shareDirectories(mode, facts, options);
    const own = lifetime.child(AGENT_LIFETIME, { owner: { kind: AGENT_PAGE } });
    try {
      const agentLog = new AgentLog(options.log);
      const reports: Reports = {
        line: agentLog.take,
        note: (known: AgentFacts) => options.ledger.note(AGENT_PAGE, known),
        killed: () => warnOfKill(options.log),
      };
      const way = await prepare(own, { mode, facts, options, systemctl, api, reports });
      const introspection = new Introspection(options.introspection ?? INTROSPECTION);
      const supervision = new Supervision(own, {
        docker: options.docker,
        log: options.log,
        drain: options.drain,
        timing: options.timing ?? {},
        way,
        introspection,
        agentLog,
        updates: isTrue(facts.config.get('ECS_UPDATES_ENABLED')),
        config: options.paths.agent.config,
        data: dataDirectory(facts),
      });
      return new EcsAgent(own, supervision, introspection);
    } catch (error) {
      await own.end();
      throw error;
    }
  }

  /**
   * To be called when Docker becomes unreachable, before any request of the agent is refused. Resolves when an agent
   * that was still starting has been killed, or soon. Repeated calls are harmless. The agent is started again when
   * Docker is back.
   */
  async dockerLost(): Promise<void> {
    await this.#supervision.dockerLost();
  }

  /**
   * Waits until the agent knows that each task with one of these containers has ended. The agent may still have to tell
   * ECS.
   * @returns false if `signal` aborts before, or if no agent runs that could tell ECS. Never rejects
   */
  async settled(dockerIds: readonly string[], signal: AbortSignal): Promise<boolean> {
    const isRunning = () => this.#supervision.state === 'running' && !signal.aborted;
    while (isRunning()) {
      const tasks = await this.#introspection.tasks(signal).catch(() => undefined);
      if (tasks && !tasks.some((task) => isOpen(task, dockerIds))) return true;
      await pause(BETWEEN_LOOKS, undefined, { signal }).catch(() => {});
    }
    return false;
  }

  /** Stops the agent for good. Its containers stay as they are. Repeated calls wait for the same end. */
  async stop(): Promise<void> {
    await this.#lifetime.end(new Error('the ECS agent is stopped'));
  }
}

function isOpen({ knownStatus, containers }: AgentTask, dockerIds: readonly string[]): boolean {
  return knownStatus !== 'STOPPED' && containers.some(({ dockerId }) => dockerIds.includes(dockerId));
}

/** @throws {ServiceError} `agent.not_found`, `agent.unit_runs`, `agent.socket` */
async function choose(
  { settings, paths, proxySocket }: EcsAgentOptions,
  systemctl: Systemctl,
  api: AgentDocker,
): Promise<Mode | undefined> {
  const mode = await chooseMode({
    wanted: settings.ECS_AGENT,
    program: settings.ECS_AGENT_BINARY,
    image: settings.ECS_AGENT_IMAGE,
    paths: paths.agent,
    systemctl,
    api,
  });
  if (mode === 'unit' && !/^(\/var)?\/run\//.test(proxySocket))
    throw new ServiceError('agent.socket', { socket: proxySocket });
  // With `auto`, the unit would be preferred if systemd has it.
  if (mode && mode !== 'unit' && settings.ECS_AGENT !== 'auto' && (await exists(paths.agent.systemd))) {
    const { isLoaded, isOver } = await systemctl.state();
    if (isLoaded && !isOver) throw new ServiceError('agent.unit_runs', {});
  }
  return mode;
}

/** @throws {ServiceError} `agent.config` */
async function readFacts(mode: Mode, { settings, paths, secrets, log }: EcsAgentOptions): Promise<Facts> {
  const { LISTEN_PORT } = settings;
  const reserved = reservedPorts(settings);
  const { ephemeral, usable } = await portsOfThisHost(reserved);
  const { config: path } = paths.agent;
  const { config, warnings } = await readConfig(path, { mode, usablePorts: usable });
  for (const [name, secret] of secretsIn(config)) secrets.set(`${name} of the ECS agent`, secret);
  for (const warning of [...warnings, ...notReserved(mode, config, LISTEN_PORT)]) log.warn({ path }, warning);
  return { config, paths: paths.agent, reservedPorts: reserved, ephemeralPorts: ephemeral };
}

/** In the other modes, the service adds the port itself. */
function notReserved(mode: Mode, config: AgentConfig, port: number): string[] {
  if (mode !== 'unit' || reservesPort(config, port)) return [];
  return [`ECS may place a task on the port of this service; add ${port} to ECS_RESERVED_PORTS`];
}

async function shareDirectories(mode: Mode, facts: Facts, { share }: EcsAgentOptions): Promise<void> {
  const { config, log, cache, state } = facts.paths;
  const bound = mode === 'container' ? [cache, state] : [];
  for (const path of [dirname(config), log, ...bound, dataDirectory(facts)]) await share(path, 0o755);
}

interface Parts {
  readonly mode: Mode;
  readonly facts: Facts;
  readonly options: EcsAgentOptions;
  readonly systemctl: Systemctl;
  readonly api: AgentDocker;
  readonly reports: Reports;
}

async function prepare(lifetime: Lifetime, parts: Parts): Promise<Way> {
  const { mode, facts, options, systemctl, api, reports } = parts;
  const { settings, environment, paths, hostId, docker, proxySocket: socket, log } = options;
  if (mode === 'unit') {
    const unit = new Unit({ systemctl, paths: paths.agent, socket, reports });
    await unit.prepare(lifetime);
    return unit;
  }
  if (mode === 'container') {
    return new Container({
      image: settings.ECS_AGENT_IMAGE,
      environment: containerEnvironment(facts),
      isExternal: isTrue(facts.config.get('ECS_EXTERNAL')),
      hostId,
      paths: paths.agent,
      data: dataDirectory(facts),
      socket,
      api,
      docker,
      reports,
      log,
    });
  }
  return new Binary({
    program: settings.ECS_AGENT_BINARY,
    environment: { ...childEnvironment(environment), ...binaryEnvironment(facts, socket) },
    reports,
  });
}

/** Builds the agent's environment: the operator's settings, and values that only this service knows. */

import { join } from 'node:path';
import type { AgentPaths } from '../../host/paths.ts';
import type { AgentConfig } from './config-file.ts';

/** The ports that ECS reserves by default: ssh, Docker and the agent. Source: the agent's default. */
const RESERVED_BY_ECS = [22, 2375, 2376, 51_678, 51_679];
const LOGGING_DRIVERS = JSON.stringify(['json-file', 'syslog', 'awslogs', 'fluentd', 'none']);

export interface Facts {
  readonly config: AgentConfig;
  readonly paths: AgentPaths;
  /** Ports that no container on this host gets. */
  readonly reservedPorts: readonly number[];
  /** The kernel's range of ephemeral ports, as `first-last`. */
  readonly ephemeralPorts: string;
}

/** @param socket of the Docker API proxy */
export function binaryEnvironment(facts: Facts, socket: string): Record<string, string> {
  return {
    ECS_AUDIT_LOGFILE: join(facts.paths.log, 'audit.log'),
    ...common(facts),
    ECS_DATADIR: dataDirectory(facts),
    DOCKER_HOST: `unix://${socket}`,
  };
}

/** Paths are those inside the agent's container, as its packages bind them. */
export function containerEnvironment(facts: Facts): Record<string, string> {
  return {
    ECS_LOGFILE: '/log/ecs-agent.log',
    ECS_UPDATE_DOWNLOAD_DIR: '/var/cache/ecs',
    ...common(facts),
    ECS_DATADIR: '/data',
    DOCKER_HOST: 'unix:///var/run/docker.sock',
  };
}

/** The path on the host. */
export function dataDirectory({ config, paths }: Pick<Facts, 'config' | 'paths'>): string {
  return config.get('ECS_DATADIR') ?? paths.data;
}

/** Whether ECS is kept from placing a task on the service's own port. */
export function reservesPort(config: AgentConfig, port: number): boolean {
  return reservedIn(config).includes(port);
}

function common({ config, reservedPorts, ephemeralPorts }: Facts): Record<string, string> {
  return {
    ECS_AVAILABLE_LOGGING_DRIVERS: LOGGING_DRIVERS,
    ECS_UPDATES_ENABLED: 'false',
    ECS_DYNAMIC_HOST_PORT_RANGE: ephemeralPorts,
    ...Object.fromEntries(config),
    ECS_RESERVED_PORTS: JSON.stringify([...new Set([...reservedIn(config), ...reservedPorts])]),
  };
}

function reservedIn(config: AgentConfig): number[] {
  const given = config.get('ECS_RESERVED_PORTS');
  return given === undefined ? RESERVED_BY_ECS : JSON.parse(given);
}

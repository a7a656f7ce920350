/** Builds the body of Docker's create request for a node. The container's name is not part of it. */

import type Dockerode from 'dockerode';
import { bytes } from '../../settings/parsers.ts';
import { fixedPorts } from '../plan/node-container.ts';
import { handOverFileOf, type MountSpec, type NodeSpec, type PortSpec } from '../spec/node-spec.ts';
import { labelsOf, type Owner } from './labels.ts';

/** Docker's log driver and its options. */
export interface LogConfig {
  readonly Type: string;
  readonly Config: Readonly<Record<string, string>>;
}

export interface Made {
  readonly spec: NodeSpec;
  readonly hash: string;
  readonly digest: string;
  /** The reference that names exactly the image with this digest. */
  readonly image: string;
  readonly labelId: string;
  readonly network: string;
  readonly log: LogConfig;
}

/** Limits the size of the log. Docker can read it back. */
export const LOCAL_LOG: LogConfig = { Type: 'local', Config: { 'max-size': '20m', 'max-file': '3' } };

/** The container gets no restart policy yet. It gets one when it is accepted. */
export function createBody(owner: Owner, made: Made): Dockerode.ContainerCreateOptions {
  const { spec, hash, digest, labelId } = made;
  const { name: node, environment = {}, ports = [], mounts = [], limits = {}, loggingLevel } = spec;
  const variables = { ...environment, ...(loggingLevel !== undefined && { LOGGING_LEVEL: loggingLevel }) };
  const handOverFile = handOverFileOf(spec);
  const labelled = { node, hash, digest, ports: fixedPorts(spec), labelId, handOverFile };
  return {
    Image: made.image,
    Hostname: node,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    Labels: { ...spec.labels, ...labelsOf(owner, labelled) },
    ExposedPorts: Object.fromEntries(ports.map((port) => [portOf(port), {}])),
    HostConfig: {
      NetworkMode: made.network,
      RestartPolicy: { Name: 'no' },
      LogConfig: made.log,
      Mounts: mounts.map(mountOf),
      PortBindings: bindingsOf(ports),
      ...(limits.memory !== undefined && { Memory: bytes(limits.memory), MemorySwap: bytes(limits.memory) }),
      ...(limits.cpus !== undefined && { NanoCpus: Math.round(limits.cpus * 1e9) }),
      ...(limits.pids !== undefined && { PidsLimit: limits.pids }),
    },
  } as Dockerode.ContainerCreateOptions;
}

function portOf({ containerPort, protocol = 'tcp' }: PortSpec): string {
  return `${containerPort}/${protocol}`;
}

/** A container port may have several host ports. */
function bindingsOf(ports: readonly PortSpec[]): Dockerode.PortMap {
  const grouped = Object.entries(Object.groupBy(ports, portOf));
  return Object.fromEntries(grouped.map(([port, list = []]) => [port, list.map(bindingOf)]));
}

function bindingOf({ hostAddress: HostIp = '', hostPort }: PortSpec): { HostIp: string; HostPort: string } {
  return { HostIp, HostPort: hostPort === undefined ? '' : String(hostPort) };
}

/**
 * Uses a mount instead of a bind string. With a bind string, Docker would create a missing host directory and mount it
 * empty; with a mount it returns an error.
 */
function mountOf({ source, target: Target }: MountSpec) {
  if (source?.startsWith('/')) return { Type: 'bind', Source: source, Target };
  return source === undefined ? { Type: 'volume', Target } : { Type: 'volume', Source: source, Target };
}

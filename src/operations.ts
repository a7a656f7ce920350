/** What operators can ask about the service, and do with it, apart from its containers. */

import type { Docker } from '../docker-engine/docker.ts';
import { Introspection } from '../ecs-agent-bridge/agent/introspection.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { readHostId } from '../host/host-id.ts';
import type { NoticeView } from '../host/notices.ts';
import type { History } from '../httpserver/v1/history-schemas.ts';
import type { Operations } from '../httpserver/v1/operations.ts';
import type { Host } from '../httpserver/v1/schemas.ts';
import type { Nodes } from '../managed-nodes/nodes.ts';
import { Diagnoses } from './doctor/diagnoses.ts';
import { VERSION } from './version.ts';

export interface OperatedService {
  /** The state that operators see. */
  readonly state: Host['state'];
  readonly docker: Docker | undefined;
  /** The number of containers that it hosts. */
  readonly containers: number;
  readonly hasAgent: boolean;
  /** undefined if no feed is configured, and until the start has reached the nodes. */
  readonly nodes: Nodes | undefined;
  /** The notices of EC2 about this host. */
  readonly notices: readonly NoticeView[];
  readonly metrics: { readonly history: { readonly view: History } };
  drain(): void;
}

export interface OperationsOptions {
  readonly service: OperatedService;
  readonly environment: NodeJS.ProcessEnv;
  /** The value of APP_ENV. */
  readonly appEnv: string;
  readonly commit: string;
  /** The directory of the host id. */
  readonly state: string;
}

export function operationsOf({ service, environment, appEnv, commit, state }: OperationsOptions): Operations {
  const started = new Date().toISOString();
  const introspection = new Introspection();
  const diagnoses = new Diagnoses(environment);
  return {
    describeHost: async () => {
      const { docker, containers } = service;
      if (!docker) throw new ServiceError('service.starting', {});
      return {
        id: await readHostId(state),
        version: VERSION,
        commit,
        environment: appEnv,
        state: service.state,
        started,
        docker: await docker.version(),
        containers,
        notices: service.notices,
      };
    },
    describeAgent: async () => {
      if (!service.hasAgent) throw new ServiceError('agent.none', {});
      try {
        return await introspection.describe();
      } catch (error) {
        throw new ServiceError('agent.silent', { why: messageOf(error) }, { cause: error });
      }
    },
    history: () => service.metrics.history.view,
    diagnose: () => diagnoses.latest(),
    nodes: () => {
      if (!service.docker) throw new ServiceError('service.starting', {});
      if (!service.nodes) throw new ServiceError('node.none', {});
      return service.nodes;
    },
    drain: () => {
      service.drain();
      return service.containers;
    },
  };
}

/** The paths of the service's files, all below one root directory. */

import { join } from 'node:path';

export interface Paths {
  readonly root: string;
  /** Contains one directory for each container, and `temp/`. */
  readonly containers: string;
  /** Users' files that were too large to be saved, kept for some hours. */
  readonly kept: string;
  /** Contains `<container id>/sockets/`, which the container sees as /tmp/sockets. */
  readonly temporary: string;
  /** dockerd creates directories here for a bind mount that the programs no longer use. */
  readonly cloudStorage: string;
  /** The certificate and its key. */
  readonly private: string;
  /** The lock and logs. They do not survive a reboot. */
  readonly run: string;
  /** The ledger. It contains secrets and must never be on a disk. */
  readonly ledger: string;
  /** The socket that serves Docker's API to the ECS agent and to other clients that create hosted containers. */
  readonly dockerProxy: string;
  /** The socket of the operator's API. */
  readonly apiSocket: string;
  /** The log of a `wait` process that no systemd unit runs. */
  readonly waitLog: string;
  /** The operator's files: the environment of the installed service, and its secrets. */
  readonly settings: string;
  /** The host id and other state that survives reboots. */
  readonly state: string;
  /** Saved user configs that wait for their upload to S3. */
  readonly spool: string;
  /** The resources of ended containers, and how each was observed to be gone. */
  readonly receipts: string;
  /** The last output of ended containers. */
  readonly logs: string;
  /** The data of managed nodes that outlives the service. */
  readonly nodes: string;
  readonly agent: AgentPaths;
}

/** The files of the Amazon ECS agent, at the paths of its packages. */
export interface AgentPaths {
  /** The operator's settings for the agent. */
  readonly config: string;
  /** The packages' own settings for the agent. The operator's settings take precedence. */
  readonly packagedConfig: string;
  readonly state: string;
  /** The default path of the agent's saved state. */
  readonly data: string;
  readonly log: string;
  /** Images of the agent. */
  readonly cache: string;
  /** Exists if systemd runs. */
  readonly systemd: string;
}

export function pathsBelow(root: string): Paths {
  return {
    root,
    containers: join(root, 'fractal'),
    kept: join(root, 'fractal/kept'),
    temporary: join(root, 'fractal/temp'),
    cloudStorage: join(root, 'fractalCloudStorage'),
    private: join(root, 'fractalprivate'),
    run: join(root, 'run/ecs-host-service'),
    ledger: join(root, 'run/ecs-host-service/ledger'),
    dockerProxy: join(root, 'run/ecs-host-service/docker.sock'),
    apiSocket: join(root, 'run/ecs-host-service/api.sock'),
    waitLog: join(root, 'run/ecs-host-service/wait.log'),
    settings: join(root, 'etc/ecs-host-service'),
    state: join(root, 'var/lib/ecs-host-service'),
    spool: join(root, 'var/lib/ecs-host-service/spool'),
    receipts: join(root, 'var/lib/ecs-host-service/receipts'),
    logs: join(root, 'var/lib/ecs-host-service/logs'),
    nodes: join(root, 'var/lib/ecs-host-service/nodes'),
    agent: {
      config: join(root, 'etc/ecs/ecs.config'),
      packagedConfig: join(root, 'var/lib/ecs/ecs.config'),
      state: join(root, 'var/lib/ecs'),
      data: join(root, 'var/lib/ecs/data'),
      log: join(root, 'var/log/ecs'),
      cache: join(root, 'var/cache/ecs'),
      systemd: join(root, 'run/systemd/system'),
    },
  };
}

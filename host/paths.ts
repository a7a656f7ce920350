/** Where the service keeps its files: everything lies below one root directory. */

import { join } from 'node:path';

export interface Paths {
  readonly root: string;
  /** One directory for each container, and `temp/`. */
  readonly containers: string;
  /** Files of users that were too large to be saved, for some hours. */
  readonly kept: string;
  /** `<container id>/sockets/`, which a container sees as /tmp/sockets. */
  readonly temporary: string;
  /** dockerd makes directories here for a bind that the programs no longer use. */
  readonly cloudStorage: string;
  /** Certificate and key. */
  readonly private: string;
  /** Lock and logs, gone after a reboot. */
  readonly run: string;
  /** Of what is held; with secrets, so never on a disk. */
  readonly ledger: string;
  /** On it Docker's API is served to the ECS agent and whoever else wants hosted containers. */
  readonly dockerProxy: string;
  /** On it operators on this host are served. */
  readonly apiSocket: string;
  /** Of whoever waits for the containers of a dead service, when no unit keeps it. */
  readonly waitLog: string;
  /** What an operator wrote: the environment of the installed service, and its secrets. */
  readonly settings: string;
  /** Host id, kept for ever. */
  readonly state: string;
  /** Saved user configs that wait for S3. */
  readonly spool: string;
  /** What ended containers had, and how it was seen gone. */
  readonly receipts: string;
  /** The last of what ended containers wrote. */
  readonly logs: string;
  /** Of managed nodes, what outlives the service. */
  readonly nodes: string;
  readonly agent: AgentPaths;
}

/** The files of the Amazon ECS agent, where its packages have them. */
export interface AgentPaths {
  /** The operator's settings for it. */
  readonly config: string;
  /** Its packages' own settings for it, which those of the operator come after. */
  readonly packagedConfig: string;
  readonly state: string;
  /** By default, what it remembers from start to start. */
  readonly data: string;
  readonly log: string;
  /** Images of the agent. */
  readonly cache: string;
  /** There where systemd runs. */
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

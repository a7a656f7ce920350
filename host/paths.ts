/** Where the service keeps its files: everything lies below one root directory. */

import { join } from 'node:path';

export interface Paths {
  readonly root: string;
  /** One directory for each container, and `temp/`. */
  readonly containers: string;
  /** `<container id>/sockets/`, which a container sees as /tmp/sockets. */
  readonly temporary: string;
  /** dockerd makes directories here for a bind that the programs no longer use. */
  readonly cloudStorage: string;
  /** Certificate and key. */
  readonly private: string;
  /** Lock and logs, gone after a reboot. */
  readonly run: string;
  /** Host id, kept for ever. */
  readonly state: string;
  /** Saved user configs that wait for S3. */
  readonly spool: string;
}

export function pathsBelow(root: string): Paths {
  return {
    root,
    containers: join(root, 'fractal'),
    temporary: join(root, 'fractal/temp'),
    cloudStorage: join(root, 'fractalCloudStorage'),
    private: join(root, 'fractalprivate'),
    run: join(root, 'run/ecs-host-service'),
    state: join(root, 'var/lib/ecs-host-service'),
    spool: join(root, 'var/lib/ecs-host-service/spool'),
  };
}

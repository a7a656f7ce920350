/** Opens a terminal in the container of a node through an exec of Docker. */

import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { Exec } from '../docker-engine/exec.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Size } from '../ttys/pty.ts';
import type { Terminal } from '../ttys/terminal.ts';
import type { Terminals } from '../ttys/terminals.ts';

export interface NodeTerminal {
  readonly node: string;
  readonly id: DockerId;
  readonly docker: Docker;
  /** A new lifetime that only this terminal uses. */
  readonly lifetime: Lifetime;
  readonly command: readonly [string, ...string[]];
  readonly user: string | undefined;
  readonly type: string;
  readonly size: Size;
  readonly by: string;
}

/** @throws {ServiceError} `terminal.too_many`, `docker.*` */
export function openTerminalInNode(
  terminals: Terminals,
  { node, id: dockerId, docker, lifetime, command, user, type, size, by }: NodeTerminal,
): Promise<Terminal> {
  const opening = { container: node, program: command[0], user, size, by };
  return terminals.open(lifetime, opening, (terminal, signal) =>
    Exec.start(docker, { terminal, dockerId, command, user, type, size }, signal),
  );
}

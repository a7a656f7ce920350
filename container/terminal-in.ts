/** Opens terminals in containers. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { Exec } from '../docker-engine/exec.ts';
import type { Size } from '../ttys/pty.ts';
import type { Terminal } from '../ttys/terminal.ts';
import type { HostedContainer } from './container.ts';
import type { Surroundings } from './surroundings.ts';

export interface TerminalRequest {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** In Docker's format, such as `root` or `1000:1000`; undefined: the container's default user. */
  readonly user: string | undefined;
  /** The value of TERM. */
  readonly type: string;
  readonly size: Size;
  /** Who opens it. */
  readonly by: string;
}

/** @throws {ServiceError} `container.not_running`, `terminal.too_many`, `docker.*` */
export async function openTerminalIn(
  container: HostedContainer,
  { docker, terminals }: Pick<Surroundings, 'docker' | 'terminals'>,
  { command, user, type, size, by }: TerminalRequest,
): Promise<Terminal> {
  const opening = { container: container.id, program: command[0], user, size, by };
  return await terminals.open(container.lend('terminal'), opening, (terminal, signal) => {
    const dockerId = container.dockerId as DockerId;
    return Exec.start(docker, { terminal, dockerId, command, user, type, size }, signal);
  });
}

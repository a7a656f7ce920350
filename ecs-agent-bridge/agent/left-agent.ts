/**
 * Stops an agent that a crashed service left. It would continue with its tasks, but its requests to Docker would fail,
 * and no other agent could use its data directory. Its containers are not touched.
 */

import type { Docker } from '../../docker-engine/docker.ts';
import type { Paths } from '../../host/paths.ts';
import { end } from '../../host/processes.ts';
import type { Ledger, Page } from '../../lifetime/ledger.ts';
import type { Logger } from '../../logging/logger.ts';
import { childEnvironment } from '../../settings/load.ts';
import { AgentDocker } from './agent-docker.ts';
import { CONTAINER_NAME, isOurs } from './container.ts';
import { Systemctl } from './systemctl.ts';
import { UNIT_KIND, undoUnit } from './unit.ts';
import type { AgentFacts, Mode } from './way.ts';

/** The name of every lifetime that holds resources of the agent. */
export const AGENT_LIFETIME = 'ecs agent';
/** The kind of owner in the ledger, and the name of its page. */
export const AGENT_PAGE = 'ecs-agent';
/** The kind of holding for the agent itself; `what` is its mode. */
export const AGENT_KIND = 'ecs agent';

/** Milliseconds between the request to exit and the kill. */
export const GRACE = 10_000;

export interface LeftAgentOptions {
  readonly ledger: Pick<Ledger, 'remove'>;
  readonly paths: Paths;
  readonly hostId: string;
  readonly docker: Pick<Docker, 'socket' | 'remove'>;
  readonly proxySocket: string;
  /** The environment of this process. */
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/**
 * Stops the agent that the pages name and removes what was created for it. It touches only what is proven to belong to
 * this host's agent, and can be repeated.
 * @throws {ServiceError} `docker.*`, `agent.systemd`; its page stays then
 */
export async function stopLeftAgent(pages: readonly Page[], options: LeftAgentOptions): Promise<void> {
  const page = pages.find(({ name }) => name === AGENT_PAGE);
  if (!page) return;
  const mode = modeOn(page);
  const { pid, startTime } = (page.facts ?? {}) as AgentFacts;
  options.log.warn({ mode, pid }, 'stopping the ECS agent of a crashed service');
  const agents = pid !== undefined && startTime !== undefined ? [{ pid, startTime }] : [];
  if (await end(agents, GRACE)) warnOfKill(options.log);
  if (mode === 'container') await removeContainer(options);
  if (mode === 'unit') {
    const { environment, paths, proxySocket: socket } = options;
    const isKilled = await undoUnit(new Systemctl(childEnvironment(environment)), {
      paths: paths.agent,
      socket,
    });
    if (isKilled) warnOfKill(options.log);
  }
  options.ledger.remove(AGENT_PAGE);
}

/** A killed agent may not have saved its latest state. */
export function warnOfKill(log: Logger): void {
  const text =
    'the ECS agent did not exit when asked, so the service killed it; its last log lines say what it was doing';
  log.warn({ seconds: GRACE / 1000 }, text);
}

/** The unit is changed before its agent is started. */
function modeOn({ entries }: Page): Mode | undefined {
  const agent = entries.find(({ kind }) => kind === AGENT_KIND);
  if (agent) return agent.what as Mode;
  return entries.some(({ kind }) => kind === UNIT_KIND) ? 'unit' : undefined;
}

async function removeContainer({ docker, hostId }: LeftAgentOptions): Promise<void> {
  const api = await AgentDocker.open(docker.socket);
  const found = await api.find(CONTAINER_NAME);
  if (found && isOurs(found, hostId)) await docker.remove(found.dockerId);
}

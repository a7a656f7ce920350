/**
 * Looks at this host, for people and for tests: what the ECS agent says of itself, and leaks, which are what ledger,
 * Docker and kernel do not agree about. It changes nothing.
 */

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Docker } from '../container/docker.ts';
import { compare, look } from '../container/leaks.ts';
import { type AgentTask, Introspection } from '../ecs-agent-bridge/agent/introspection.ts';
import { messageOf } from '../errors/service-error.ts';
import { exists } from '../host/directories.ts';
import { readHostId } from '../host/host-id.ts';
import { type Paths, pathsBelow } from '../host/paths.ts';
import { Ledger, type Page } from '../lifetime/ledger.ts';
import { loadSome } from '../settings/load.ts';
import { pageOf } from './observe.ts';

/** What begins or ends at this moment looks like a leak; what still does so after these milliseconds is one. */
const SECOND_LOOK = 2000;

export interface Report {
  readonly leaks: readonly string[];
  /** For people. */
  readonly text: string;
}

/** @throws {ServiceError} `start.settings`, `docker.*` */
export async function findLeaks(environment: NodeJS.ProcessEnv): Promise<Report> {
  const { ROOT, DOCKER_HOST } = loadSome(environment, ['ROOT', 'DOCKER_HOST']);
  const paths = pathsBelow(ROOT);
  const docker = await Docker.open(DOCKER_HOST);
  let { leaks, pages } = await lookOnce(docker, paths);
  if (leaks.length > 0) {
    await pause(SECOND_LOOK);
    const second = await lookOnce(docker, paths);
    leaks = leaks.filter((leak) => second.leaks.includes(leak));
    pages = second.pages;
  }
  const held = pages.reduce((sum, { entries }) => sum + entries.length, 0);
  const text =
    leaks.length > 0
      ? leaks.join('\n')
      : `No leaks: ${held} holdings on ${pages.length} pages of the ledger agree with Docker and the kernel.`;
  return { leaks, text: `${text}\n` };
}

async function lookOnce(docker: Docker, paths: Paths): Promise<{ leaks: string[]; pages: Page[] }> {
  const pages = new Ledger(paths.ledger, pageOf).open();
  // Whoever reads an id that is not there makes one.
  const isKnown = await exists(join(paths.state, 'host-id'));
  const listed = isKnown ? await docker.list(await readHostId(paths.state)) : [];
  return { leaks: compare(await look(pages, listed, paths)), pages };
}

/** What the ECS agent on this host says of itself, whoever runs it. */
export async function describeAgent(introspection = new Introspection()): Promise<string> {
  try {
    const { cluster, containerInstance, version } = await introspection.metadata();
    const lines = [
      `ECS agent:          ${version}`,
      `cluster:            ${cluster}`,
      `container instance: ${containerInstance}`,
      ...(await introspection.tasks()).flatMap(describeTask),
    ];
    return `${lines.join('\n')}\n`;
  } catch (error) {
    return `${messageOf(error)}: none runs, or it has not registered.\n`;
  }
}

function describeTask({ arn, family, knownStatus, desiredStatus, containers }: AgentTask): string[] {
  const wanted = desiredStatus && desiredStatus !== knownStatus ? `, to be ${desiredStatus}` : '';
  return [
    `task ${arn}: ${family}, ${knownStatus}${wanted}`,
    ...containers.map(({ name, dockerId, ports }) => `  ${[name, dockerId, ...ports].join(' ')}`),
  ];
}

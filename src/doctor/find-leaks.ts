/** Finds leaks for people and tests: differences between the ledger, Docker and the kernel. It changes nothing. */

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { compare, look } from '../../container/after-death/leaks.ts';
import { HostedDocker } from '../../container/hosted-docker.ts';
import { exists } from '../../host/directories.ts';
import { readHostId } from '../../host/host-id.ts';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { Ledger, type Page } from '../../lifetime/ledger.ts';
import { loadSome } from '../../settings/load.ts';
import type { Diagnosis } from './doctor.ts';

/**
 * The pause before the second look, in milliseconds. A starting or ending container looks like a leak, so a leak counts
 * only if the second look confirms it.
 */
const SECOND_LOOK = 2000;

/** @throws {ServiceError} `start.settings`, `docker.*` */
export async function findLeaks(environment: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const { leaks, pages } = await leaksOf(environment);
  const held = pages.reduce((sum, { entries }) => sum + entries.length, 0);
  const text =
    leaks.length > 0
      ? leaks.join('\n')
      : `No leaks: ${held} holdings on ${pages.length} pages of the ledger agree with Docker and the kernel.`;
  return { isSound: leaks.length === 0, text: `${text}\n` };
}

/** @returns the leaks, one line each, and the pages of the ledger @throws {ServiceError} as above */
export async function leaksOf(environment: NodeJS.ProcessEnv): Promise<{ leaks: string[]; pages: Page[] }> {
  const { ROOT, DOCKER_HOST } = loadSome(environment, ['ROOT', 'DOCKER_HOST']);
  const paths = pathsBelow(ROOT);
  const docker = await HostedDocker.open(DOCKER_HOST);
  let { leaks, pages } = await lookOnce(docker, paths);
  if (leaks.length > 0) {
    await pause(SECOND_LOOK);
    const second = await lookOnce(docker, paths);
    leaks = leaks.filter((leak) => second.leaks.includes(leak));
    pages = second.pages;
  }
  return { leaks, pages };
}

async function lookOnce(docker: HostedDocker, paths: Paths): Promise<{ leaks: string[]; pages: Page[] }> {
  const pages = new Ledger(paths.ledger).open();
  // Reading a missing host id would create one.
  const isKnown = await exists(join(paths.state, 'host-id'));
  const listed = isKnown ? await docker.hosted(await readHostId(paths.state)) : [];
  return { leaks: compare(await look(pages, listed, paths)), pages };
}

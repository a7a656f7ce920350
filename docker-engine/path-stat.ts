/** Looks up a path in a container without reading the file. Source: the Engine's API, "Get information about files". */

import type { IncomingMessage } from 'node:http';
import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';
import { unlessStatus } from './failures.ts';

const PATIENCE = 10_000;

/** @returns the description of the file, as JSON in base64; undefined if Docker finds no such file or container */
export async function pathStat(
  docker: Pick<Docker, 'call'>,
  id: DockerId,
  path: string,
): Promise<string | undefined> {
  return await docker.call('inspect', PATIENCE, (abortSignal, api) =>
    api
      .getContainer(id)
      .infoArchive({ path, abortSignal })
      .then((answer: IncomingMessage) => {
        // The head contains all information. Without this, the connection would stay open.
        answer.destroy();
        return answer.headers['x-docker-container-path-stat'] as string | undefined;
      })
      .catch(unlessStatus(404)),
  );
}

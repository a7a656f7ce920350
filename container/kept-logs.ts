/**
 * The last output of a container, which is kept in a file after its end, because Docker's log is removed with the
 * Docker container. It may contain users' secrets. So it is never logged or reported, and only root can read it.
 *
 * If the Docker container has already been removed, its output cannot be kept. The end of a container does not wait
 * long for this.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerId } from '../docker-engine/docker-id.ts';
import type { LogLine } from '../docker-engine/log-lines.ts';
import { type Asked, type LogWanted, openLog } from '../docker-engine/logs.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { removeDrafts, writeFileAtomically } from '../host/atomic-file.ts';
import { removeOldest } from '../host/old-files.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import type { ContainerId } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** The maximum for one container: the number of last lines, and the bytes of the file. */
const MOST_LINES = 2000;
const MOST_BYTES = 256 * 1024;
const MOST_FILES = 1000;
/** The time limit for Docker's answer, in milliseconds. */
const PATIENCE = 5000;

/** Resolves when the file was written, or when that failed. */
export async function keepLog(
  { docker, paths, log }: Pick<Surroundings, 'paths' | 'log'> & { readonly docker: Asked },
  id: ContainerId,
  dockerId: DockerId,
): Promise<void> {
  try {
    const text = await withDeadline(PATIENCE, 'reading its log', (signal) =>
      lastOf(docker, dockerId, signal),
    );
    await writeFileAtomically(join(paths.logs, `${id}.log`), text, 0o600);
    await removeOldest(paths.logs, MOST_FILES);
  } catch (error) {
    const isMeant = error instanceof ServiceError && error.code === 'log.unreadable';
    const level = isMeant ? 'info' : 'warn';
    log[level]({ container: id, why: messageOf(error) }, 'the log of a container could not be kept');
  }
}

/** As lines of JSON. */
async function lastOf(docker: Asked, id: DockerId, signal: AbortSignal): Promise<string> {
  const kept: string[] = [];
  let bytes = 0;
  for await (const line of await openLog(docker, id, { tail: MOST_LINES }, signal)) {
    const text = `${JSON.stringify(line)}\n`;
    kept.push(text);
    bytes += Buffer.byteLength(text);
    while (bytes > MOST_BYTES) bytes -= Buffer.byteLength(kept.shift() as string);
  }
  return kept.join('');
}

/**
 * @param name the container id, or the beginning of it if that is unique among the kept logs
 * @throws {ServiceError} `container.no_log`, `container.ambiguous`
 */
export async function keptLog(
  directory: string,
  name: string,
  { tail = MOST_LINES, stream }: LogWanted,
): Promise<readonly LogLine[]> {
  const files = await readdir(directory).catch(() => []);
  const [file, ...others] = files.filter((one) => one.startsWith(name) && /^[0-9a-f]{60}\.log$/.test(one));
  if (others.length > 0) throw new ServiceError('container.ambiguous', { name });
  const text = file && (await readFile(join(directory, file), 'utf8').catch(() => undefined));
  if (text === undefined) throw new ServiceError('container.no_log', { name });
  const lines = text.split('\n').slice(0, -1);
  const last = lines.slice(Math.max(0, lines.length - tail)).map((line): LogLine => JSON.parse(line));
  return last.filter((line) => (stream ?? line.stream) === line.stream);
}

/** Removes all but the newest 1000 files, and incomplete files of a crashed service. Never rejects. */
export async function removeOldLogs(directory: string, log: Logger): Promise<void> {
  try {
    await removeDrafts(directory);
    await removeOldest(directory, MOST_FILES);
  } catch (error) {
    log.warn({ why: messageOf(error) }, 'could not remove old logs of containers');
  }
}

/**
 * The log of a container by any of its names: Docker's log while it exists, and the kept one afterwards. Each line has
 * an id, so that a reader can resume after an interruption.
 *
 * INVARIANTS
 * - A reader that resumes after a line misses nothing that still exists. It may receive lines again that Docker did not
 *   sort by time.
 */

import { statusOf } from '../docker-engine/failures.ts';
import type { LogLine } from '../docker-engine/log-lines.ts';
import { type LogWanted, openLog } from '../docker-engine/logs.ts';
import { ServiceError } from '../errors/service-error.ts';
import { keptLog } from './kept-logs.ts';
import { isNamed, type Tracker } from './tracker.ts';

/** The time of a line, and its position among the lines with that time: all pieces of a line have the same time. */
export const LINE_ID = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)-([1-9]\d{0,8})$/;

export interface PlacedLine {
  readonly id: string;
  readonly line: LogLine;
}

/**
 * Resolves when the log can be read.
 * @param after the id of the last known line, which replaces `tail`
 * @throws {ServiceError} `container.*`, `log.unreadable`, `docker.*`
 */
export async function logOf(
  tracker: Tracker,
  name: string,
  wanted: Omit<LogWanted, 'since'>,
  after: string | undefined,
  signal: AbortSignal,
): Promise<AsyncGenerator<PlacedLine>> {
  return await placedLog((what) => open(tracker, name, what, signal), wanted, after);
}

/** The lines of any log with their ids, from the line after `after` on. */
export async function placedLog(
  open: (wanted: LogWanted) => Promise<AsyncIterable<LogLine> | Iterable<LogLine>>,
  { tail, ...wanted }: Omit<LogWanted, 'since'>,
  after: string | undefined,
): Promise<AsyncGenerator<PlacedLine>> {
  const [, since] = LINE_ID.exec(after ?? '') ?? [];
  return placed(await open(since ? { ...wanted, since } : { ...wanted, tail }), after, since);
}

async function open(tracker: Tracker, name: string, wanted: LogWanted, signal: AbortSignal) {
  const { docker, paths } = tracker.host;
  if (!tracker.list().some((one) => isNamed(one, name))) return await keptLog(paths.logs, name, wanted);
  const { id, dockerId, view } = tracker.named(name);
  if (!dockerId || view.state === 'created') throw new ServiceError('container.not_running', { id });
  try {
    return await openLog(docker, dockerId, wanted, signal);
  } catch (error) {
    // It was removed while it was ending.
    if (statusOf(error) === 404) return await keptLog(paths.logs, id, wanted);
    throw error;
  }
}

/** @param since the time in `after` */
async function* placed(
  lines: AsyncIterable<LogLine> | Iterable<LogLine>,
  after: string | undefined,
  since = '',
): AsyncGenerator<PlacedLine> {
  let [isKnown, time, number] = [since !== '', '', 0];
  for await (const line of lines) {
    number = line.at === time ? number + 1 : 1;
    time = line.at;
    const id = `${time}-${number}`;
    if (time > since) isKnown = false;
    if (!isKnown) yield { id, line };
    if (id === after) isKnown = false;
  }
}

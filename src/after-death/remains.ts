/**
 * Handles what a crashed service left beside its containers: its certificate, and its empty directories. It also counts
 * what must not be lost with the host.
 */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isContainerId } from '../../container/identity.ts';
import { countKept } from '../../container/kept-files.ts';
import { removeDrafts } from '../../host/atomic-file.ts';
import { exists, removeIfEmpty } from '../../host/directories.ts';
import type { Paths } from '../../host/paths.ts';
import { draftOf } from '../../host/socket-place.ts';
import type { Entry, Page } from '../../lifetime/ledger.ts';
import { lastLinesIn } from '../../logging/last-lines.ts';
import { readRecord } from '../../user-configs/session.ts';
import { pageIn } from '../reporting.ts';

/** Removes what the service's own page names. Can be repeated. */
export async function removeRemains(pages: readonly Page[]): Promise<void> {
  const entries = pageIn(pages)?.entries ?? [];
  for (const kind of ['file', 'docker proxy', 'api socket']) {
    for (const path of pathsOf(entries, kind)) await rm(path, { force: true });
  }
  // The longest paths first, because they are inside the others.
  const directories = pathsOf(entries, 'shared directory').sort((a, b) => b.length - a.length);
  for (const path of directories) {
    await removeDrafts(path);
    await removeIfEmpty(path);
  }
}

/** Removes the files that only a running service or its successor needs. Can be repeated. */
export async function clearRunDirectory({ run, waitLog, apiSocket, dockerProxy }: Paths): Promise<void> {
  const files = [...lastLinesIn(run), waitLog, draftOf(apiSocket), draftOf(dockerProxy)];
  for (const file of files) await rm(file, { force: true });
  await removeDrafts(run);
}

/**
 * @returns the number of containers whose users' files exist only on this host; while there are any, the instance must
 * stay
 */
export async function countUnsaved(paths: Paths): Promise<number> {
  const { containers, spool } = paths;
  const records = await Promise.all(
    (await namesIn(containers)).filter(isContainerId).map((id) => readRecord(join(containers, id))),
  );
  const waiting = (await namesIn(spool)).filter((name) => name.endsWith('.json'));
  return waiting.length + records.filter(Boolean).length + (await countKept(paths));
}

async function namesIn(path: string): Promise<string[]> {
  return (await exists(path)) ? await readdir(path) : [];
}

function pathsOf(entries: readonly Entry[], kind: string): string[] {
  return entries.filter((entry) => entry.kind === kind).map(({ what }) => what);
}

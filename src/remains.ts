/**
 * What a dead service leaves beside its containers: its certificate, and directories that it made and that are empty
 * once everything else is gone.
 */

import { rm, rmdir } from 'node:fs/promises';
import { isSystemError } from '../errors/service-error.ts';
import type { Entry, Page } from '../lifetime/ledger.ts';
import { pageIn } from './reporting.ts';

/** Removes what the service's own page names. The same again does no harm. */
export async function removeRemains(pages: readonly Page[]): Promise<void> {
  const entries = pageIn(pages)?.entries ?? [];
  for (const path of pathsOf(entries, 'file')) await rm(path, { force: true });
  // The longest first: what is in another one.
  const directories = pathsOf(entries, 'shared directory').sort((a, b) => b.length - a.length);
  for (const path of directories) await removeIfEmpty(path);
}

export async function removeIfEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'ENOENT')) throw error;
  }
}

function pathsOf(entries: readonly Entry[], kind: string): string[] {
  return entries.filter((entry) => entry.kind === kind).map(({ what }) => what);
}

/**
 * Handles what a crashed service left of containers on the disk. Users' files are saved before they are removed. If
 * saving fails, they stay until the next start.
 */

import { readdir } from 'node:fs/promises';
import { messageOf } from '../../errors/service-error.ts';
import { readRecord } from '../../user-configs/session.ts';
import { directoriesOf, removeDirectories } from '../directories.ts';
import { isFinal, keepFiles } from '../kept-files.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Tracker } from '../tracker.ts';
import { NOT_SAVED } from '../user-config.ts';

const CONTAINER_ID = /^[0-9a-f]{60}$/;

/** Removes the directories of a container that does not run, unless they contain files that must be saved first. */
export async function removeLeftOf({ paths }: Pick<Surroundings, 'paths'>, id: string): Promise<void> {
  const { own } = directoriesOf(paths, id);
  if ((await readRecord(own)) === undefined) await removeDirectories(paths, id);
}

/**
 * Finds files that an earlier service did not save. Called when none of its containers runs. The saving continues after
 * this returns.
 */
export async function saveAllLeft(tracker: Tracker): Promise<void> {
  const { host, lifetime } = tracker;
  if (!host.keeping) return;
  const names = await readdir(host.paths.containers);
  for (const id of names.filter((name) => CONTAINER_ID.test(name))) {
    if (tracker.list().some((container) => container.id === id)) continue;
    void lifetime.track(`saving what is left of ${id}`, saveLeftOf(tracker, id));
  }
}

async function saveLeftOf({ host, lifetime }: Tracker, id: string): Promise<void> {
  const { keeping, paths, log } = host;
  const { own, userConfig } = directoriesOf(paths, id);
  try {
    const record = await readRecord(own);
    const session = record && (await keeping?.configs.resume(record, own, userConfig));
    if (!session) return;
    const saved = await session.save(lifetime.signal);
    await removeDirectories(paths, id);
    log.warn({ container: id, saved }, 'saved the user config of a container of a crashed service');
  } catch (error) {
    if (isFinal(error)) {
      const path = await keepFiles(paths, id, own);
      await removeDirectories(paths, id);
      keeping?.configs.tellTooLarge();
      log.error({ container: id, error, path }, NOT_SAVED);
      return;
    }
    log.error(
      { container: id, own, why: messageOf(error) },
      'could not save a user config that a crashed service left; it stays until the next start',
    );
  }
}

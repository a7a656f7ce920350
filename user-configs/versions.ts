/**
 * The names of saved archives, and which archives are kept. A save belongs to a session (one container's use of the
 * files) and has a number that increases with each save. A new save of a session makes its earlier ones superfluous. So
 * the last save of each session can be restored, and the latest of these are kept.
 *
 *   <directory>/<time>-<session>-<sequence>.age
 *     a whole archive
 *   <directory>/<time>-<session>-<sequence>+<time>-<session>-<sequence>.age
 *     changes, and the archive that they are relative to
 */

import type { Current, Save } from './current.ts';
import type { Stored } from './store.ts';

/** `aside`: saves of sessions that must not become current. */
export type Directory = 'versions' | 'aside';

/** A version that can be restored. */
export interface Version extends Save, Pick<Current, 'version' | 'changes'> {
  readonly directory: Directory;
  /** When it was stored. */
  readonly at: Date;
  /** The size of its last archive. */
  readonly bytes: number;
}

const SAVE = '\\d{8}T\\d{6}Z-[0-9a-f]+-\\d+';
const NAME = new RegExp(`^(versions|aside)/(${SAVE})(?:\\+(${SAVE}))?\\.age$`);

/** Milliseconds in which an unreferenced archive may still become current. */
const GRACE = 3_600_000;

/** @param session hexadecimal digits */
export function nameOfVersion(directory: Directory, { session, sequence }: Save, at: Date): string {
  return `${directory}/${saveWord(session, sequence, at)}.age`;
}

/** @param version the archive that the changes are relative to */
export function nameOfChanges(version: string, { session, sequence }: Save, at: Date): string {
  return `${version.replace(/\.age$/, '')}+${saveWord(session, sequence, at)}.age`;
}

function saveWord(session: string, sequence: number, at: Date): string {
  const time = `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  return `${time}-${session}-${sequence}`;
}

/** The versions that can be restored, the latest first. */
export function versionsAmong(objects: readonly Stored[]): Version[] {
  const names = new Set(objects.map(({ name }) => name));
  return objects
    .flatMap((one) => understand(one) ?? [])
    .filter(({ version }) => names.has(version))
    .sort((a, b) => b.at.getTime() - a.at.getTime() || b.sequence - a.sequence);
}

function understand({ name, bytes, at }: Stored): Version | undefined {
  const [, directory, base, changes] = NAME.exec(name) ?? [];
  if (!base) return undefined;
  const [, session, sequence] = (changes ?? base).split('-') as [string, string, string];
  return {
    directory: directory as Directory,
    version: `${directory}/${base}.age`,
    ...(changes && { changes: name }),
    session,
    sequence: Number(sequence),
    at,
    bytes,
  };
}

/**
 * The names of archives that need not be kept, changes before the archives that they are relative to. Other objects are
 * ignored.
 * @param keep how many of each directory are kept
 */
export function superfluous(
  objects: readonly Stored[],
  current: Current | undefined,
  keep: number,
): string[] {
  const versions = versionsAmong(objects);
  const last = versions.filter((one) => !versions.some((other) => supersedes(other, one)));
  const latest = last[0]?.at.getTime() ?? 0;
  const isYoung = ({ at }: Version) => latest - at.getTime() < GRACE;
  const kept = (['versions', 'aside'] as const).flatMap((directory) => {
    const here = last.filter((one) => one.directory === directory);
    return here.filter((one, index) => index < keep || isYoung(one));
  });
  const stay = new Set([...(current ? [current] : []), ...kept].flatMap((one) => [one.version, one.changes]));
  return objects
    .map(({ name }) => name)
    .filter((name) => NAME.test(name) && !stay.has(name))
    .sort((a, b) => Number(b.includes('+')) - Number(a.includes('+')));
}

function supersedes(a: Version, b: Version): boolean {
  return a.session === b.session && a.directory === b.directory && a.sequence > b.sequence;
}

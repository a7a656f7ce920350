/**
 * Detects that S3 returns an older state of a user's files. Anybody who can write to the bucket can restore an old
 * `current.json` or remove it. To detect that, each save has a stamp that only the token's owner can make, and this
 * host remembers the latest current save. The service reports a suspicion but still restores the files, because an old
 * state is better for the user than none, and no stored object is lost.
 */

import { isChosen } from './chosen.ts';
import { type Current, isSame, nameOf } from './current.ts';
import { isBefore, type Placed } from './seen.ts';
import type { Stamp } from './stamp.ts';
import type { Version } from './versions.ts';

/** Milliseconds in which a stored save may not be current yet. */
export const ON_ITS_WAY = 10 * 60_000;
/** The maximum number of saves whose stamps are read. */
const MOST_LOOKED_INTO = 16;

/** What the stamps of a save's archives say. */
export interface Restored {
  /** The stamps of the save's object and of the object that it is relative to. */
  readonly stamp: Stamp | undefined;
  readonly baseStamp: Stamp | undefined;
}

export interface Judged {
  readonly generation: number;
  /** Why `current.json` may not be trustworthy. */
  readonly doubt?: string;
}

/**
 * Compares `current.json` with the stamps of its save.
 * @param secret the webserver's secret, with which operators sign
 */
export function judge(
  { current, stamp, baseStamp }: Restored & { readonly current: Current },
  prefix: string,
  secret: string,
): Judged {
  if (current.chosen !== undefined) {
    if (isChosen(secret, prefix, current)) return { generation: current.generation ?? 0 };
    return {
      generation: stamp?.generation ?? 0,
      doubt:
        'current.json says that an operator has chosen this version, but is not signed by one of this environment',
    };
  }
  const generation = stamp?.generation ?? 0;
  const isOld = current.generation === undefined && !stamp && !baseStamp;
  const agrees = stamp && isSame(stamp, current) && stamp.generation === current.generation;
  if (isOld || agrees) return { generation };
  return { generation, doubt: 'current.json does not say the same of the save as the save says of itself' };
}

/** @param seen what this host knew before it asked S3 */
export function doubtBy(seen: Placed | undefined, found: Placed): string | undefined {
  if (!seen || !isBefore(found, seen)) return undefined;
  return 'current.json names an older save than the last one that this host has known to be current';
}

/**
 * Searches the stored saves for one that was made after the current one and did not replace it.
 * @param now milliseconds since 1970
 * @param look reads the stamp of a save
 */
export async function doubtByNewer(
  { current, generation }: { readonly current: Current; readonly generation: number },
  stored: readonly Version[],
  now: number,
  look: (version: Version) => Promise<Stamp | undefined>,
): Promise<string | undefined> {
  const others = stored.filter(
    (one) => nameOf(one) !== nameOf(current) && now - one.at.getTime() > ON_ITS_WAY,
  );
  const isLater = (one: Version) => one.session === current.session && one.sequence > current.sequence;
  const later = others.find(isLater);
  if (later) return newer(later);
  const own = stored.find((one) => nameOf(one) === nameOf(current));
  const isNewer = (one: Version) => !own || one.at > own.at || timeIn(one) >= timeIn(own);
  const newest = others
    .filter((one) => one.session !== current.session && isNewer(one))
    .sort((a, b) => (timeIn(a) < timeIn(b) ? -1 : 1));
  for (const one of newest.slice(0, MOST_LOOKED_INTO)) {
    const stamp = await look(one);
    if (!stamp) continue;
    const follows = stamp.follows !== undefined && isSame(stamp.follows, current);
    if (follows || stamp.generation > generation + 1) return newer(one);
  }
  return undefined;
}

function newer(version: Version): string {
  return `${nameOf(version)} is newer than the save that current.json names, and follows it`;
}

/** When it was saved, by the clock of its host, as a text that sorts by time. */
function timeIn(version: Version): string {
  return /(\d{8}T\d{6}Z)-[^+]*$/.exec(nameOf(version))?.[1] ?? '';
}

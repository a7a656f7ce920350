/**
 * Notices that S3 gives back an older state of a user's files than it had. Whoever can write to the bucket can put back an
 * old `current.json`, or remove it; each save has a stamp that nobody without the token can make, and this host
 * remembers which save was current last. What is found is told; the files are restored all the same, since an older
 * state is more to a user than none, and nothing that is stored gets lost by it.
 */

import { isChosen } from './chosen.ts';
import { type Current, isSame, nameOf } from './current.ts';
import { isBefore, type Placed } from './seen.ts';
import type { Stamp } from './stamp.ts';
import type { Version } from './versions.ts';

/** Milliseconds in which a save that is stored may not be current yet. */
export const ON_ITS_WAY = 10 * 60_000;
/** Saves that are looked into. */
const MOST_LOOKED_INTO = 16;

/** What the archives of a save say of themselves. */
export interface Restored {
  /** Of what is stored with the save, and of what it is relative to. */
  readonly stamp: Stamp | undefined;
  readonly baseStamp: Stamp | undefined;
}

export interface Judged {
  readonly generation: number;
  /** Why what says which save is current is not to be trusted. */
  readonly doubt?: string;
}

/** Compares what `current.json` says with what its save says. @param secret of the webserver, with which operators sign */
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
 * Looks among the saves that are stored for one that was made after the current one and has not taken its place.
 * @param now milliseconds since 1970
 * @param look reads the stamp of one
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

/** When it was saved, by the clock of its host, in words that are sorted as times are. */
function timeIn(version: Version): string {
  return /(\d{8}T\d{6}Z)-[^+]*$/.exec(nameOf(version))?.[1] ?? '';
}

/**
 * Brings a user's files to a container. They are streamed from the store, verified, decrypted and unpacked beside the
 * container's directory. They are moved into it when all of them are verified.
 */

import { addAbortSignal, pipeline, type Readable, type Transform } from 'node:stream';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { release } from '../lifetime/released-buffers.ts';
import type { Logger } from '../logging/logger.ts';
import { decryptor } from './age.ts';
import { unpack } from './confined-tar.ts';
import { type Current, nameOf, type Save } from './current.ts';
import { DamagedError, isDamaged } from './damaged.ts';
import { oldFormatDecryptor } from './old-format.ts';
import { doubtBy, doubtByNewer, judge, ON_ITS_WAY, type Restored } from './rollback.ts';
import type { Placed, Seen } from './seen.ts';
import type { Named, Sources } from './sources.ts';
import { type Stamp, stampReader } from './stamp.ts';
import type { Content } from './store.ts';
import type { Version } from './versions.ts';
import type { Mark, Workplace } from './workplace.ts';

/** The result, and what the session's own saves can be relative to. */
export interface Furnished {
  readonly how: 'new' | 'restored';
  /** The number of bytes that were read from the store. */
  readonly bytes: number;
  /** The save that the session started with. */
  readonly basis?: Save;
  readonly base?: Base;
  /** The generation of that save; 0 if there was none or it has no stamp. */
  readonly generation: number;
  /** Why this may be an older state than the latest one. */
  readonly doubt?: string | undefined;
}

/** A stored save of all files. */
export interface Base {
  readonly version: string;
  readonly bytes: number;
  /** Changes after this time are not in it. */
  readonly mark: Mark;
  readonly isStamped: boolean;
}

export interface FurnishParts {
  readonly sources: Sources;
  readonly place: Workplace;
  readonly prefix: string;
  readonly seen: Seen;
  readonly identity: Buffer;
  readonly stampKey: Buffer;
  /** The secret with which operators sign their choices. */
  readonly secret: string;
  readonly now: () => number;
  readonly log: Logger;
  readonly token: string;
}

/** The time limit for listing the stored versions, in milliseconds. */
const LISTING = 10_000;

const ALL_GONE = 'nothing is stored any more, though this host has known a save';
const NOT_NAMED = 'current.json is gone, so the latest save that is stored was taken';
const NOT_LISTED =
  'the stored versions of a user config could not be listed, so a rollback would not be noticed';

/** How often an interrupted download is restarted, or an object that was replaced before it was opened. */
const ATTEMPTS = 3;

/**
 * @throws {DamagedError} when the stored object is damaged or belongs to another token; the container's directory stays
 * unchanged
 * @throws {ServiceError} `config.store`, `config.too_large`; the container's directory stays unchanged
 */
export async function furnish(parts: FurnishParts, signal: AbortSignal): Promise<Furnished> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await furnishOnce(parts, signal);
    } catch (error) {
      await parts.place.dropIncoming();
      if (signal.aborted || !mayPass(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function furnishOnce(parts: FurnishParts, signal: AbortSignal): Promise<Furnished> {
  const { sources, place, token, seen, prefix } = parts;
  const known = await seen.newest(prefix);
  const named = await sources.current(signal);
  if (named) return await restoreNamed(parts, named, known, signal);
  const [latest] = await sources.saves('versions', signal);
  if (latest) return await restoreUnnamed(parts, latest, known, signal);
  const old = known ? undefined : await sources.openOld(signal);
  if (!old) return await restoreAside(parts, known, signal);
  await unpack(await place.beginIncoming(), 'old', through(old, oldFormatDecryptor(token)), signal);
  await place.putInPlace();
  return { how: 'restored', bytes: old.bytes, generation: 0 };
}

/** If nothing else is stored, the saves that were stored aside while S3 was unreachable are all that the user has. */
async function restoreAside(
  parts: FurnishParts,
  known: Placed | undefined,
  signal: AbortSignal,
): Promise<Furnished> {
  const about = { generation: known?.generation ?? 0, doubt: known && ALL_GONE };
  for (const one of await parts.sources.saves('aside', signal)) {
    try {
      const { how, bytes } = await restore(parts, one, signal);
      return { how, bytes, ...about };
    } catch (error) {
      if (!isDamaged(error)) throw error;
      parts.log.warn(
        { version: nameOf(one), why: messageOf(error) },
        'an older copy of the user config cannot be used',
      );
      await parts.place.dropIncoming();
    }
  }
  return { how: 'new', bytes: 0, ...about };
}

async function restoreNamed(
  parts: FurnishParts,
  { current, isHere }: Named,
  known: Placed | undefined,
  signal: AbortSignal,
): Promise<Furnished> {
  const { prefix, secret, seen } = parts;
  const versions = isHere ? undefined : listVersions(parts, signal);
  const { stamp, baseStamp, ...restored } = await restore(parts, current, signal);
  const { session, sequence } = current;
  const basis = { session, sequence };
  // Saves in this host's spool are trusted, because only root can write there.
  if (isHere) return { ...restored, basis, generation: current.generation ?? 0 };
  const judged = judge({ current, stamp, baseStamp }, prefix, secret);
  const found: Placed = { session, sequence, generation: judged.generation };
  const look = (version: Version) => lookInto(parts, version, signal);
  const doubt =
    judged.doubt ??
    doubtBy(known, found) ??
    (await doubtByNewer(
      { current, generation: found.generation },
      (await versions) ?? [],
      parts.now(),
      look,
    ));
  if (found.generation > 0 || doubt) await seen.note(prefix, found);
  return { ...restored, basis, generation: found.generation, doubt };
}

/** Without `current.json`, the session starts with the latest save. */
async function restoreUnnamed(
  parts: FurnishParts,
  latest: Version,
  known: Placed | undefined,
  signal: AbortSignal,
): Promise<Furnished> {
  const { stamp, baseStamp: _, ...restored } = await restore(parts, latest, signal);
  // A user's first save is stored a moment before it becomes current.
  const isOnItsWay = !known && parts.now() - latest.at.getTime() < ON_ITS_WAY;
  return { ...restored, generation: stamp?.generation ?? 0, doubt: isOnItsWay ? undefined : NOT_NAMED };
}

/** A failed listing must not keep users from their files, so the check is skipped then. */
async function listVersions({ sources, log }: FurnishParts, signal: AbortSignal): Promise<Version[]> {
  try {
    return await sources.saves('versions', AbortSignal.any([signal, AbortSignal.timeout(LISTING)]));
  } catch (error) {
    if (!signal.aborted) log.warn({ why: messageOf(error) }, NOT_LISTED);
    return [];
  }
}

/** Reads only the stamp of a stored save. @returns undefined if it has none or cannot be read */
async function lookInto(
  parts: FurnishParts,
  version: Version,
  signal: AbortSignal,
): Promise<Stamp | undefined> {
  const name = nameOf(version);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(LISTING)]);
  const content = await parts.sources.open(name, limited).catch(() => undefined);
  if (!content) return undefined;
  let found: Stamp | undefined;
  const stream = stamped(parts, name, content, (stamp) => {
    found = stamp;
  });
  try {
    for await (const _ of addAbortSignal(limited, stream)) break;
  } catch {
    // A damaged save does not count as a newer save.
  }
  return found;
}

async function restore(
  parts: FurnishParts,
  { version, changes }: Pick<Current, 'version' | 'changes'>,
  signal: AbortSignal,
): Promise<Pick<Furnished, 'how' | 'bytes' | 'base'> & Pick<Restored, 'stamp' | 'baseStamp'>> {
  const { sources, place } = parts;
  const stamps = new Map<string, Stamp>();
  const incoming = await place.beginIncoming();
  const bring = async (name: string, what: 'all' | 'changes') => {
    const content = await sources.open(name, signal);
    if (!content) throw new GoneError(`${name} is gone`);
    await unpack(
      incoming,
      what,
      stamped(parts, name, content, (stamp) => stamps.set(name, stamp)),
      signal,
    );
    return content.bytes;
  };
  const bytes = await bring(version, 'all');
  const mark = await place.mark();
  const more = changes ? await bring(changes, 'changes') : 0;
  const [stamp, baseStamp] = [stamps.get(changes ?? version), stamps.get(version)];
  if (stamp?.isBaseStamped && !baseStamp) throw new DamagedError(`${version} has lost its stamp`);
  await place.putInPlace();
  const base = { version, bytes, mark, isStamped: baseStamp !== undefined };
  return { how: 'restored', bytes: bytes + more, base, stamp, baseStamp };
}

/** Passes the archive on after checking that its stamp fits its name. */
function stamped(
  { prefix: of, identity, stampKey }: FurnishParts,
  name: string,
  content: Content,
  found: (stamp: Stamp) => void,
): Readable {
  return pipeline(
    through(content, decryptor(identity, release)),
    stampReader(stampKey, { of, name }, found),
    () => {},
  );
}

/** The current object is missing: it was replaced meanwhile, or lost. */
class GoneError extends DamagedError {}

/** Whether a retry may succeed at once. If S3 is unreachable, the client has already retried. */
function mayPass(error: unknown): boolean {
  if (error instanceof ServiceError) return isSystemError(error.cause, 'ECONNRESET');
  return !(error instanceof DamagedError) || error instanceof GoneError;
}

/** An error of either stream becomes an error of the returned one. */
function through({ stream }: Content, transform: Transform): Readable {
  return pipeline(stream, transform, () => {});
}

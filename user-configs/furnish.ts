/**
 * Brings a user's files to a container: from the store, verified and decrypted as a stream, unpacked beside the
 * place where the container sees them, and put there when all of it was found good.
 */

import { pipeline, type Readable, type Transform } from 'node:stream';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import { decryptor } from './age.ts';
import { unpack } from './archive.ts';
import type { Current, Save } from './current.ts';
import { DamagedError } from './damaged.ts';
import { oldFormatDecryptor } from './old-format.ts';
import type { Sources } from './sources.ts';
import type { Content } from './store.ts';
import { release } from './used-up.ts';
import type { Mark, Workplace } from './workplace.ts';

/** What there was, and what the session's own saves can be relative to. */
export interface Furnished {
  readonly how: 'new' | 'restored';
  /** That were read of what is stored. */
  readonly bytes: number;
  /** The save that it began with. */
  readonly basis?: Save;
  readonly base?: Base;
}

/** All files as they are stored. */
export interface Base {
  readonly version: string;
  readonly bytes: number;
  /** From when on changes are not in it. */
  readonly mark: Mark;
}

export interface FurnishParts {
  readonly sources: Sources;
  readonly place: Workplace;
  readonly identity: Buffer;
  readonly token: string;
}

/** How often a download that breaks, or an object that is replaced before it is opened, is begun again. */
const ATTEMPTS = 3;

/**
 * @throws {DamagedError} when what is stored is not what was saved, or with another token; the place is as it was
 * @throws {ServiceError} `config.store`, `config.too_large`; the place is as it was
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
  const { sources, place, token } = parts;
  const current = await sources.current(signal);
  if (current) return await restore(parts, current, signal);
  const old = await sources.openOld(signal);
  if (!old) return { how: 'new', bytes: 0 };
  await unpack(await place.beginIncoming(), 'old', through(old, oldFormatDecryptor(token)), signal);
  await place.putInPlace();
  return { how: 'restored', bytes: old.bytes };
}

async function restore(
  { sources, place, identity }: FurnishParts,
  { version, changes, session, sequence }: Current,
  signal: AbortSignal,
): Promise<Furnished> {
  const incoming = await place.beginIncoming();
  const bring = async (name: string, what: 'all' | 'changes') => {
    const content = await sources.open(name, signal);
    if (!content) throw new GoneError(`${name} is gone`);
    await unpack(incoming, what, through(content, decryptor(identity, release)), signal);
    return content.bytes;
  };
  const bytes = await bring(version, 'all');
  const mark = await place.mark();
  const more = changes ? await bring(changes, 'changes') : 0;
  await place.putInPlace();
  const basis = { session, sequence };
  return { how: 'restored', bytes: bytes + more, basis, base: { version, bytes, mark } };
}

/** What was said to be current is not there: replaced meanwhile, or lost. */
class GoneError extends DamagedError {}

/** Whether the same again may succeed at once. Who cannot be reached was already asked more than once. */
function mayPass(error: unknown): boolean {
  if (error instanceof ServiceError) return isSystemError(error.cause, 'ECONNRESET');
  return !(error instanceof DamagedError) || error instanceof GoneError;
}

/** An error of either is one of the stream that is given out. */
function through({ stream }: Content, transform: Transform): Readable {
  return pipeline(stream, transform, () => {});
}

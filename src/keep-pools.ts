/** Keeps the pools of warm containers: those in the file that POOL names, and those of the previous service. */

import { open } from 'node:fs/promises';
import type { HandedPools } from '../container/handed-over.ts';
import { WarmPools, type WarmPoolsParts } from '../container/pool/warm-pools.ts';
import type { NeededImages } from '../docker-engine/needed-images.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { poolOf } from '../httpserver/v1/pool-routes.ts';
import { NewPool, POOL_NAME } from '../httpserver/v1/pool-schemas.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { isRecord, misfit } from '../parsing/json.ts';
import type { Settings } from '../settings/load.ts';

export interface KeepPoolsOptions extends Pick<WarmPoolsParts, 'tracker' | 'kept' | 'count'> {
  readonly images: NeededImages;
  readonly settings: Settings;
  /** Whether new containers are accepted. */
  readonly takesNew: boolean;
  /** What the previous service has handed over. */
  readonly handed: HandedPools | undefined;
}

const WRITABLE_BY_OTHERS = 0o022;

/** @throws {ServiceError} `start.pools` */
export async function keepPools(
  root: Lifetime,
  { images, settings: { POOL: file, ALLOWED_MOUNTS }, takesNew, handed, ...parts }: KeepPoolsOptions,
): Promise<WarmPools> {
  const wanted = takesNew && file !== undefined ? await readPools(file) : [];
  const warm = new WarmPools(root, {
    ...parts,
    findImage: (image, policy, gone) => images.find(image, policy, undefined, gone),
  });
  for (const [name, pool] of wanted) {
    try {
      warm.set(name, poolOf(pool, ALLOWED_MOUNTS, parts, true));
    } catch (error) {
      throw unusable(file, `pool "${name}": ${messageOf(error)}`);
    }
  }
  if (!handed) return warm;
  for (const { name, asked, isPermanent } of handed.pools) {
    if (isPermanent || wanted.some(([other]) => other === name)) continue;
    try {
      const why = misfit(NewPool, asked);
      if (why !== undefined) throw new Error(why);
      warm.set(name, poolOf(asked as NewPool, ALLOWED_MOUNTS, parts));
    } catch (error) {
      parts.tracker.host.log.error(
        { pool: name, error },
        `a pool of the previous service cannot be kept: ${messageOf(error)}`,
      );
    }
  }
  warm.restore(handed);
  return warm;
}

/** @returns pools by name @throws {ServiceError} `start.pools` */
async function readPools(file: string): Promise<[string, NewPool][]> {
  const pools = parse(await readText(file));
  if (!isRecord(pools)) throw unusable(file, 'it is not a JSON object with a field for each pool');
  return Object.entries(pools).map(([name, pool]) => {
    const isName = new RegExp(POOL_NAME).test(name);
    const why = isName ? misfit(NewPool, pool) : 'a name consists of small letters, digits and hyphens';
    if (why !== undefined) throw unusable(file, `pool ${JSON.stringify(name)}: ${why}`);
    return [name, pool as NewPool];
  });
}

async function readText(file: string): Promise<string> {
  try {
    await using opened = await open(file);
    const { uid, mode } = await opened.stat();
    if (uid === 0 && (mode & WRITABLE_BY_OTHERS) === 0) return await opened.readFile('utf8');
  } catch (error) {
    throw unusable(file, messageOf(error));
  }
  throw unusable(file, 'users other than root can write to it; run "chown root" and "chmod go-w" on it');
}

/** @returns undefined if it is not JSON; the parser's own message quotes the text, which may contain secrets */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unusable(file = '', why: string): ServiceError {
  return new ServiceError('start.pools', { file, why });
}

/**
 * Reads credentials from a file in the format of `docker login`: for each registry, `auths` contains `auth`, which is
 * `USER:PASSWORD` in base64. Source: the documentation of Docker's command line, "docker login", "Credential stores".
 */

import { open } from 'node:fs/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { isRecord } from '../parsing/json.ts';
import { authIn, type Issuer } from './registry-credentials.ts';

const OPEN_TO_OTHERS = 0o077;

/** The name of Docker Hub in the file. */
const DOCKER_HUB = 'index.docker.io';

/**
 * Reads the file at each request, because it may change.
 * @throws {ServiceError} `image.no_credentials`
 */
export function authFileIssuer(path: string): Issuer {
  return async (registry) => {
    const bad = (why: string) =>
      new ServiceError('image.no_credentials', { registry, why: `${path}: ${why}` });
    const found = await read(path, bad).then((file) => entryFor(file, registry));
    if (found === undefined) return undefined;
    const auth = authIn(found);
    if (!auth) throw bad('its auth is not USER:PASSWORD in base64');
    return { auth, ends: Infinity };
  };
}

async function read(path: string, bad: (why: string) => Error): Promise<unknown> {
  try {
    await using file = await open(path);
    const { uid, mode } = await file.stat();
    if (uid !== 0 || (mode & OPEN_TO_OTHERS) !== 0)
      throw new Error('others than root can read it; run chmod 600');
    return JSON.parse(await file.readFile('utf8'));
  } catch (error) {
    // The parser's own message quotes the file.
    throw bad(error instanceof SyntaxError ? 'it is not JSON' : messageOf(error));
  }
}

function entryFor(found: unknown, registry: string): string | undefined {
  const auths = isRecord(found) && isRecord(found.auths) ? found.auths : {};
  const host = registry === 'docker.io' ? DOCKER_HUB : registry;
  const entry = Object.entries(auths).find(
    ([name]) => name.replace(/^https:\/\//, '').split('/', 1)[0] === host,
  )?.[1];
  return isRecord(entry) && typeof entry.auth === 'string' ? entry.auth : undefined;
}

/** Makes Docker pull an image, reports the progress, and checks that the image exists afterwards. */

import { ServiceError } from '../errors/service-error.ts';
import { unlessAborted } from '../lifetime/deadline.ts';
import { Secrets } from '../logging/secrets.ts';
import { linesIn } from '../parsing/lines.ts';
import type { Docker } from './docker.ts';
import { statusOf } from './failures.ts';
import type { ImageReference } from './image-reference.ts';
import type { PullProgress } from './pull-progress.ts';

export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
}

export interface PullRequest {
  readonly reference: ImageReference;
  /** For example `linux/arm64`; missing: the host's platform. */
  readonly platform?: string | undefined;
  readonly registryAuth?: RegistryAuth | undefined;
}

export interface PulledImage {
  readonly image: string;
  /** The digest of its manifest in the registry. */
  readonly digest: string;
  /** Docker's id of the image. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
}

const LOOK = 10_000;
/** Limits for a line in bytes, and for an error in characters. Both may contain text from the registry. */
const LONGEST_LINE = 64 * 1024;
const LONGEST_WHY = 1000;

/**
 * @param news called when `progress` has changed
 * @param signal ends the pull when it aborts
 * @throws {ServiceError} `image.*`, `docker.unavailable`
 */
export async function pullImage(
  docker: Docker,
  request: PullRequest,
  progress: PullProgress,
  news: () => void,
  signal: AbortSignal,
): Promise<PulledImage> {
  const { reference, platform, registryAuth } = request;
  const _query = { fromImage: reference.name, tag: reference.version, ...(platform && { platform }) };
  try {
    await docker.call(
      'pull',
      Infinity,
      async (abortSignal, api) => {
        const stream = await api.createImage(registryAuth, { _query, _body: {}, abortSignal });
        for await (const lines of linesIn(stream as AsyncIterable<Uint8Array>, LONGEST_LINE)) {
          for (const line of lines) progress.take(line);
          news();
        }
      },
      signal,
    );
  } catch (error) {
    throw explain(error, request);
  }
  return await unlessAborted(inspectPulled(docker, reference, progress.digest), signal);
}

/** Looks the image up by its digest, because an older image may have the same name. */
async function inspectPulled(
  docker: Docker,
  { name, text: image }: ImageReference,
  digest: string | undefined,
): Promise<PulledImage> {
  const why = 'Docker ended its answer without it';
  if (digest === undefined) throw new ServiceError('image.not_pulled', { image, why });
  try {
    const { Id, Size } = await docker.call('inspect_image', LOOK, (_, api) =>
      api.getImage(`${name}@${digest}`).inspect(),
    );
    return { image, digest, id: Id, size: Size };
  } catch (error) {
    if (statusOf(error) === 404) throw new ServiceError('image.not_pulled', { image, why });
    throw error;
  }
}

/**
 * Explains what to do. A registry may repeat what was sent to it, so the error has no cause and contains no password.
 */
function explain(error: unknown, { reference: { text: image }, registryAuth }: PullRequest): unknown {
  if (!(error instanceof ServiceError) || error.code !== 'docker.failed') return error;
  const { why } = (error as ServiceError<'docker.failed'>).parameters;
  const told = { image, why: withoutSecrets(String(why), registryAuth).slice(0, LONGEST_WHY) };
  const status = statusOf(error);
  if (status === 400) return new ServiceError('image.bad_reference', { why: told.why });
  return new ServiceError(status === 404 ? 'image.not_found' : 'image.not_pulled', told);
}

function withoutSecrets(text: string, auth: RegistryAuth | undefined): string {
  if (!auth) return text;
  const secrets = new Secrets();
  secrets.set('password', auth.password);
  secrets.set('header', Buffer.from(`${auth.username}:${auth.password}`).toString('base64'));
  return JSON.parse(secrets.hide(JSON.stringify(text)));
}

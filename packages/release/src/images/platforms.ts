/** Reads from a registry the platforms of an image, such as linux/amd64. */

import { ReleaseError } from '../errors.ts';

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
/** The maximum size in bytes of a manifest, or of an image's configuration. */
const MOST_BYTES = 4 * 1024 * 1024;
/** The time limit for an answer of the registry, in milliseconds. */
const PATIENCE = 15_000;

interface Platform {
  readonly os?: string;
  readonly architecture?: string;
}

export interface ImagePlace {
  readonly host: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  readonly user: string;
  readonly password: string;
}

/**
 * @returns platforms such as linux/arm64; several for an image that is an index
 * @throws ReleaseError failed when the registry does not return the image
 */
export async function platformsOf(place: ImagePlace): Promise<readonly string[]> {
  const manifest = (await read(place, `manifests/${place.reference}`)) as {
    readonly manifests?: readonly { readonly platform?: Platform }[];
    readonly config?: { readonly digest?: string };
  };
  if (manifest.manifests) {
    const all = manifest.manifests.map(({ platform = {} }) => nameOf(platform));
    // Attestations are part of an index, and they have no platform.
    return [...new Set(all)].filter((one) => !one.includes('unknown'));
  }
  const digest = manifest.config?.digest;
  if (digest === undefined) return [];
  return [nameOf((await read(place, `blobs/${digest}`)) as Platform)];
}

function nameOf({ os = 'unknown', architecture = 'unknown' }: Platform): string {
  return `${os}/${architecture}`;
}

async function read({ host, repository, user, password }: ImagePlace, path: string): Promise<unknown> {
  const scheme = /^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? 'http' : 'https';
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const response = await fetch(`${scheme}://${host}/v2/${repository}/${path}`, {
    headers: { accept: MANIFESTS, authorization },
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (!response.ok)
    throw new ReleaseError('failed', `${host} answers ${response.status} for ${repository}/${path}`);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MOST_BYTES)
      throw new ReleaseError('failed', `${repository}/${path} in ${host} is larger than ${MOST_BYTES} bytes`);
  }
  return JSON.parse(text) as unknown;
}

/** Builds the arguments of `docker build` for an image of the configuration. Pure. */

import type { ImageConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';

/** @param references the tags that the image gets */
export function buildWords(
  name: string,
  image: ImageConfig,
  references: readonly string[],
): readonly string[] {
  const {
    context = '.',
    dockerfile,
    arguments: args = {},
    secrets = {},
    target,
    platform,
    memory,
    cache,
  } = image;
  return [
    'build',
    ...(dockerfile === undefined ? [] : ['--file', dockerfile]),
    ...Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...Object.entries(secrets).flatMap(([id, { env, file }]) => {
      if ((env === undefined) === (file === undefined))
        throw new ReleaseError(
          'usage',
          `The secret ${id} of the image ${name} needs either "env" or "file".`,
        );
      return ['--secret', env === undefined ? `id=${id},src=${file}` : `id=${id},env=${env}`];
    }),
    ...(target === undefined ? [] : ['--target', target]),
    ...(platform === undefined ? [] : ['--platform', platform]),
    ...(memory === undefined ? [] : ['--memory', memory]),
    ...(cache === false ? ['--no-cache'] : []),
    ...references.flatMap((reference) => ['--tag', reference]),
    context,
  ];
}

/** Builds the small images of tests and demos from the programs in test/image, without a registry. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';

export const IMAGE = 'fractal/demo:current-build';

const BUILD = join(import.meta.dirname, '../build');
const PROGRAMS = ['streaming-server', 'input-program', 'port-program', 'hostile-neighbour'];

/** @param tag `name:tag` @param words the command of the image */
export async function importImage(
  docker: Dockerode,
  tag: string,
  words: readonly string[] = [],
  program = '/streaming-server',
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    for (const one of PROGRAMS) await copyFile(join(BUILD, one), join(directory, one));
    await importArchive(docker, tag, ['-C', directory, '.'], `CMD ${JSON.stringify([program, ...words])}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * Builds an image from files of this machine.
 * @param tag `name:tag`
 * @param words arguments for tar that select the files
 * @param changes as in a Dockerfile
 * @throws when Docker refuses the image, or tar does not find the files
 */
export async function importArchive(
  docker: Dockerode,
  tag: string,
  words: readonly string[],
  changes: string,
): Promise<void> {
  const tar = spawn('tar', ['-c', ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(tar, 'close');
  const [repo, version] = tag.split(':');
  const progress = await docker.importImage(tar.stdout, { repo, tag: version, changes });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
  const [code] = await ended;
  if (code !== 0) throw new Error(`tar ${words.join(' ')} ended with ${code}`);
}

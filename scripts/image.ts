/** Makes the small images that tests and demos host, from the programs in test/image. No registry is asked. */

import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';

export const IMAGE = 'fractal/demo:current-build';

const BUILD = join(import.meta.dirname, '../build');
const PROGRAMS = ['streaming-server', 'input-program'];

/** @param tag `name:tag`; @param words what the program is started with */
export async function importImage(
  docker: Dockerode,
  tag: string,
  words: readonly string[] = [],
  program = '/streaming-server',
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    for (const one of PROGRAMS) await copyFile(join(BUILD, one), join(directory, one));
    const archive = spawn('tar', ['-c', '-C', directory, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [repo, version] = tag.split(':');
    const changes = `CMD ${JSON.stringify([program, ...words])}`;
    const progress = await docker.importImage(archive.stdout, { repo, tag: version, changes });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Makes the small image that tests and demos host, from the program in test/image. No registry is asked. */

import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';

export const IMAGE = 'fractal/demo:current-build';

const PROGRAM = join(import.meta.dirname, '../build/streaming-server');

/** @param tag `name:tag`; @param words what the program is started with */
export async function importImage(
  docker: Dockerode,
  tag: string,
  words: readonly string[] = [],
  program = '/streaming-server',
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    await copyFile(PROGRAM, join(directory, 'streaming-server'));
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

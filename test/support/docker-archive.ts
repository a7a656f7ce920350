/** Images as `docker load` reads them, made without Docker. Source: Docker's image specification, version 1.2. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Writes an image that runs a script in the distribution's static busybox. @param name `NAME:TAG` */
export function saveScript(path: string, name: string, script: string): void {
  const work = mkdtempSync(join(tmpdir(), 'archive-'));
  try {
    const layer = execFileSync('tar', ['-c', '--transform=s,^,bin/,', '-C', '/bin', 'busybox'], {
      maxBuffer: 2 ** 28,
    });
    const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Cmd: ['/bin/busybox', 'sh', '-c', script] },
      rootfs: { type: 'layers', diff_ids: [digest] },
    };
    writeFileSync(join(work, 'layer.tar'), layer);
    writeFileSync(join(work, 'config.json'), JSON.stringify(config));
    const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
    writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
    execFileSync('tar', ['-c', '-f', path, '-C', work, '.']);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** A registry other than ECR: Debian's docker-registry, on this machine. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answering } from './aws-host.ts';

export const SECOND_REGISTRY = 'localhost:5000';

export async function startSecondRegistry(): Promise<AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'registry-'));
  const settings = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: directory } },
    http: { addr: SECOND_REGISTRY },
  };
  const path = join(directory, 'config.yml');
  // JSON is YAML too.
  writeFileSync(path, JSON.stringify(settings));
  const child = spawn('docker-registry', ['serve', path], { stdio: 'ignore' });
  await answering(() => fetch(`http://${SECOND_REGISTRY}/v2/`));
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true });
    },
  };
}

/** @returns the digest of a tag in that registry */
export async function digestThere(repository: string, tag: string): Promise<string> {
  const response = await fetch(`http://${SECOND_REGISTRY}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
  });
  return response.headers.get('docker-content-digest') ?? '';
}

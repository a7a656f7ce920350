/** An image with a shell and its usual programs, from the distribution's static busybox. */

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { importArchive } from '../../scripts/image.ts';
import { Operator } from './operator.ts';

export const SHELL_IMAGE = 'test/shell:1';

/** Process 1 ignores signals without a handler. */
const UNTIL_STOPPED = 'trap "exit 0" TERM; sleep 3600 & wait';
const APPLETS = [
  'sh',
  'cat',
  'env',
  'head',
  'id',
  'kill',
  'ls',
  'nohup',
  'ps',
  'seq',
  'setsid',
  'sleep',
  'stty',
  'tty',
  'vi',
  'wc',
  'yes',
];

export async function importShellImage(docker: Dockerode, tag = SHELL_IMAGE): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'shell-image-'));
  try {
    await copyFile('/bin/busybox', join(directory, 'busybox'));
    for (const applet of APPLETS) await symlink('busybox', join(directory, applet));
    const words = ['--transform=s,^\\.,bin,', '-C', directory, '.'];
    await importArchive(docker, tag, words, `CMD ${JSON.stringify(['/bin/sh', '-c', UNTIL_STOPPED])}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** @returns the id of a container of it that runs on a host */
export async function containerOn(root: string): Promise<string> {
  const wanted = { image: SHELL_IMAGE, app: 'demo' };
  const { status, body } = await new Operator(root).ask('POST', '/v1/containers', wanted);
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}

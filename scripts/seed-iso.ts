/**
 * Writes an ISO with which cloud-init (data source NoCloud) sets up a virtual machine as a host, without a network:
 *
 *   seed-iso.ts --tarball FILE --output FILE --settings FILE [--secrets FILE] [--nodes FILE] [--ssh-key FILE] [--images DIRECTORY]
 *
 * The settings are checked here, because a mistake is easier to fix now than on a machine that does not start.
 */

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gather, type SeedFiles } from './seed/contents.ts';

const HERE = import.meta.dirname;
/** The label by which cloud-init recognises the ISO. */
const LABEL = 'cidata';

/** The instructions for cloud-init. Everything else is in files on the ISO. */
const USER_DATA = `#cloud-config
disable_root: true
ssh_pwauth: false
package_update: false
package_upgrade: false
runcmd:
  - |
    mkdir -p /run/seed && mount -o ro LABEL=${LABEL} /run/seed && (cd /run/seed && sh setup.sh)
    code=$?
    umount /run/seed
    exit $code
`;

const { values } = parseArgs({
  options: {
    tarball: { type: 'string', default: '' },
    output: { type: 'string', default: '' },
    settings: { type: 'string', default: '' },
    secrets: { type: 'string', default: '' },
    nodes: { type: 'string', default: '' },
    'ssh-key': { type: 'string', default: '' },
    images: { type: 'string', default: '' },
  },
});

const files = gather({ ...values, sshKey: values['ssh-key'] });
if (typeof files === 'string') {
  console.error(files);
  process.exitCode = 1;
} else {
  write(files, values.tarball, values.images, values.output);
}

function write(files: SeedFiles, tarball: string, images: string, output: string): void {
  const work = mkdtempSync(join(tmpdir(), 'seed-iso-'));
  try {
    const root = join(work, 'root');
    mkdirSync(join(root, 'credentials'), { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(files.texts)) writeFileSync(join(root, name), text);
    writeFileSync(join(root, 'meta-data'), `instance-id: ${randomUUID()}\n`);
    writeFileSync(join(root, 'user-data'), USER_DATA + usersOf(files.texts['ssh-key']));
    cpSync(join(HERE, 'seed/setup.sh'), join(root, 'setup.sh'));
    cpSync(tarball, join(root, 'tarball.tar.gz'));
    if (images) cpSync(images, join(root, 'images'), { recursive: true });
    execFileSync(join(HERE, 'seed/packages.sh'), [join(root, 'packages')], { stdio: 'inherit' });
    const draft = join(work, 'seed.iso');
    const made = ['-as', 'genisoimage', '-quiet', '-volid', LABEL, '-rational-rock', '-joliet'];
    execFileSync('xorriso', [...made, '-output', draft, root], { stdio: ['ignore', 'inherit', 'pipe'] });
    execFileSync('install', ['--mode=600', draft, `${output}.draft`]);
    renameSync(`${output}.draft`, output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** If there is a key, a user is created who can sign in with it and become root. */
function usersOf(key: string | undefined): string {
  if (key === undefined) return 'users: []\n';
  const admin = {
    name: 'admin',
    shell: '/bin/bash',
    lock_passwd: true,
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    ssh_authorized_keys: readLines(key),
  };
  // JSON is YAML.
  return `users: ${JSON.stringify([admin])}\n`;
}

function readLines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

/**
 * Boots a guest that looks like an EC2 host, with this checkout's bundle on a disk of its own, runs one of our
 * programs in it, passes on what that writes, and ends with its exit code.
 *
 *   node test/vm/boot.ts PROGRAM.ts [WORD…]
 */

import { cpSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { addPrograms, boot, buildGuest, makeProjectDisk, ROOT } from './machine.ts';

const [program = 'run.ts', ...words] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'ecs-host-service-guest-'));
try {
  const guest = buildGuest();
  console.error('Booting the guest (about half a minute) …');
  const project = join(work, 'project.img');
  makeDisk(project, join(guest, 'xorg.tar'));
  process.exitCode = await boot(guest, {
    name: 'guest',
    disks: [project],
    kernel: ['cloud-init=disabled'],
    // By this a host knows that it is EC2's.
    more: ['-smbios', 'type=1,manufacturer=Amazon EC2,product=g3.4xlarge'],
  });
} finally {
  rmSync(work, { recursive: true });
}

/** What an AMI carries, and the programs that try it. */
function makeDisk(image: string, xServer: string): void {
  const disk = join(work, 'disk');
  const programs = ['test/vm/*.test.ts', 'test/vm/run.ts', 'scripts/demo*.ts', 'bench/guest/*.ts'];
  const entries = globSync(programs, { cwd: ROOT });
  addPrograms(disk, entries);
  cpSync(join(ROOT, 'build/bundle'), join(disk, 'service'), { recursive: true });
  const tarball = `build/ecs-host-service-${VERSION}-linux-${process.arch}.tar.gz`;
  cpSync(join(ROOT, tarball), join(disk, 'ecs-host-service.tar.gz'));
  cpSync(join(import.meta.dirname, 'setup.sh'), join(disk, 'setup.sh'));
  for (const name of [
    'streaming-server',
    'input-program',
    'port-program',
    'hostile-neighbour',
    'bare-input',
    `uinput-linux-${process.arch}.node`,
  ]) {
    cpSync(join(ROOT, 'build', name), join(disk, 'build', name));
  }
  cpSync(xServer, join(disk, 'build/xorg.tar'));
  const command = ['/project/service/node', `/project/vm/${program.replace(/\.ts$/, '.mjs')}`, ...words];
  const script = [
    '#!/bin/sh',
    'export TEST_SERVICE=/project/service/ecs-host-service.mjs',
    '/project/setup.sh &&',
    command.map((word) => `'${word}'`).join(' '),
    'echo "guest: exit code $?"',
    'systemctl --no-block poweroff',
  ];
  writeFileSync(join(disk, 'guest'), `${script.join('\n')}\n`, { mode: 0o755 });
  makeProjectDisk(disk, image);
}

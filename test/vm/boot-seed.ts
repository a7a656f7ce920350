/**
 * Boots a guest with an ISO of `make seed-iso`, as a virtual machine without a network has it, and runs the tests of
 * what became of it: `node test/vm/boot-seed.ts`.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { saveScript } from '../support/docker-archive.ts';
import { RUNS } from '../support/node-site.ts';
import { OPERATOR_TOKEN } from '../support/secrets.ts';
import { addPrograms, boot, buildGuest, makeProjectDisk, ROOT } from './machine.ts';

const IMAGE = 'seeded:1';
const work = mkdtempSync(join(tmpdir(), 'ecs-host-service-seed-'));
try {
  const guest = buildGuest();
  const [iso, project] = [join(work, 'seed.iso'), join(work, 'project.img')];
  makeIso(iso);
  makeDisk(project);
  console.error('Booting a guest from the ISO (about a minute) …');
  process.exitCode = await boot(guest, { name: 'seeded-guest', disks: [project, iso], kernel: [] });
} finally {
  rmSync(work, { recursive: true });
}

function makeIso(output: string): void {
  const write = (name: string, text: string) => {
    writeFileSync(join(work, name), text, { mode: 0o600 });
    return join(work, name);
  };
  mkdirSync(join(work, 'images'));
  saveScript(join(work, 'images/seeded.tar'), IMAGE, RUNS);
  const nodes = [{ name: 'web', image: IMAGE, update: { healthyAfter: 1 } }];
  const files = {
    '--tarball': join(ROOT, `build/ecs-host-service-${VERSION}-linux-${process.arch}.tar.gz`),
    '--settings': write('settings', 'APP_ENV=production\nINTERACTIVE=off\nUSE_PROD_LOGGING=no\n'),
    '--secrets': write('secrets', `OPERATOR_TOKEN=${OPERATOR_TOKEN}\n`),
    '--nodes': write('nodes.yaml', JSON.stringify({ app: 'demo', nodes })),
    '--ssh-key': write(
      'key.pub',
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0000000000000000000000000000000000000000000 a\n',
    ),
    '--images': join(work, 'images'),
    '--output': output,
  };
  execFileSync(process.execPath, [join(ROOT, 'scripts/seed-iso.ts'), ...Object.entries(files).flat()], {
    stdio: 'inherit',
  });
}

function makeDisk(image: string): void {
  const disk = join(work, 'disk');
  addPrograms(disk, ['test/seeded-vm/seeded-vm.test.ts', 'test/seeded-vm/run-seeded.ts']);
  const script = [
    '#!/bin/sh',
    // What takes milliseconds elsewhere blocks an emulated processor for seconds.
    'dropins=/etc/systemd/system/ecs-host-service.service.d',
    "mkdir -p $dropins && printf '[Service]\\nWatchdogSec=60\\n' > $dropins/watchdog.conf",
    'cloud-init status --wait > /dev/null',
    '/project/service/node /project/vm/run-seeded.mjs',
    'echo "guest: exit code $?"',
    'systemctl --no-block poweroff',
  ];
  writeFileSync(join(disk, 'guest'), `${script.join('\n')}\n`, { mode: 0o755 });
  makeProjectDisk(disk, image);
}

/**
 * Boots a guest that looks like an EC2 host, with this checkout's bundle on a separate disk. It runs one of our
 * programs in the guest, prints the program's output, and ends with its exit code.
 *
 * node test/vm/boot.ts PROGRAM.ts [WORD…]
 *
 * QEMU emulates the processor: it needs no rights beyond those of any process, and works without KVM.
 */

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { VERSION } from '../../src/version.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The output of the guest's last run. */
const KEPT = join(ROOT, 'build/guest');
/** Seconds after which a guest that has not ended is switched off. */
const PATIENCE = 3600;
/** The last line of the report. */
const END = /^guest: exit code (\d+)$/;

const [program = 'run.ts', ...words] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'ecs-host-service-guest-'));
try {
  const guest = execFileSync(join(import.meta.dirname, 'guest/build.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  mkdirSync(KEPT, { recursive: true });
  console.error('Booting the guest (about half a minute) …');
  makeProjectDisk(join(work, 'project.img'), join(guest, 'xorg.tar'));
  process.exitCode = await boot(guest);
} finally {
  rmSync(work, { recursive: true });
}
if (process.exitCode !== 0) console.error(`The guest's journal and console are in ${KEPT}.`);

/** The files that an AMI contains, and the programs that test them. */
function makeProjectDisk(image: string, xServer: string): void {
  const disk = join(work, 'disk');
  const programs = ['test/vm/*.test.ts', 'test/vm/run.ts', 'scripts/demo*.ts', 'bench/guest/*.ts'];
  const entries = globSync(programs, { cwd: ROOT });
  execFileSync(process.execPath, [join(ROOT, 'scripts/bundle.ts'), join(disk, 'vm'), ...entries], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  cpSync(join(ROOT, 'build/bundle'), join(disk, 'service'), { recursive: true });
  cpSync(process.execPath, join(disk, 'service/node'));
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
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-L', 'project', '-d', disk, image, '450M']);
}

/** @returns the program's exit code; 1 if the guest never reported it */
async function boot(guest: string): Promise<number> {
  const qemu = spawn('qemu-system-x86_64', machine(guest), { stdio: ['pipe', 'pipe', 'inherit'] });
  const timer = setTimeout(() => {
    console.error(`The guest did not end within ${PATIENCE} s and is switched off.`);
    qemu.kill('SIGKILL');
  }, PATIENCE * 1000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => qemu.kill());
  let code: number | undefined;
  for await (const line of createInterface({ input: qemu.stdout })) {
    const end = END.exec(line);
    if (end) code = Number(end[1]);
    else console.log(line);
  }
  clearTimeout(timer);
  if (code === undefined) console.error(readFileSync(join(KEPT, 'console.log'), 'utf8').slice(-2000));
  return code ?? 1;
}

function machine(guest: string): string[] {
  const port = (name: string, end: string) => [
    ...['-chardev', `${end},id=${name}`],
    ...['-device', `virtserialport,chardev=${name},name=${name}`],
  ];
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
    ...['-nodefaults', '-nographic', '-nic', 'none'],
    // By this, a host recognises that it is on EC2.
    ...['-smbios', 'type=1,manufacturer=Amazon EC2,product=g3.4xlarge'],
    ...['-kernel', join(guest, 'vmlinuz'), '-initrd', join(guest, 'initrd')],
    ...['-append', 'root=/dev/vda rw console=ttyS0 quiet panic=-1'],
    ...['-serial', `file:${join(KEPT, 'console.log')}`],
    // Data that is written to it is kept until QEMU ends, even over a reboot.
    ...['-drive', `file=${join(guest, 'disk.img')},format=raw,if=virtio,snapshot=on`],
    ...['-drive', `file=${join(work, 'project.img')},format=raw,if=virtio,readonly=on`],
    ...['-device', 'virtio-serial-pci'],
    ...port('report', 'stdio'),
    ...port('journal', `file,path=${join(KEPT, 'journal.log')}`),
  ];
}

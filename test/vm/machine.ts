/**
 * The guest: a Debian that QEMU runs with a kernel, a disk that keeps nothing, and other disks. QEMU emulates the
 * processor: it needs no rights beyond those of any process, and works where KVM does not.
 */

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const ROOT = join(import.meta.dirname, '../..');
/** What the guests wrote, of their last run. */
const KEPT = join(ROOT, 'build');
/** Seconds after which a guest that has not ended is switched off. */
const PATIENCE = 2400;
/** The last line of the report. */
const END = /^guest: exit code (\d+)$/;

export interface Machine {
  /** The directory in build/ for what it writes. */
  readonly name: string;
  /** Images of disks beside its own, which it only reads. */
  readonly disks: readonly string[];
  /** Words for the kernel. */
  readonly kernel: readonly string[];
  /** Other words for QEMU. */
  readonly more?: readonly string[];
}

/** @returns the directory with the guest's kernel and disk, which are made once */
export function buildGuest(): string {
  return execFileSync(join(import.meta.dirname, 'guest/build.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/** Bundles programs for the guest into `vm` of a directory that becomes a disk, with a Node that runs them. */
export function addPrograms(disk: string, entries: readonly string[]): void {
  execFileSync(process.execPath, [join(ROOT, 'scripts/bundle.ts'), join(disk, 'vm'), ...entries], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  mkdirSync(join(disk, 'service'), { recursive: true });
  cpSync(process.execPath, join(disk, 'service/node'));
}

export function makeProjectDisk(disk: string, image: string): void {
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-L', 'project', '-d', disk, image, '450M']);
}

/** Passes on what the guest writes. @returns the program's exit code; 1 when the guest never said it */
export async function boot(guest: string, machine: Machine): Promise<number> {
  const kept = join(KEPT, machine.name);
  mkdirSync(kept, { recursive: true });
  const qemu = spawn('qemu-system-x86_64', wordsOf(guest, machine, kept), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
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
  if (code === undefined) console.error(readFileSync(join(kept, 'console.log'), 'utf8').slice(-2000));
  if (code !== 0) console.error(`The guest's journal and console are in ${kept}.`);
  return code ?? 1;
}

function wordsOf(guest: string, { disks, kernel, more = [] }: Machine, kept: string): string[] {
  const port = (name: string, end: string) => [
    ...['-chardev', `${end},id=${name}`],
    ...['-device', `virtserialport,chardev=${name},name=${name}`],
  ];
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
    ...['-nodefaults', '-nographic', '-nic', 'none', ...more],
    ...['-kernel', join(guest, 'vmlinuz'), '-initrd', join(guest, 'initrd')],
    ...['-append', ['root=/dev/vda rw console=ttyS0 quiet panic=-1', ...kernel].join(' ')],
    ...['-serial', `file:${join(kept, 'console.log')}`],
    // What is written to it is kept until QEMU ends, also over a reboot.
    ...['-drive', `file=${join(guest, 'disk.img')},format=raw,if=virtio,snapshot=on`],
    ...disks.flatMap((disk) => ['-drive', `file=${disk},format=raw,if=virtio,readonly=on`]),
    ...['-device', 'virtio-serial-pci'],
    ...port('report', 'stdio'),
    ...port('journal', `file,path=${join(kept, 'journal.log')}`),
  ];
}

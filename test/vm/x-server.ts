/**
 * An X server of Debian in a hosted container, started like those of the images of 2021: with a console node that the container
 * makes from its number, and without the options that leave the console in front alone.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type Dockerode from 'dockerode';
import { importArchive } from '../../scripts/image.ts';
import type { InputContainer } from './guest-host.ts';
import { KEYBOARD, MOUSE } from './input-program.ts';

export const X_IMAGE = 'fractal/xorg:current-build';

const BUILD = join(import.meta.dirname, '../build');
const run = promisify(execFile);

/** The X server's files on the guest's disk, and the program that writes to input devices. */
export async function importXServer(docker: Dockerode): Promise<void> {
  const directory = mkdtempSync('/run/test/x-image-');
  execFileSync('tar', ['-x', '-f', join(BUILD, 'xorg.tar'), '-C', directory], { stdio: 'ignore' });
  copyFileSync(join(BUILD, 'input-program'), join(directory, 'input-program'));
  await importArchive(docker, X_IMAGE, ['-C', directory, '.'], 'CMD ["/input-program"]');
  rmSync(directory, { recursive: true });
}

/**
 * With only the dummy driver, the server would not open its console. With a driver for real screens it does, even without such
 * a screen.
 */
function configOf({ numbers }: InputContainer): string {
  const input = (name: string, number = -1, core = '') => `
    Section "InputDevice"
      Identifier "${name}"
      Driver "evdev"
      Option "Device" "/dev/input/event${number}"
      Option "${core}"
    EndSection`;
  return `${input('keyboard', numbers[KEYBOARD], 'CoreKeyboard')}${input('mouse', numbers[MOUSE], 'CorePointer')}
    Section "Device"
      Identifier "card"
      Driver "dummy"
    EndSection
    Section "Device"
      Identifier "spare"
      Driver "fbdev"
    EndSection
    Section "ServerFlags"
      Option "AutoAddDevices" "false"
      Option "AutoAddGPU" "false"
    EndSection
    Section "ServerLayout"
      Identifier "all"
      Inactive "spare"
      InputDevice "keyboard"
      InputDevice "mouse"
    EndSection`;
}

export class XServer {
  readonly container: InputContainer;
  readonly #client: ChildProcess;
  #told = '';

  /** Starts it with a client that receives every key and button event. @throws Error with its log if it does not start */
  static async open(container: InputContainer): Promise<XServer> {
    const script = `
      mkdir -p /tmp/.X11-unix /var/log && read -r minor < /fractal/resourceMappings/tty
      # By the first one the server sees that there are consoles; it cannot open it.
      mknod /dev/tty0 c 4 0; mknod /dev/tty10 c 4 "$minor" &&
      echo '${configOf(container)}' > /tmp/xorg.conf && exec /usr/lib/xorg/Xorg :10 vt10 -config /tmp/xorg.conf`;
    const server = spawn('docker', ['exec', container.dockerId, 'sh', '-c', script]);
    let log = '';
    for (const from of [server.stdout, server.stderr]) from.on('data', (chunk) => (log += chunk));
    const ask = ['exec', '--env=DISPLAY=:10', container.dockerId, 'xinput', 'list'];
    for (const late = AbortSignal.timeout(60_000); ; await pause(500)) {
      const answer = await run('docker', ask).catch(() => undefined);
      if (answer) return new XServer(container);
      if (late.aborted || server.exitCode !== null) throw new Error(`the X server does not answer: ${log}`);
    }
  }

  private constructor(container: InputContainer) {
    this.container = container;
    const words = ['exec', '--tty', '--env=DISPLAY=:10', container.dockerId, 'xinput', 'test-xi2', '--root'];
    this.#client = spawn('docker', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#client.stdout?.on('data', (chunk) => (this.#told += chunk));
  }

  /** The number of key or button presses that its client has received. */
  heard(what: 'Key' | 'Button'): number {
    return this.#told.match(new RegExp(`\\(Raw${what}Press\\)`, 'g'))?.length ?? 0;
  }

  /** The output of its client and of the server, for a failed test. */
  get told(): string {
    return this.#told;
  }

  async close(): Promise<void> {
    this.#client.kill();
    await once(this.#client, 'close');
  }
}

/**
 * One story, told in order: a spy, whose console is its controlling terminal, a neighbour who types, and the host's own
 * console. The spy tries what a program with all rights of a hosted container can try.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { after, test } from 'node:test';
import { addon } from '../../uinput-native/addon.ts';
import { until } from '../support/site.ts';
import { consoleInFront, press, typeSpy, typeSpyOnHost } from './front.ts';
import { GuestHost } from './guest-host.ts';

/** Source: the kernel's kd.h, vt.h, tiocl.h and ioctls.h. */
const VT_SETMODE = '5602';
const VT_ACTIVATE = '5606';
const VT_UNLOCKSWITCH = '560c';
const VT_SETACTIVATE = '560f';
const VT_DISALLOCATE = '5608';
const KDSETMODE = '4b3a';
const KDSKBMODE = '4b45';
const TIOCLINUX = '541c';
const [KD_TEXT, KD_GRAPHICS] = [0, 1];
const K_RAW = 0;
/** TIOCL_SETSEL of the first row's first 20 columns; TIOCL_PASTESEL. */
const SELECT = bytes(2, ...words(1, 1, 20, 1, 0));
const PASTE = bytes(3);

const host = await GuestHost.open();
const service = await host.start();
const spy = await host.hostInputProgram(service);
const neighbour = await host.hostInputProgram(service);
for (const { program, tty } of [spy, neighbour]) {
  await program.say('connect');
  assert.equal(await program.say(`console ${tty}`), 'done');
}
after(async () => {
  try {
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});

function words(...numbers: number[]): number[] {
  return numbers.flatMap((number) => [number & 255, number >> 8]);
}

function bytes(...numbers: number[]): string {
  return Buffer.from(numbers).toString('hex');
}

function text(of: string): string {
  return Buffer.from(of).toString('hex');
}

/** The requests of each to come to the front, or to read what is typed or shown there. */
const ATTEMPTS: Readonly<Record<string, string>> = {
  VT_ACTIVATE: `control ${VT_ACTIVATE} ${spy.tty}`,
  // Its number as an int, and a struct vt_mode.
  VT_SETACTIVATE: `control-text ${VT_SETACTIVATE} ${bytes(...words(spy.tty, 0), ...Array(8).fill(0))}`,
  VT_UNLOCKSWITCH: `control ${VT_UNLOCKSWITCH} 0`,
  'VT_ACTIVATE again': `control ${VT_ACTIVATE} ${spy.tty}`,
  'an escape sequence that activates a console': `print ${text(`\x1b[12;${spy.tty}]`)}`,
  'an escape sequence that activates the last console': `print ${text('\x1b[15]')}`,
  'KDSKBMODE K_RAW': `control ${KDSKBMODE} ${K_RAW}`,
  'VT_SETMODE VT_PROCESS': `control-text ${VT_SETMODE} ${bytes(1, 0, ...words(10, 10, 10))}`,
  'KDSETMODE KD_GRAPHICS': `control ${KDSETMODE} ${KD_GRAPHICS}`,
  'KDSETMODE KD_TEXT': `control ${KDSETMODE} ${KD_TEXT}`,
  VT_DISALLOCATE: `control ${VT_DISALLOCATE} 0`,
};

for (const [name, attempt] of Object.entries(ATTEMPTS)) {
  test(`a container cannot read its neighbour's keystrokes after ${name}`, async () => {
    await spy.program.say(attempt);
    await typeSpy(neighbour);
    assert.equal(await spy.program.say('typed'), '');
    assert.equal(consoleInFront(), 'tty9');
  });
}

test("a container cannot read its neighbour's screen by pasting a selection", async () => {
  await neighbour.program.say(`control ${VT_ACTIVATE} ${neighbour.tty}`);
  await neighbour.program.say(`print ${text(`\x1b[12;${neighbour.tty}]\x1b[H\x1b[Ja secret`)}`);
  await spy.program.say(`control-text ${TIOCLINUX} ${SELECT}`);
  await spy.program.say(`control-text ${TIOCLINUX} ${PASTE}`);
  const pasted = Buffer.from(await spy.program.say('typed'), 'hex').toString();
  assert.doesNotMatch(pasted, /secret/);
});

/** A program that reads the host's first console, like a login prompt. */
function prompt() {
  const program = spawn('cat', ['/dev/tty1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let read = '';
  program.stdout.on('data', (chunk) => {
    read += chunk;
  });
  const end = async () => {
    program.kill();
    await once(program, 'close');
  };
  return { read: () => read, end };
}

test('a login prompt of the host reads no keystrokes from a container', async () => {
  const { read, end } = prompt();
  await typeSpy(neighbour);
  await spy.program.say('typed');
  await end();
  assert.equal(read(), '');
});

test('a container reads no keystrokes from a keyboard of the host', async () => {
  await typeSpyOnHost();
  assert.equal(await spy.program.say('typed'), '');
  assert.equal(consoleInFront(), 'tty9');
});

test('Alt+F2 switches no console, Ctrl+ScrollLock fills no log, and Ctrl+Alt+Del is ignored', async () => {
  await press(neighbour, ['alt', 'f2'], ['control', 'scrollLock'], ['control', 'alt', 'delete']);
  assert.equal(consoleInFront(), 'tty9');
  assert.doesNotMatch(execFileSync('dmesg', { encoding: 'utf8' }), /task:/);
  execFileSync('journalctl', ['--sync']);
  const heard = ['--boot', '--output=cat', '--grep=ctrl-alt-del', '_PID=1'];
  assert.equal(spawnSync('journalctl', heard, { encoding: 'utf8' }).stdout.replace(/^-- .*\n/gm, ''), '');
});

test('a stopping service brings back the console that was in front, and consoles can be switched again', async () => {
  assert.equal(await service.stop(), 0);
  assert.equal(consoleInFront(), 'tty1');
  const console = openSync('/dev/tty1', constants.O_RDWR | constants.O_NOCTTY);
  for (const n of [2, 1]) {
    addon().controlConsole(console, 'activate', n);
    await until(`tty${n} is in front`, () => consoleInFront() === `tty${n}`);
  }
  closeSync(console);
  const { read, end } = prompt();
  await typeSpyOnHost();
  await until('the host reads its own keyboard again', () => read() === 'spy\n');
  await end();
});

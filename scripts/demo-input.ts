/**
 * Demonstrates input devices, in the guest. A program in a container gets the descriptors of its own pointer, mouse and
 * keyboard and types. The host's kernel receives the keys; a neighbour container does not and cannot.
 */

import Dockerode from 'dockerode';
import { host } from '../test/support/callers.ts';
import { containerIdOf, hostPortOf } from '../test/support/inspect.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { Evdev, type InputEvent, virtualDevices } from '../test/vm/evdev.ts';
import { INPUT_IMAGE, InputProgram, KEYBOARD, MOUSE } from '../test/vm/input-program.ts';
import { demonstrate } from './demonstrate.ts';
import { importImage } from './image.ts';
import { say } from './say.ts';

/** Key codes of "hello". Source: the kernel's input-event-codes.h. */
const HELLO = [
  ['h', 35],
  ['e', 18],
  ['l', 38],
  ['l', 38],
  ['o', 24],
] as const;

function press(code: number): InputEvent[] {
  return [
    [1, code, 1],
    [0, 0, 0],
    [1, code, 0],
    [0, 0, 0],
  ];
}

async function type(program: InputProgram, keyboard: number): Promise<void> {
  const evdev = await Evdev.open(keyboard);
  const events = HELLO.flatMap(([, code]) => press(code));
  await program.write(KEYBOARD, events);
  const codes = (await evdev.read(events.length)).filter(([kind, , value]) => kind === 1 && value === 1);
  await evdev.close();
  const letters = codes.map(([, code]) => HELLO.find(([, one]) => one === code)?.[0] ?? '?');
  say(`container A: its program typed; the host's kernel has read "${letters.join('')}" from its keyboard`);
}

function listDevices(): void {
  const rows = virtualDevices().map(({ name, number }) => `${name.padEnd(32)}/dev/input/event${number}`);
  console.log(`\n${rows.map((row) => `         ${row}`).join('\n')}\n`);
}

async function show(service: ServiceProcess): Promise<boolean> {
  say('starting the service on a machine that looks like an EC2 host …');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  await importImage(docker, INPUT_IMAGE, [], '/input-program');
  say('starting two containers (the processor is emulated, so this takes a while) …');
  const ids = [];
  for (let i = 0; i < 2; i++) ids.push(await host(service, { image: INPUT_IMAGE }));
  const [first, second] = ids as [string, string];
  say('the kernel has made a pointer, a mouse and a keyboard for each of them:');
  listDevices();
  const [own, others] = [virtualDevices().slice(0, 3), virtualDevices().slice(3)];
  const numberOf = (devices: typeof own, name: string) =>
    devices.find((device) => device.name.endsWith(name))?.number as number;

  const program = await InputProgram.open(await hostPortOf(docker, first));
  const spy = await InputProgram.open(await hostPortOf(docker, second));
  say(`container A: its program requests its descriptors and gets ${await program.say('connect')}`);
  await type(program, numberOf(own, 'Keyboard'));
  await program.write(MOUSE, [
    [2, 8, 1],
    [2, 0xb, 120],
    [0, 0, 0],
  ]);
  say('container A: it turned the wheel of its mouse by one step, in both resolutions');
  const keyboard = numberOf(own, 'Keyboard');
  const opened = async (command: string) => (await spy.say(command)).replace('done', 'opened');
  const another = numberOf(others, 'Keyboard');
  say(`container B opens its own keyboard: ${await opened(`open /dev/input/event${another}`)}`);
  say(`container B makes a node for A's keyboard and opens it: ${await opened(`open-number ${keyboard}`)}`);

  await docker.getContainer(first).kill();
  await service.gone(await containerIdOf(docker, first));
  say('container A has ended, and only these devices are left in the kernel:');
  listDevices();
  const exitCode = await service.stop('SIGTERM');
  say(
    `the service was stopped and has exited with code ${exitCode}; devices left: ${virtualDevices().length}`,
  );
  return exitCode === 0;
}

await demonstrate(show, { INPUT_DEVICES: 'required' });

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { after, test } from 'node:test';
import { Evdev, type InputEvent, readAttribute, virtualDevices } from './evdev.ts';
import { GuestHost } from './guest-host.ts';
import { KEYBOARD, MOUSE, POINTER } from './input-program.ts';
import { show } from './unit-service.ts';

const host = await GuestHost.open();
const service = await host.start({ HOSTED_ALLOW: 'SecurityOpt=seccomp=unconfined' });
const container = await host.hostInputProgram(service);
const { numbers, program } = container;
after(async () => {
  try {
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});

const [EV_SYN, EV_KEY, EV_REL, EV_ABS] = [0, 1, 2, 3];
const SYN: InputEvent = [EV_SYN, 0, 0];
const LAST_KEY = 0x2fe;
/** Events that the kernel keeps for a slow reader. */
const AT_ONCE = 48;

/** Each key separately, down and up. */
function presses(codes: readonly number[]): InputEvent[] {
  return codes.flatMap((code): InputEvent[] => [[EV_KEY, code, 1], SYN, [EV_KEY, code, 0], SYN]);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The events that the program writes come out of its device unchanged. */
async function assertPasses(device: number, events: readonly InputEvent[]) {
  const evdev = await Evdev.open(numbers[device] as number);
  try {
    for (let i = 0; i < events.length; i += AT_ONCE) {
      const some = events.slice(i, i + AT_ONCE);
      await program.write(device, some);
      assert.deepEqual(await evdev.read(some.length), some);
    }
  } finally {
    await evdev.close();
  }
}

test('the host reads exactly what a program writes to its devices: moves, buttons, wheels and every key', async () => {
  assert.equal(await program.say('connect'), '3');
  await assertPasses(POINTER, [
    ...([[EV_ABS, 0, 0xfff], [EV_ABS, 1, 7], SYN] as const),
    ...([[EV_ABS, 0, 1], SYN] as const),
    ...presses([0x140, 0x14a, 0x14b]),
  ]);
  await assertPasses(MOUSE, [
    ...([[EV_REL, 0, -5], [EV_REL, 1, 127], SYN] as const),
    ...([[EV_REL, 8, 1], [EV_REL, 0xb, 120], SYN] as const),
    ...([[EV_REL, 6, -1], [EV_REL, 0xc, -120], SYN] as const),
    ...presses(range(0x110, 0x114)),
  ]);
  // Code 0 is reserved by the kernel, and no device has it.
  await assertPasses(KEYBOARD, presses(range(1, LAST_KEY)));
});

test('the devices have the names, ids and capabilities that udev rules and programs expect', async () => {
  const found = numbers.map((number) => {
    const { sysname, name } = virtualDevices().find((one) => one.number === number) ?? assert.fail();
    const id = ['bustype', 'vendor', 'product', 'version'].map((one) => readAttribute(sysname, `id/${one}`));
    const bits = ['ev', 'rel', 'abs'].map((one) => readAttribute(sysname, `capabilities/${one}`));
    const keys = readAttribute(sysname, 'capabilities/key').split(' ');
    return {
      name,
      id: id.join(':'),
      bits: bits.join(' '),
      keys,
      properties: readAttribute(sysname, 'properties'),
    };
  });
  const all = 'ffffffffffffffff';
  assert.deepEqual(found, [
    {
      name: 'Fractal Virtual Absolute Input',
      id: '0003:f4c1:1124:0001',
      bits: 'b 0 3',
      keys: ['c01', '0', '0', '0', '0', '0'],
      properties: '1',
    },
    {
      name: 'Fractal Virtual Relative Input',
      id: '0003:f4c1:1123:0001',
      bits: '7 1943 0',
      keys: ['1f0000', '0', '0', '0', '0'],
      properties: '0',
    },
    {
      name: 'Fractal Virtual Keyboard',
      id: '0003:f4c1:1122:0001',
      bits: '3 0 0',
      keys: ['7fffffffffffffff', ...Array.from({ length: 10 }, () => all), 'fffffffffffffffe'],
      properties: '0',
    },
  ]);
  assert.equal(await program.say(`open /dev/input/event${numbers[POINTER]}`), 'done');
  assert.equal(await program.say('axes'), '0..4095 0..4095');
});

test('C37: when a container runs, udev has recorded its devices as pointer, mouse and keyboard', async () => {
  const records = numbers.map((number) => readFileSync(`/run/udev/data/c13:${64 + number}`, 'utf8'));
  const [pointer, mouse, keyboard] = records.map((record) =>
    [...record.matchAll(/^E:ID_INPUT_(\w+)=1$/gm)].map(([, kind]) => kind),
  );
  assert.deepEqual([pointer, mouse], [['MOUSE'], ['MOUSE']]);
  // It has the codes of mouse buttons too.
  assert.deepEqual(new Set(keyboard), new Set(['KEY', 'KEYBOARD', 'MOUSE']));
});

test('no key of a container switches the host off or restarts it', async () => {
  const node = `/dev/input/event${numbers[KEYBOARD]}`;
  assert.doesNotMatch(
    execFileSync('udevadm', ['info', node], { encoding: 'utf8' }),
    /TAGS=.*:(power-switch|uaccess):/,
  );
  await program.say('connect');
  const [KEY_LEFTCTRL, KEY_LEFTALT, KEY_SYSRQ, KEY_B, KEY_DELETE, KEY_POWER] = [29, 56, 99, 48, 111, 116];
  const chord = (codes: readonly number[]): InputEvent[] => [
    ...codes.flatMap((code): InputEvent[] => [[EV_KEY, code, 1], SYN]),
    ...codes.toReversed().flatMap((code): InputEvent[] => [[EV_KEY, code, 0], SYN]),
  ];
  await assertPasses(KEYBOARD, [...chord([KEY_LEFTALT, KEY_SYSRQ, KEY_B]), ...chord([KEY_POWER])]);
  // More than seven presses within two seconds count as a separate request.
  for (let i = 0; i < 12; i++) await program.write(KEYBOARD, chord([KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE]));
  const unconfined = await host.hostUnconfined();
  await unconfined.program.say('connect');
  assert.equal(await unconfined.program.say(`disguise ${KEYBOARD}`), 'done');
  execFileSync('udevadm', ['settle']);
  await unconfined.program.write(KEYBOARD, chord([KEY_POWER]));
  await host.remove(service, unconfined);
  assert.equal(execFileSync('systemctl', ['is-system-running'], { encoding: 'utf8' }).trim(), 'running');
});

test('a program cannot make a device of its own from the descriptors that it received', async () => {
  const another = await host.hostInputProgram(service);
  await another.program.say('connect');
  assert.equal(await another.program.say(`disguise ${KEYBOARD}`), 'Operation not permitted');
  await host.remove(service, another);
});

test('C34: a program that restarts gets its descriptors again, any number of times', async () => {
  for (let i = 0; i < 20; i++) assert.equal(await program.say('connect'), '3');
  await assertPasses(MOUSE, [[EV_REL, 0, 1], SYN]);
  const { mode, uid } = statSync(`/fractal/temp/${container.id}/sockets/uinput.sock`);
  assert.deepEqual([(mode & 0o777).toString(8), uid], ['755', 0], 'only root may connect');
});

test('C36: containers leave neither descriptors nor devices behind', async () => {
  const open = () => {
    const directory = `/proc/${service.pid}/fd`;
    const files = readdirSync(directory).map((fd) => readlinkSync(`${directory}/${fd}`));
    const listening = readFileSync('/proc/net/unix', 'utf8').match(/uinput\.sock$/gm)?.length;
    // Other parts of the service open and close connections.
    return [files.filter((file) => !file.startsWith('socket:')).sort(), listening];
  };
  const before = [open(), virtualDevices()] as const;
  const another = await host.hostInputProgram(service);
  await another.program.say('connect');
  const from = service.lines.length;
  await host.remove(service, another);
  assert.deepEqual([open(), virtualDevices()], before);
  const seen = service.lines
    .slice(from)
    .filter(({ msg, kind }) => msg === 'gone' && kind === 'input devices');
  assert.equal(seen.length, 1);
  assert.equal(
    String(seen[0]?.seen).match(/\/sys\/devices\/virtual\/input\/input\d+ no longer exists/g)?.length,
    3,
  );
});

test('systemctl stop ends containers and devices, and the unit succeeds', async () => {
  assert.equal(await service.stop(), 0);
  assert.deepEqual(virtualDevices(), []);
  assert.equal(show('Result'), 'success');
});

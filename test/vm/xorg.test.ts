/** One story, told in order: two X servers of Debian that run at once, each with its container's console and devices. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { until } from '../support/site.ts';
import type { InputEvent } from './evdev.ts';
import { consoleInFront, press } from './front.ts';
import { GuestHost } from './guest-host.ts';
import { MOUSE } from './input-program.ts';
import { importXServer, X_IMAGE, XServer } from './x-server.ts';

/** The left button, pressed and released. Source: the kernel's input-event-codes.h. */
const CLICK: readonly InputEvent[] = [
  [1, 0x110, 1],
  [0, 0, 0],
  [1, 0x110, 0],
  [0, 0, 0],
];

const host = await GuestHost.open();
await importXServer(host.docker);
const service = await host.start();
after(async () => {
  try {
    assert.equal(await service.stop(), 0);
    await host.finish();
  } finally {
    await host[Symbol.asyncDispose]();
  }
});

let servers: readonly [XServer, XServer];

async function type({ container }: XServer): Promise<void> {
  await press(container, ['s']);
}

async function click({ container }: XServer): Promise<void> {
  await container.program.write(MOUSE, CLICK);
}

test('two X servers that each use console 10 of their container run at once', async () => {
  const open = async () => {
    const container = await host.hostInputProgram(service, X_IMAGE);
    assert.equal(await container.program.say('connect'), '3');
    return await XServer.open(container);
  };
  servers = [await open(), await open()];
  assert.equal(consoleInFront(), 'tty9');
});

test('each X server receives the keystrokes and clicks of its own container, and none of the other', async () => {
  const [first, second] = servers;
  for (const [mine, other] of [
    [first, second],
    [second, first],
    [first, second],
  ] as const) {
    for (const [what, act] of [
      ['Key', type],
      ['Button', click],
    ] as const) {
      const before = [mine.heard(what), other.heard(what)] as const;
      // It is repeated until the client has begun to listen.
      await until(`a ${what} press arrives: ${mine.told}`, async () => {
        await act(mine);
        return mine.heard(what) > before[0];
      });
      assert.equal(other.heard(what), before[1]);
    }
  }
  for (const server of servers) await server.close();
});

/** The check whether ports are open, which their programs do not notice. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { addon } from '../../uinput-native/addon.ts';
import { knock } from '../../uinput-native/knock.ts';

/** The sockets among this process's descriptors. */
function sockets(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith('socket:')).length;
}

async function listen(t: TestContext) {
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    socket.on('error', () => {}).destroy();
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, accepted: () => accepted };
}

suite('the port check', () => {
  test('distinguishes open from closed ports, many at once, and leaks no descriptor', async (t) => {
    const { port } = await listen(t);
    assert.deepEqual(await knock(['127.0.0.1', '127.0.0.2', '127.0.0.1'], port), [true, false, true]);
    const many: string[] = Array(1000).fill('127.0.0.1');
    const before = sockets();
    assert.deepEqual(
      await knock(many, port),
      many.map(() => true),
    );
    assert.equal(sockets(), before);
    assert.deepEqual(await knock([], port), []);
  });

  test('does not show up as a connection to a listening program', async (t) => {
    const { port, accepted } = await listen(t);
    for (let i = 0; i < 100; i++) assert.deepEqual(await knock(['127.0.0.1'], port), [true]);
    // A machine that delays a thread for 200 ms makes this happen now and then.
    assert.ok(accepted() < 50, `${accepted()} of 100 were accepted`);
  });

  test('gives up in time on ports that do not answer, and still reports the others', async () => {
    // An address for documentation, which no host has.
    const found = addon().knock(['192.0.2.1', '127.0.0.1'], 9, 100);
    assert.deepEqual(await found, [false, false]);
  });

  test('accepts only IPv4 addresses, a port and a time', () => {
    const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    const ask = (...given: unknown[]) => (addon().knock as (...given: unknown[]) => unknown)(...given);
    for (const given of [
      [],
      ['127.0.0.1', 1, 1],
      [[], 1, 1],
      [Array(1025).fill('127.0.0.1'), 1, 1],
      [['127.0.0'], 1, 1],
      [['::1'], 1, 1],
      [['localhost'], 1, 1],
      [[1], 1, 1],
      [['127.0.0.1'], 0, 1],
      [['127.0.0.1'], 65_536, 1],
      [['127.0.0.1'], 1, 'long'],
    ]) {
      assert.throws(() => ask(...given), wrong, JSON.stringify(given).slice(0, 50));
    }
  });
});

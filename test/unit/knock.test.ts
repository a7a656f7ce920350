/** Whether ports are open, asked so that nobody notices. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { suite, test } from 'node:test';
import { addon } from '../../uinput-native/addon.ts';
import { knock } from '../../uinput-native/knock.ts';

const countDescriptors = () => readdirSync('/proc/self/fd').length;

suite('knock', () => {
  test('tells open ports from closed ones, many at once, and is no connection for who listens', async () => {
    let accepted = 0;
    const server = createServer(() => {
      accepted += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(await knock(['127.0.0.1', '127.0.0.2', '127.0.0.1'], port), [true, false, true]);
    const before = countDescriptors();
    assert.deepEqual(await knock(Array(1000).fill('127.0.0.1'), port), Array(1000).fill(true));
    assert.equal(countDescriptors(), before);
    server.close();
    await once(server, 'close');
    assert.deepEqual(await knock(['127.0.0.1'], port), [false]);
    assert.equal(accepted, 0);
    assert.deepEqual(await knock([], port), []);
  });

  test('gives up in time on those that say nothing, and the others are known all the same', async () => {
    // For documentation: nobody has it.
    const found = addon().knock(['192.0.2.1', '127.0.0.1'], 9, 100);
    assert.deepEqual(await found, [false, false]);
  });

  test('takes nothing but IPv4 addresses, a port and a time', () => {
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

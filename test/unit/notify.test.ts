import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import type { Line } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';
import { Watchdog } from '../../src/process/watchdog.ts';
import { notify } from '../../uinput-native/notify.ts';
import { Receiver } from '../support/receiver.ts';

function newSocket(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'notify-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'socket');
}

function newLog() {
  const lines: Line[] = [];
  return {
    lines,
    log: createLogger({ level: 'trace', stream: { write: (line) => void lines.push(JSON.parse(line)) } }),
  };
}

suite('notify', () => {
  for (const kind of ['a path', 'an abstract name']) {
    test(`a message to ${kind} arrives unchanged`, async (t) => {
      const socket = kind === 'a path' ? newSocket(t) : `@notify-test-${process.pid}`;
      await using receiver = await Receiver.open(socket);
      notify(socket, 'READY=1');
      notify(socket, 'STATUS=grüße');
      assert.deepEqual([await receiver.next(), await receiver.next()], ['READY=1', 'STATUS=grüße']);
    });
  }

  test('a notification fails with a code if nobody listens, and for an invalid address', async (t) => {
    const socket = newSocket(t);
    assert.throws(() => notify(socket, 'READY=1'), { code: 'ENOENT', message: /^notify: / });
    await (await Receiver.open(socket))[Symbol.asyncDispose]();
    assert.throws(() => notify(socket, 'READY=1'), { code: 'ECONNREFUSED' });
    assert.throws(() => notify('here', 'READY=1'), { code: 'EINVAL', message: /must begin with/ });
    const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
    assert.throws(() => notify(`/${'x'.repeat(107)}`, 'READY=1'), { ...wrong, message: /^socket must be/ });
    assert.throws(() => notify(socket, ''), { ...wrong, message: /^state must be/ });
  });

  test('a notification never waits for a receiver that does not read', async (t) => {
    const socket = newSocket(t);
    await using receiver = await Receiver.open(socket);
    receiver.child.kill('SIGSTOP');
    const sayAll = () => {
      for (let i = 0; i < 100_000; i++) notify(socket, 'WATCHDOG=1');
    };
    assert.throws(sayAll, { code: 'EAGAIN' });
  });
});

suite('the watchdog', () => {
  test('the event loop sends a keepalive at once and then three times in WATCHDOG_USEC, also after the end began', async (t) => {
    const NOTIFY_SOCKET = newSocket(t);
    await using receiver = await Receiver.open(NOTIFY_SOCKET);
    const { log, lines } = newLog();
    new Watchdog({ NOTIFY_SOCKET, WATCHDOG_USEC: '3600000000' }, log);
    assert.equal(await receiver.next(), 'WATCHDOG=1', 'the first keepalive is immediate');
    const since = performance.now();
    const watchdog = new Watchdog({ NOTIFY_SOCKET, WATCHDOG_USEC: '600000' }, log);
    for (let i = 0; i < 4; i++) assert.equal(await receiver.next(), 'WATCHDOG=1');
    assert.ok(performance.now() - since >= 590, 'it is not more frequent than necessary');
    watchdog.ready();
    const before = await receiver.until('READY=1');
    watchdog.stopping();
    before.push(...(await receiver.until('STOPPING=1')));
    assert.ok(before.every((word) => word === 'WATCHDOG=1'));
    assert.equal(await receiver.next(), 'WATCHDOG=1');
    assert.deepEqual(lines, []);
  });

  test('without a watchdog, the service reports only that it is ready and that it stops', async (t) => {
    const NOTIFY_SOCKET = newSocket(t);
    await using receiver = await Receiver.open(NOTIFY_SOCKET);
    const { log } = newLog();
    const watchdog = new Watchdog({ NOTIFY_SOCKET }, log);
    watchdog.ready();
    watchdog.stopping();
    assert.deepEqual([await receiver.next(), await receiver.next()], ['READY=1', 'STOPPING=1']);
  });

  test('a missing receiver is logged once and changes nothing', (t) => {
    const { log, lines } = newLog();
    const watchdog = new Watchdog({ NOTIFY_SOCKET: newSocket(t), WATCHDOG_USEC: '600000' }, log);
    watchdog.ready();
    watchdog.stopping();
    assert.deepEqual(
      lines.map(({ level, state, msg }) => [level, state, msg]),
      [['error', 'WATCHDOG=1', 'the watchdog could not be notified: notify: no such file or directory']],
    );
    new Watchdog({ WATCHDOG_USEC: '600000' }, log).ready();
    assert.equal(lines.length, 1, 'without a socket nobody is notified');
  });
});

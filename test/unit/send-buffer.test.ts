import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setSendBuffer } from '../../uinput-native/send-buffer.ts';

const MUCH = Buffer.alloc(2 ** 20);

/** For a unix socket whose peer does not read: the number of written bytes that wait outside the kernel. */
async function waitingOf(t: TestContext, buffer?: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'send-buffer-'));
  const server = createServer({ pauseOnConnect: true }).listen(join(directory, 'socket'));
  const accepted = once(server, 'connection');
  const socket = createConnection(join(directory, 'socket'));
  await once(socket, 'connect');
  const [peer] = (await accepted) as [Socket];
  t.after(() => {
    for (const end of [socket, peer]) end.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  if (buffer) setSendBuffer(fd, buffer);
  socket.write(MUCH);
  return socket.writableLength;
}

test('a socket with an enlarged send buffer accepts more than is read', async (t) => {
  assert.ok((await waitingOf(t)) > 0);
  assert.equal(await waitingOf(t, MUCH.length), 0);
});

test('a send buffer needs a descriptor and a size', () => {
  assert.throws(() => setSendBuffer('3' as never, 1), {
    name: 'TypeError',
    message: /^socket must be an integer/,
  });
  assert.throws(() => setSendBuffer(3, {} as never), {
    name: 'TypeError',
    message: /^bytes must be an integer/,
  });
});

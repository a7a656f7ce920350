import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ReadBuffers } from '../../ecs-agent-bridge/docker-proxy/read-buffers.ts';
import { adopt } from '../../ecs-agent-bridge/docker-proxy/sockets.ts';

interface Adopted {
  readonly server: Server;
  readonly accepted: Socket;
  readonly socket: Socket;
  readonly client: Socket;
  /** The received bytes, and their memory. */
  readonly came: { readonly text: string; readonly memory: ArrayBufferLike }[];
}

async function open(t: TestContext): Promise<Adopted> {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  const server = createServer({ allowHalfOpen: true });
  const adopted = new Promise<Pick<Adopted, 'accepted' | 'socket' | 'came'>>((resolve) => {
    server.on('connection', (accepted) => {
      const buffers = new ReadBuffers();
      const came: Adopted['came'] = [];
      buffers.onPiece = (piece, giveBack) => {
        came.push({ text: String(piece), memory: piece.buffer });
        giveBack();
      };
      resolve({ accepted, socket: adopt(accepted, buffers), came });
    });
  });
  server.listen(join(directory, 'socket'));
  const client = createConnection({ path: join(directory, 'socket'), allowHalfOpen: true });
  t.after(() => {
    client.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { server, client, ...(await adopted) };
}

/** Sends, and waits for the arrival. */
async function say(client: Socket, came: Adopted['came'], text: string): Promise<void> {
  client.write(text);
  while (came.at(-1)?.text !== text) await turn();
}

suite('an accepted connection', () => {
  test('reuses its read buffer, and answers', async (t) => {
    const { client, socket, came } = await open(t);
    for (const text of ['one', 'two', 'three']) await say(client, came, text);
    assert.equal(new Set(came.map(({ memory }) => memory)).size, 1);
    socket.write('answer');
    assert.equal(String((await once(client, 'data'))[0]), 'answer');
  });

  test('can end in one direction and continue in the other', async (t) => {
    const { client, socket } = await open(t);
    client.end();
    socket.resume();
    await once(socket, 'end');
    socket.end('the rest');
    assert.equal(String((await once(client, 'data'))[0]), 'the rest');
  });

  test('is counted by its server until it is closed', async (t) => {
    const { client, server, socket, accepted, came } = await open(t);
    let isClosed = false;
    const closed = once(server, 'close').then(() => {
      isClosed = true;
    });
    server.close();
    await say(client, came, 'after that');
    assert.equal(isClosed, false);
    socket.destroy();
    await Promise.all([closed, once(client.resume(), 'end')]);
    assert.equal(accepted.destroyed, true);
  });

  test('is closed when what was accepted is destroyed, and frees its memory', async (t) => {
    const { client, accepted, socket, came } = await open(t);
    await say(client, came, 'one');
    accepted.destroy();
    await Promise.all([once(socket, 'close'), once(client.resume(), 'end')]);
    assert.equal(came[0]?.memory.byteLength, 0);
  });
});

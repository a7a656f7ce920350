/** The command line returns to its terminal. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { reopenSocket } from '../../src/operator/client.ts';

type Answer = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

const refuse =
  (status: number): Answer =>
  (_, socket) => {
    const body = JSON.stringify({ title: 'no', detail: 'it does not go on' });
    socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
  };
const breakOff: Answer = (_, socket) => socket.destroy();

/** A service that gives these answers to handshakes, one after another, and then accepts. */
async function serve(t: TestContext, ...answers: Answer[]) {
  const accepting = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on('upgrade', (request, socket: Socket, head) => {
    const answer = answers.shift();
    if (answer) answer(request, socket, head);
    else accepting.handleUpgrade(request, socket, head, () => {});
  });
  const socket = join(tmpdir(), randomUUID());
  await once(server.listen(socket), 'listening');
  t.after(() => {
    server.close();
    for (const client of accepting.clients) client.terminate();
  });
  return { socket };
}

test('a connection is tried again while a service starts, stops, or breaks it off', async (t) => {
  const opened = await reopenSocket(await serve(t, breakOff, refuse(503)), '/');
  assert.equal(opened?.readyState, opened?.OPEN);
  opened?.terminate();
});

test('a refusal is final', async (t) => {
  await assert.rejects(reopenSocket(await serve(t, refuse(404)), '/'), /it does not go on/);
});

test('a place where nobody listens is given up at once', async () => {
  assert.equal(await reopenSocket({ socket: join(tmpdir(), randomUUID()) }, '/'), undefined);
});

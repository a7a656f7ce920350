/** Behaviour of a real Engine that is too rare to wait for. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Exec } from '../../docker-engine/exec.ts';

/** An Engine that runs a program before it knows its pid. */
async function engineThatLearnsLate(t: TestContext, pid: number): Promise<Docker> {
  const pids = [0, 0, pid];
  const server = createServer((request, response) => {
    const { method, url = '' } = request;
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (url.includes('/version')) response.end('{"ApiVersion":"1.41","Version":"20.10"}');
    else if (method === 'POST' && url.includes('/containers/')) response.writeHead(201).end('{"Id":"e"}');
    else if (url.includes('/resize')) response.end();
    else response.end(JSON.stringify({ Running: true, ExitCode: null, Pid: pids.shift() ?? pid }));
  });
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    socket.on('end', () => socket.end()).resume();
  });
  const path = join(tmpdir(), randomUUID());
  await once(server.listen(path), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return await Docker.open(path);
}

test('a program in a terminal is found by its session, even if Docker reports it late', async (t) => {
  const running = spawn('sleep', ['1000'], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH },
  });
  t.after(() => running.kill('SIGKILL'));
  const exec = await Exec.start(
    await engineThatLearnsLate(t, running.pid as number),
    {
      terminal: '0123456789abcdef',
      // The kernel's name for the control group of any process.
      dockerId: ':' as DockerId,
      command: ['sleep', '1000'],
      user: undefined,
      type: 'xterm',
      size: { columns: 80, rows: 24 },
    },
    AbortSignal.timeout(20_000),
  );
  const ended = once(running, 'exit', { signal: AbortSignal.timeout(20_000) });
  await exec.hangUp();
  assert.equal((await ended)[1], 'SIGHUP');
});

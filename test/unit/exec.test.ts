/** Behaviour of a real Engine that is too rare to wait for. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Exec } from '../../docker-engine/exec.ts';
import { execEngine } from '../support/exec-engine.ts';

test('a program in a terminal is found by its session, even if Docker reports it late', async (t) => {
  const running = spawn('sleep', ['1000'], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH },
  });
  t.after(() => running.kill('SIGKILL'));
  const pids = [0, 0];
  const pid = () => pids.shift() ?? (running.pid as number);
  const exec = await Exec.start(
    await execEngine(t, pid, (socket) => socket.on('end', () => socket.end()).resume()),
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

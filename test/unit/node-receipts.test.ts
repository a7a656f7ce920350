/** The receipts of containers of nodes. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '../../logging/logger.ts';
import { NodeReceipts } from '../../managed-nodes/node-receipts.ts';
import { Actual } from '../../managed-nodes/plan/actual.ts';
import { Wanted } from '../../managed-nodes/plan/wanted.ts';
import type { World } from '../../managed-nodes/plan/world.ts';

const OLD = 'a'.repeat(64);
const NEW = 'b'.repeat(64);
const REMOVE = { do: 'remove', node: 'web', container: OLD } as never;
const SIGNAL = new AbortController().signal;
/** The world of a feed that no longer wants the node. */
const WORLD = {
  wanted: new Wanted(),
  actual: new Actual([
    { id: NEW, node: 'web', rank: 'candidate', state: 'running', ports: [] } as never,
    { id: OLD, node: 'web', rank: 'current', state: 'exited', ports: [] } as never,
  ]),
  memory: new Map(),
} as unknown as World;

const INSPECTED = {
  Config: { Image: 'registry.example/web@sha256:1' },
  Created: '2026-01-01T00:00:00Z',
  State: {
    Running: false,
    StartedAt: '2026-01-01T00:00:01Z',
    FinishedAt: '2026-01-02T00:00:00Z',
    ExitCode: 137,
  },
  RestartCount: 2,
};

function receiptsIn(directory: string, inspected: () => Promise<unknown>) {
  const log = createLogger({ level: 'silent', stream: { write: () => {} } });
  return new NodeReceipts({ docker: { call: inspected as never }, directory, log });
}

test('a removed container of a node leaves a receipt that only root can read', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'receipts-'));
  const path = join(directory.path, 'receipts');
  const receipts = receiptsIn(path, async () => INSPECTED);
  const steps: string[] = [];
  const carryOut = receipts.around(async (step) => {
    steps.push(step.do);
    return {};
  });
  await carryOut({ ...(REMOVE as object), do: 'stop' } as never, WORLD, SIGNAL);
  assert.deepEqual(await receipts.of('web'), []);
  await carryOut(REMOVE, WORLD, SIGNAL);
  assert.deepEqual(steps, ['stop', 'remove']);
  const [{ removed, ...receipt } = { removed: '' }] = await receipts.of('web');
  assert.ok(Math.abs(Date.now() - Date.parse(removed)) < 60_000);
  assert.deepEqual(receipt, {
    node: 'web',
    container: OLD,
    image: 'registry.example/web@sha256:1',
    created: '2026-01-01T00:00:00Z',
    started: '2026-01-01T00:00:01Z',
    ended: '2026-01-02T00:00:00Z',
    exitCode: 137,
    restarts: 2,
    cause: 'the feed no longer wants it',
    successor: NEW,
  });
  assert.deepEqual(await receipts.of('we'), [], 'another node has a name that begins like it');
  const [name = ''] = await readdir(path);
  assert.equal((await stat(join(path, name))).mode & 0o777, 0o600);
});

test('the receipt of a container that never ran has no start and end', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'receipts-'));
  const never = '0001-01-01T00:00:00Z';
  const State = { Running: false, StartedAt: never, FinishedAt: never, ExitCode: 0 };
  const receipts = receiptsIn(directory.path, async () => ({ ...INSPECTED, State }));
  await receipts.around(async () => ({}))(REMOVE, WORLD, SIGNAL);
  const [receipt] = await receipts.of('web');
  assert.equal(receipt?.container, OLD);
  assert.deepEqual([receipt?.started, receipt?.ended, receipt?.exitCode], [undefined, undefined, undefined]);
});

test("a node's container is removed even if its receipt cannot be written", async () => {
  const gone = receiptsIn('/proc/receipts', () => Promise.reject(new Error('no such container')));
  assert.deepEqual(await gone.around(async () => ({ exitCode: 1 }))(REMOVE, WORLD, SIGNAL), { exitCode: 1 });
  const unwritten = receiptsIn('/proc/receipts', async () => INSPECTED);
  assert.deepEqual(await unwritten.around(async () => ({}))(REMOVE, WORLD, SIGNAL), {});
});

test('a failed removal leaves no receipt', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'receipts-'));
  const receipts = receiptsIn(directory.path, async () => INSPECTED);
  const failing = receipts.around(() => Promise.reject(new Error('Docker is gone')));
  await assert.rejects(failing(REMOVE, WORLD, SIGNAL), /Docker is gone/);
  assert.deepEqual(await receipts.of('web'), []);
});

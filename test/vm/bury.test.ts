/** Like death.test.ts, with faults in the service's own process and in its memory. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { GuestHost } from './guest-host.ts';
import { Survivor } from './survivor.ts';

const DROP_IN = '/run/systemd/system/ecs-host-service.service.d';
/** Loaded into the service before anything else. */
const FAULTS = '/run/test/faults.mjs';
/** Limits in MiB, above what the service needs: for its heap, and for the kernel's limit of its whole memory. */
const [HEAP, MEMORY] = [64, 320];

/** The bundle from the executable, which itself accepts no Node options. */
const BUNDLE = [
  '/project/service/node',
  ...NODE_FLAGS,
  ...[`--import=${FAULTS}`, `--max-old-space-size=${HEAP}`],
  '/project/service/ecs-host-service.mjs',
].join(' ');

const host = await GuestHost.open();
writeFileSync(
  FAULTS,
  `const kept = [];
process.on('SIGURG', () => process.abort());
process.on('SIGWINCH', () => { for (;;) kept.push(Array.from({ length: 10_000 }, () => ({}))); });
process.on('SIGIO', () => kept.push(Buffer.alloc(2 ** 30, 1)));
`,
);
amendUnit();
let service = await host.start();
const survivor = await Survivor.open(host, service);
after(async () => {
  try {
    await host.finish();
  } finally {
    rmSync(DROP_IN, { recursive: true });
    execFileSync('systemctl', ['daemon-reload']);
    await host[Symbol.asyncDispose]();
  }
});

function amendUnit(): void {
  const lines = ['[Service]', `MemoryMax=${MEMORY}M`, 'ExecStart=', `ExecStart=${BUNDLE} run`, ''];
  mkdirSync(DROP_IN, { recursive: true });
  writeFileSync(`${DROP_IN}/faults.conf`, lines.join('\n'));
  execFileSync('systemctl', ['daemon-reload']);
}

const ABORTED = 'the service died: killed by SIGABRT: it gave up, as Node does when its heap is used up';

test('after an abort, unclaimed containers are removed with their devices, and one in use keeps running', async () => {
  const unclaimed = await host.hostInputProgram(service);
  const { status, report } = await survivor.outlives(service, unclaimed, 'SIGURG');
  assert.deepEqual([status, report], [6, ABORTED]);
});

test('after the heap is exhausted, the same holds', async () => {
  service = await host.start();
  const unclaimed = await host.hostInputProgram(service);
  const { status, report } = await survivor.outlives(service, unclaimed, 'SIGWINCH');
  assert.deepEqual([status, report], [6, ABORTED]);
  assert.match(service.other.join('\n'), /JavaScript heap out of memory/);
});

test('after the kernel kills the service for lack of memory, the same holds, and the report says so', async () => {
  service = await host.start();
  const unclaimed = await host.hostInputProgram(service);
  const { pid } = service;
  const { result, status, report } = await survivor.outlives(service, unclaimed, 'SIGIO');
  assert.deepEqual([result, status], ['oom-kill', 9]);
  assert.match(report, new RegExp(`: killed by the kernel, out of memory: Killed process ${pid} `));
});

test('when the container in use ends by itself afterwards, all of its resources are released too', async () => {
  await survivor.end();
});

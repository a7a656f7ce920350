/** The cause of a crash in words, from the reports of systemd, the launcher and the kernel. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';
import { causeOfDeath } from '../../src/after-death/cause-of-death.ts';

/** SERVICE_RESULT, EXIT_CODE, EXIT_STATUS, and their meaning. */
const CAUSES: readonly (readonly [string, string, string, string])[] = [
  ['exit-code', 'exited', '1', 'it ended with exit code 1'],
  ['success', 'exited', '0', 'it ended with exit code 0'],
  ['protocol', 'exited', '0', 'it ended with exit code 0 before it was ready'],
  ['signal', 'killed', 'KILL', 'killed by SIGKILL'],
  ['success', 'killed', 'HUP', 'killed by SIGHUP'],
  ['success', 'killed', 'INT', 'killed by SIGINT'],
  ['success', 'killed', 'PIPE', 'killed by SIGPIPE'],
  ['success', 'killed', 'TERM', 'killed by SIGTERM'],
  ['core-dump', 'dumped', 'SEGV', 'killed by SIGSEGV: it used memory that was not its own'],
  ['signal', 'killed', 'ABRT', 'killed by SIGABRT: it gave up, as Node does when its heap is used up'],
  ['watchdog', 'killed', 'KILL', 'it stopped responding, and its watchdog killed it'],
  ['timeout', 'killed', 'KILL', 'it did not start or end in time'],
  ['oom-kill', 'killed', 'KILL', 'killed by the kernel, out of memory'],
];

suite('the cause of a death', () => {
  for (const [SERVICE_RESULT, EXIT_CODE, EXIT_STATUS, cause] of CAUSES) {
    test(`the cause of a crash is described in words: ${cause}`, () => {
      assert.equal(causeOfDeath({ SERVICE_RESULT, EXIT_CODE, EXIT_STATUS }, undefined), cause);
    });
  }

  test('the report says if nobody saw how the service ended', () => {
    assert.equal(causeOfDeath({}, undefined), 'it is not known how its process ended');
    assert.equal(
      causeOfDeath({ SERVICE_RESULT: 'resources' }, undefined),
      'it is not known how its process ended',
    );
  });

  const killed = (message: string, pid: number) =>
    `3,1023,5144900913,-;${message}: Killed process ${pid} (node) total-vm:1048576kB, anon-rss:524288kB\n`;
  const WORDS = 'Killed process 77 (node) total-vm:1048576kB, anon-rss:524288kB';
  for (const [what, log, cause] of [
    ['it was killed', killed('Out of memory', 77), `killed by the kernel, out of memory: ${WORDS}`],
    [
      'it was killed for its control group',
      killed('Memory cgroup out of memory', 77),
      `killed by the kernel, out of memory: ${WORDS}`,
    ],
    [
      'it was killed because it requested memory',
      killed('Out of memory (oom_kill_allocating_task)', 77),
      `killed by the kernel, out of memory: ${WORDS}`,
    ],
    ['another process was killed', killed('Out of memory', 777), 'killed by SIGKILL'],
    ['no process was killed', '', 'killed by SIGKILL'],
    ['the log cannot be read', undefined, 'killed by SIGKILL'],
  ] as const) {
    test(`the kernel's log is searched: ${what}`, async () => {
      assert.equal(await causeWithLog(log), cause);
    });
  }
});

/** For process 77 and this kernel log; undefined: it does not exist. */
async function causeWithLog(log: string | undefined): Promise<string> {
  await using devices = await mkdtempDisposable(join(tmpdir(), 'cause-of-death-'));
  if (log !== undefined) await writeFile(join(devices.path, 'kmsg'), `6,1,1,-;before\n SUBSYSTEM=x\n${log}`);
  const module = JSON.stringify(join(import.meta.dirname, '../../src/after-death/cause-of-death.ts'));
  const script = `import { causeOfDeath } from ${module};
    process.stdout.write(causeOfDeath({ SERVICE_RESULT: 'signal', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL' }, 77));`;
  const inside = 'mount --bind "$0" /dev && exec "$@"';
  const words = ['--mount', 'sh', '-c', inside, devices.path, process.execPath];
  const node = ['--input-type=module', '--eval', script];
  return (await promisify(execFile)('unshare', [...words, ...node])).stdout;
}

/** The launcher with tiny programs. watchdog.test.ts covers it with the service itself. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LAUNCHER, Launched } from '../support/launched.ts';

const ADDON = join(import.meta.dirname, `../../build/uinput-linux-${process.arch}.node`);
/** A short deadline that is still longer than Node takes to start on a busy machine. */
const SHORT = { options: ['--watchdog', '2.5'] };

/** The code of a Node program that sends a keepalive. */
const SAY = `const say = () => require(${JSON.stringify(ADDON)}).notify(process.env.NOTIFY_SOCKET, 'WATCHDOG=1'); say();`;
/** It keeps sending them, and prints its pid. */
const LIVE = `${SAY} setInterval(say, 100); console.log(process.pid);`;
const node = (script: string) => [process.execPath, '-e', script];
const shell = (script: string) => ['sh', '-c', script];

for (const [end, words, told, status] of [
  ['exits with 0', shell('exit 0'), ['success', 'exited', '0'], 0],
  ['exits with 3', shell('exit 3'), ['exit-code', 'exited', '3'], 3],
  ['cannot be run', ['/not/there'], ['exit-code', 'exited', '127'], 127],
  ['is killed', shell('kill -KILL $$'), ['signal', 'killed', 'KILL'], 137],
  ['is ended by SIGTERM', shell('kill -TERM $$'), ['success', 'killed', 'TERM'], 143],
  // With a limit of one byte, a crash leaves no core, wherever cores are written.
  ['crashes', ['prlimit', '--core=1', ...shell('kill -SEGV $$')], ['signal', 'killed', 'SEGV'], 139],
  [
    'aborts and leaves a core',
    ['prlimit', '--core=unlimited', ...shell('kill -ABRT $$')],
    ['core-dump', 'dumped', 'ABRT'],
    134,
  ],
] as const) {
  test(`if a program ${end}, the launcher tells the burial command so and passes on its exit code`, async () => {
    using launched = new Launched(words);
    assert.equal(await launched.ended(), status);
    assert.deepEqual(launched.told, told);
  });
}

test('the launcher gives a program what systemd gives it, and tells the burial command which process it was', async () => {
  const words = shell('echo "$$ $WATCHDOG_PID $WATCHDOG_USEC"');
  using launched = new Launched(words, { env: { FROM_OUTSIDE: 'passed on' } });
  const [pid, ...rest] = (await launched.line(/./)).split(' ');
  assert.deepEqual(rest, [pid, '10000000']);
  assert.equal(await launched.ended(), 0);
  const { MAIN_PID, FROM_OUTSIDE, NOTIFY_SOCKET } = launched.environment;
  assert.deepEqual([MAIN_PID, FROM_OUTSIDE, NOTIFY_SOCKET], [pid, 'passed on', undefined]);
});

test('a program that sends keepalives is not killed at its deadline', async () => {
  using launched = new Launched(node(`${LIVE} setTimeout(() => process.exit(7), 4000)`), SHORT);
  assert.equal(await launched.ended(), 7, launched.errors);
});

for (const [what, script, signal] of [
  ['sends no keepalive', 'setInterval(() => {}, 1000); console.log(process.pid)', 'CONT'],
  ['is stopped', LIVE, 'STOP'],
  ['blocks its event loop', `process.on('SIGURG', () => { for (;;); }); ${LIVE}`, 'URG'],
] as const) {
  test(`a program that ${what} is killed at its deadline, and the burial command runs`, async () => {
    using launched = new Launched(node(script), SHORT);
    execFileSync('kill', ['-s', signal, await launched.line(/^\d+$/)]);
    assert.equal(await launched.ended(), 137);
    assert.deepEqual(launched.told, ['watchdog', 'killed', 'KILL']);
    assert.match(launched.errors, /has said nothing for 2\.5 s and is killed/);
  });
}

test('keepalives from other processes do not count', async () => {
  const script = `const parent = process.ppid; setInterval(() => process.ppid === parent || process.exit(), 100); ${LIVE}`;
  using launched = new Launched([...shell('"$0" -e "$1" & wait'), ...[process.execPath, script]], SHORT);
  await launched.line(/^\d+$/);
  assert.equal(await launched.ended(), 137);
  assert.deepEqual(launched.told, ['watchdog', 'killed', 'KILL']);
});

test('the launcher forwards SIGHUP, SIGINT, SIGUSR2 and SIGTERM to the program', async () => {
  const signals = ['SIGHUP', 'SIGINT', 'SIGUSR2', 'SIGTERM'] as const;
  const script = `for (const signal of words) process.on(signal, () => {
    console.log(signal);
    if (signal === 'SIGTERM') process.exit(5);
  });`;
  using launched = new Launched(node(`const words = ${JSON.stringify(signals)}; ${script} ${LIVE}`));
  await launched.line(/^\d+$/);
  for (const signal of signals) {
    launched.child.kill(signal);
    assert.equal(await launched.line(/^SIG/), signal);
  }
  assert.equal(await launched.ended(), 5);
});

test('a program that hands over is started again with the descriptors that it stored', async () => {
  const script = `
    const { notifyWith } = require(${JSON.stringify(ADDON)});
    const { readFileSync, openSync, readlinkSync } = require('node:fs');
    const names = process.env.LISTEN_FDNAMES;
    if (names) {
      console.log(names, process.env.LISTEN_PID === String(process.pid), readlinkSync('/proc/self/fd/3'));
      process.exit(5);
    }
    for (const [name, path] of [['one', '/etc/hostname'], ['two', '/etc/passwd'], ['two', '/etc/group']])
      notifyWith(process.env.NOTIFY_SOCKET, 'FDSTORE=1\\nFDNAME=' + name, openSync(path));
    notifyWith(process.env.NOTIFY_SOCKET, 'FDSTOREREMOVE=1\\nFDNAME=one', -1);
    process.exit(Number(process.env.RESTART_STATUS));`;
  using launched = new Launched(node(script));
  assert.equal(await launched.line(/two/), 'two true /etc/group');
  assert.equal(await launched.ended(), 5);
  assert.deepEqual(launched.told, ['exit-code', 'exited', '5']);
});

test('if a program is asked to stop while it hands over, the next one is asked to stop', async () => {
  using launched = new Launched(node(`process.on('SIGTERM', () => process.exit(79)); ${LIVE}`));
  await launched.line(/^\d+$/);
  launched.child.kill();
  assert.equal(await launched.ended(), 128 + 15);
  assert.deepEqual(launched.told, ['success', 'killed', 'TERM']);
});

test('a program that hands over is not started again if it cannot be buried', async () => {
  using launched = new Launched(shell('exit 79'), { bury: ['sh', '-c', 'exit 1'] });
  assert.equal(await launched.ended(), 79);
});

test('if the launcher is killed, the program receives SIGTERM', async () => {
  const script = `process.on('SIGTERM', () => { console.log('asked to stop'); process.exit(); });`;
  using launched = new Launched(node(`${script} ${LIVE}`));
  await launched.line(/^\d+$/);
  launched.child.kill('SIGKILL');
  await launched.line(/^asked to stop$/);
  // A closed stdout means that it has exited too.
  assert.equal(await launched.ended(), null);
});

test('the launcher uses at most 5 MB of memory', async () => {
  using launched = new Launched(node(LIVE));
  await launched.line(/^\d+$/);
  const status = readFileSync(`/proc/${launched.child.pid}/status`, 'utf8');
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  assert.ok(Number(kilobytes) > 0 && Number(kilobytes) <= 5 * 1024, `${kilobytes} kB`);
  launched.child.kill();
  await launched.ended();
});

test('a failed burial command does not change the exit code', async () => {
  for (const bury of [['sh', '-c', 'exit 9'], ['/not/there']]) {
    using launched = new Launched(shell('exit 3'), { bury });
    assert.equal(await launched.ended(), 3);
    assert.match(launched.errors, /has failed to bury the service/);
  }
});

test('for an invalid command line, the launcher prints what is missing and its usage', () => {
  for (const [words, problem] of [
    [[], 'a PROGRAM is missing'],
    [['true'], '-- and a BURY-PROGRAM are missing'],
    [['true', '--'], '-- and a BURY-PROGRAM are missing'],
    [['--watchdog'], '--watchdog needs a number of seconds'],
    [['--watchdog', '0', 'true', '--', 'true'], '--watchdog needs a number of seconds'],
    [['--watchdog', '5x', 'true', '--', 'true'], '--watchdog needs a number of seconds'],
  ] as const) {
    const { status, stderr } = spawnSync(LAUNCHER, words, { encoding: 'utf8' });
    assert.equal(status, 2, words.join(' '));
    assert.ok(
      stderr.startsWith(`launcher: ${problem}\n\nUsage: launcher [--watchdog SECONDS] PROGRAM`),
      stderr,
    );
  }
});

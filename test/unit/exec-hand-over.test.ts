/** The connection of a terminal in a hand-over: each byte arrives once, whichever service reads or writes it. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Exec } from '../../docker-engine/exec.ts';
import { execEngine } from '../support/exec-engine.ts';

const TERMINAL = '0123456789abcdef';
const DOCKER_ID = '0'.repeat(64) as DockerId;

/** A program in a terminal, and the Engine's end of its connection. */
async function start(t: TestContext): Promise<{ docker: Docker; exec: Exec; program: Socket }> {
  const program = Promise.withResolvers<Socket>();
  const docker = await execEngine(
    t,
    () => 4_194_304,
    (socket) => program.resolve(socket.pause()),
  );
  const exec = await Exec.start(
    docker,
    {
      terminal: TERMINAL,
      dockerId: DOCKER_ID,
      command: ['sh'],
      user: undefined,
      type: 'xterm',
      size: { columns: 80, rows: 24 },
    },
    AbortSignal.timeout(20_000),
  );
  const socket = await program.promise;
  t.after(() => socket.destroy());
  return { docker, exec, program: socket };
}

/** Keeps the connection like the store, and reads from it when told to. */
class Next {
  #child: ChildProcess | undefined;

  get child(): ChildProcess {
    return this.#child as ChildProcess;
  }

  readonly keep = (descriptor: number): void => {
    const stdio = [descriptor, 'pipe', 'inherit', 'pipe'] as const;
    this.#child = spawn('sh', ['-c', 'read -r _ <&3; exec cat'], { stdio: [...stdio] });
  };

  /** Reads the connection until it ends. */
  async read(): Promise<Buffer> {
    (this.child.stdio[3] as Socket).end('\n');
    return await buffer(this.child.stdout as NodeJS.ReadableStream);
  }
}

/** Lines that are all different. */
function numbers(count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => `${i}\n`).join(''));
}

/** Asserts equality without showing a difference, because there are too many bytes. */
function assertSame(parts: readonly Uint8Array[], whole: Buffer): void {
  const got = Buffer.concat(parts);
  const at = got.findIndex((byte, i) => byte !== whole[i]);
  assert.ok(
    got.equals(whole),
    `${parts.map(({ length }) => length).join()} of ${whole.length}, wrong at ${at}`,
  );
}

test('the next service reads the output from the byte at which the old one stopped', async (t) => {
  for (const reads of [0, 1, 3]) {
    const { exec, program } = await start(t);
    const next = new Next();
    const printed = numbers(200_000);
    program.end(printed);
    const output = exec.output[Symbol.asyncIterator]();
    const seen: Uint8Array[] = [];
    for (let i = 0; i < reads; i++) seen.push((await output.next()).value as Uint8Array);
    await turn();
    assert.equal(exec.passOn(next.keep), true);
    for (let one = await output.next(); !one.done; one = await output.next()) seen.push(one.value);
    const before = Buffer.from(exec.handed.exec.printed, 'base64');
    assertSame([...seen, before, await next.read()], printed);
  }
});

test('input that the program has not taken is handed over, and so is input that comes later', async (t) => {
  const { exec, program } = await start(t);
  const next = new Next();
  const typed = numbers(200_000);
  const middle = typed.length - 1000;
  const writing: Promise<void>[] = [];
  for (let i = 0; i < middle; i += 400_000)
    writing.push(exec.write(typed.subarray(i, Math.min(i + 400_000, middle))));
  exec.passOn(next.keep);
  await exec.write(typed.subarray(middle));
  await Promise.all(writing);
  const left = Buffer.from(exec.handed.exec.typed, 'base64');
  assert.ok(left.length > 1000 && left.length < typed.length, `${left.length}`);
  const taken = buffer(program);
  program.resume();
  next.child.kill('SIGKILL');
  assertSame([await taken, left], typed);
});

test('a connection that has ended is not handed over', async (t) => {
  const { exec, program } = await start(t);
  program.end();
  for await (const _ of exec.output) assert.fail('nothing was printed');
  assert.equal(
    exec.passOn(() => assert.fail('there is nothing to keep')),
    false,
  );
});

test('a descriptor of another kind is refused and closed', async (t) => {
  const { docker } = await start(t);
  const descriptor = openSync('/dev/null', 'r');
  const handed = { id: 'e', dockerId: DOCKER_ID, printed: '', typed: '' };
  assert.throws(() => Exec.takeOver(docker, handed, TERMINAL, descriptor));
  assert.throws(() => closeSync(descriptor), { code: 'EBADF' });
});

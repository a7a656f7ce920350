import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { addon } from '../../uinput-native/addon.ts';
import { DescriptorSocket } from '../../uinput-native/descriptor-socket.ts';
import { runWithFew } from '../support/descriptors.ts';

const ADDON = join(import.meta.dirname, `../../build/uinput-linux-${process.arch}.node`);
const PROGRAM = join(import.meta.dirname, '../../build/input-program');

interface Opened {
  readonly socket: DescriptorSocket;
  readonly path: string;
  readonly files: readonly string[];
  readonly handOvers: number[];
  readonly troubles: unknown[];
  /** A program like those in the images. @returns the number of descriptors that it got */
  readonly receive: () => Promise<string>;
}

function open(t: TestContext): Opened {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  const files = ['first', 'second', 'third'].map((name) => join(directory, name));
  const descriptors = files.map((file) => openSync(file, 'a'));
  const handOvers: number[] = [];
  const troubles: unknown[] = [];
  const socket = new DescriptorSocket({
    directory,
    name: 'uinput.sock',
    descriptors,
    onHandOver: (count) => handOvers.push(count),
    onTrouble: (error) => troubles.push(error),
  });
  t.after(() => {
    socket.close();
    for (const fd of descriptors) closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'uinput.sock');
  const receive = async () => (await promisify(execFile)(PROGRAM, ['receive', path])).stdout.trim();
  return { socket, path, files, handOvers, troubles, receive };
}

test('all descriptors arrive in one message, in order, and work', async (t) => {
  const { receive, files, handOvers } = open(t);
  assert.equal(await receive(), '3');
  assert.deepEqual(
    files.map((file) => readFileSync(file, 'utf8')),
    ['0', '1', '2'],
  );
  assert.deepEqual(handOvers, [1]);
});

test('a socket that another process has opened continues where it was', async (t) => {
  const { socket, receive, files } = open(t);
  const file = openSync(files[0] as string, 'a');
  t.after(() => closeSync(file));
  const script = `
    const addon = require(${JSON.stringify(ADDON)});
    try { addon.adoptSocket(4, () => {}); } catch ({ code }) { console.log(code); }
    const socket = addon.adoptSocket(3, () => process.exit(addon.handOver(socket, [4]) ? 0 : 1));
    setInterval(() => {}, 1000);
    console.log(socket.fd);`;
  const next = spawn(process.execPath, ['-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', socket.fd, file],
  });
  socket.close();
  const [ended, printed] = [once(next, 'exit'), text(next.stdout as Readable)];
  assert.equal(await receive(), '1');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await printed, 'ENOTSOCK\n3\n');
});

test('every request is answered, repeated and concurrent ones too', async (t) => {
  const { receive, handOvers, troubles } = open(t);
  const answers = await Promise.all(Array.from({ length: 40 }, receive));
  assert.deepEqual(new Set(answers), new Set(['3']));
  assert.equal(await receive(), '3');
  assert.equal(handOvers.at(-1), 41);
  assert.deepEqual(troubles, []);
});

test('a program that requests descriptors in a loop does not block others', async (t) => {
  const mine = open(t);
  const others = open(t);
  let asking = true;
  const flood = (): void => {
    if (asking)
      connect(mine.path)
        .on('error', () => {})
        .on('close', flood)
        .resume();
  };
  for (let i = 0; i < 8; i++) flood();
  for (let i = 0; i < 10; i++) assert.equal(await others.receive(), '3');
  asking = false;
  assert.ok((mine.handOvers.at(-1) ?? 0) > 0);
});

test('a client that disconnects before it is served is forgotten', async (t) => {
  const { path, receive, troubles, handOvers } = open(t);
  for (let i = 0; i < 5; i++)
    connect(path)
      .on('error', () => {})
      .destroy();
  assert.equal(await receive(), '3');
  assert.deepEqual([troubles, handOvers], [[], [1]]);
});

test('C35: without free descriptors, the service logs why, lets programs wait, and serves them as soon as it can', (t) => {
  const script = `
    const { DescriptorSocket } = await import(${JSON.stringify(join(import.meta.dirname, '../../uinput-native/descriptor-socket.ts'))});
    const { openSync, closeSync } = await import('node:fs');
    const { spawn } = await import('node:child_process');
    const directory = process.argv[1];
    const troubles = [];
    // The program writes to each descriptor as soon as it has them.
    const descriptors = [1, 2, 3].map(() => openSync('/dev/null', 'w'));
    new DescriptorSocket({ directory, name: 's', descriptors, onHandOver: (n) => { console.log('handed over', n, troubles.join()); process.exit(); }, onTrouble: (error) => {
      troubles.push(error.code);
      setTimeout(() => taken.forEach((fd) => closeSync(fd)), 300);
    } });
    const client = spawn(${JSON.stringify(PROGRAM)}, ['receive', directory + '/s'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    client.on('exit', () => console.log('it got an answer too early'));`;
  const directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { stdout, stderr } = runWithFew(script, directory);
  assert.match(stdout, /^handed over 1 EMFILE$/m, stdout + stderr);
  assert.doesNotMatch(stdout, /too early/);
});

test('a connection stays open until the descriptors can be sent', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const socket = addon().openSocket(directory, 's', 0o700, () => addon().pauseSocket(socket));
  const client = connect(join(directory, 's'));
  let heard = false;
  client
    .on('data', () => (heard = true))
    .on('end', () => assert.ok(heard, 'it was closed without descriptors'));
  await once(client, 'connect');
  const missing = 1_000_000;
  assert.throws(() => addon().handOver(socket, [missing]), { code: 'EBADF', message: /^send descriptors/ });
  assert.throws(() => addon().handOver(socket, [missing]), { code: 'EBADF' });
  assert.equal(addon().handOver(socket, [0]), true);
  await once(client, 'end');
  assert.equal(addon().handOver(socket, [0]), undefined, 'nobody else waits');
  addon().closeSocket(socket);
});

test('after the socket is closed nobody can connect, and closing it again does nothing', async (t) => {
  const { socket, path } = open(t);
  socket.close();
  const [error] = await once(connect(path), 'error');
  assert.equal(error.code, 'ECONNREFUSED');
  socket.close();
});

test('the socket can have a path of any length', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'sockets-'));
  t.after(() => rmSync(base, { recursive: true }));
  const directory = join(base, 'd'.repeat(200));
  spawnSync('mkdir', [directory]);
  addon().closeSocket(addon().openSocket(directory, 's', 0o700, () => {}));
  assert.equal(statSync(join(directory, 's')).isSocket(), true);
});

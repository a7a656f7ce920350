/** Terminals: the kept output, each client's view, and back-pressure. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Attachment, Seen } from '../../ttys/attachment.ts';
import { Scrollback } from '../../ttys/scrollback.ts';
import { Terminal } from '../../ttys/terminal.ts';
import { FakePty, PassablePty } from '../support/fake-pty.ts';
import fc from '../support/properties.ts';

const SIZE = { columns: 80, rows: 24 };
const KIB = 1024;
const WRITE = { as: 'write', after: undefined } as const;
const WATCH = { as: 'watch', after: undefined } as const;

/** Resolves when everything that needs no further input has happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function open() {
  const pty = new FakePty();
  return { pty, terminal: new Terminal('0123456789abcdef', pty, SIZE) };
}

/** The output until the terminal has ended. */
async function all(attachment: Attachment): Promise<{ readonly text: string; readonly others: Seen[] }> {
  const bytes: Uint8Array[] = [];
  const others: Seen[] = [];
  for await (const seen of attachment.see()) {
    if ('bytes' in seen) bytes.push(seen.bytes);
    else others.push(seen);
  }
  return { text: Buffer.concat(bytes).toString(), others };
}

/** The next bytes. */
async function next(seeing: AsyncGenerator<Seen>): Promise<string> {
  for (;;) {
    const { value } = await seeing.next();
    if (value && 'bytes' in value) return Buffer.from(value.bytes).toString();
  }
}

test('the last bytes of the output are kept at their positions, however they arrived', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.uint8Array({ maxLength: 120 })),
      (size, chunks) => {
        const kept = new Scrollback(size);
        for (const chunk of chunks) kept.add(chunk);
        const whole = Buffer.concat(chunks);
        assert.equal(kept.end, whole.length);
        assert.equal(kept.first, Math.max(0, whole.length - size));
        const read: Buffer[] = [];
        for (let place = kept.first; place < kept.end; ) {
          const bytes = kept.read(place);
          assert.ok(bytes.length > 0);
          read.push(bytes);
          place += bytes.length;
        }
        assert.deepEqual(Buffer.concat(read), whole.subarray(kept.first));
      },
    ),
  );
});

test('a client that attaches later gets the earlier output, from the beginning of a line', async () => {
  const { pty, terminal } = open();
  pty.print('first\n');
  await settled();
  const early = all(terminal.attach(WATCH));
  const line = `${'x'.repeat(99)}\n`;
  for (let i = 0; i < 100; i++) pty.print(line.repeat(40));
  await settled();
  const late = all(terminal.attach(WATCH));
  pty.end(0);
  assert.equal((await early).text, `first\n${line.repeat(4000)}`);
  const { text } = await late;
  assert.equal(text, line.repeat(text.length / 100));
  assert.ok(text.length > 200 * KIB && text.length <= 256 * KIB);
});

test('a client that reattaches gets the output that it missed, and no byte twice', async () => {
  const { pty, terminal } = open();
  pty.print('one two ');
  await settled();
  const first = terminal.attach(WRITE);
  assert.equal(await next(first.see()), 'one two ');
  first.detach();
  pty.print('three');
  await settled();
  const again = all(terminal.attach({ as: 'write', after: 8 }));
  pty.end(0);
  assert.equal((await again).text, 'three');
  assert.equal((await all(terminal.attach({ as: 'watch', after: 1000 }))).text, '');
});

test('output waits for a slow writer, which misses nothing, and for no other client', async () => {
  const { pty, terminal } = open();
  const chunk = 'y'.repeat(64 * KIB);
  const seeing = terminal.attach(WRITE).see();
  const watching = terminal.attach(WATCH).see();
  assert.deepEqual((await watching.next()).value, { isWriter: false });
  for (let i = 0; i < 100; i++) pty.print(chunk);
  await settled();
  assert.ok(pty.read <= 4, `${pty.read} chunks were read for a writer that reads none`);
  let seen = 0;
  const reading = (async () => {
    for await (const one of { [Symbol.asyncIterator]: () => seeing })
      if ('bytes' in one) seen += one.bytes.length;
  })();
  pty.end(0);
  await reading;
  assert.equal(seen, 100 * chunk.length);
  const rest: Seen[] = [];
  for await (const one of watching) rest.push(one);
  const missed = rest.flatMap((one) => ('missed' in one ? one.missed : []));
  assert.equal(missed.length, 1);
  assert.ok((missed[0] as number) >= 90 * chunk.length);
});

test('output continues if a writer disconnects without having read it', async () => {
  const { pty, terminal } = open();
  const writer = terminal.attach(WRITE);
  for (let i = 0; i < 20; i++) pty.print('z'.repeat(64 * KIB));
  pty.end(3);
  await settled();
  assert.ok(pty.read < 20);
  writer.detach();
  assert.equal(await terminal.ended, 3);
});

test('there is one writer, and other clients watch or take over', async () => {
  const { pty, terminal } = open();
  const first = terminal.attach(WRITE);
  assert.throws(() => terminal.attach(WRITE), { code: 'terminal.has_writer' });
  const watcher = terminal.attach(WATCH);
  const firstSees = all(first);
  await settled();
  await watcher.write(Buffer.from('no'));
  await watcher.resize({ columns: 1, rows: 1 });
  await first.write(Buffer.from('a'));
  const second = terminal.attach({ as: 'take', after: undefined });
  await settled();
  await first.write(Buffer.from('no'));
  await second.write(Buffer.from('b'));
  await second.resize({ columns: 100, rows: 30 });
  assert.equal(Buffer.concat(pty.typed).toString(), 'ab');
  assert.deepEqual(pty.sizes, [{ columns: 100, rows: 30 }]);
  assert.deepEqual(terminal.size, { columns: 100, rows: 30 });
  pty.end(0);
  assert.deepEqual((await firstSees).others, [{ isWriter: true }, { isWriter: false }]);
});

test('all output arrives before the end, with the exit code', async () => {
  const { pty, terminal } = open();
  const seen = all(terminal.attach(WRITE));
  pty.print('a', 'b', 'c');
  pty.end(42);
  assert.equal((await seen).text, 'abc');
  assert.equal(await terminal.ended, 42);
});

/** A terminal of one service, continued by the next one. */
async function handedOver(print: (pty: FakePty, terminal: Terminal) => Promise<void>) {
  const before = new PassablePty();
  const first = new Terminal('0123456789abcdef', before, SIZE);
  await print(before, first);
  first.passOn(() => {});
  const left = JSON.parse(JSON.stringify(await first.handed()));
  const pty = new FakePty();
  return { before, pty, terminal: new Terminal(first.id, pty, left.size, left) };
}

test('after a hand-over, a client gets the output from the byte at which it stopped', async () => {
  const clef = Buffer.from('𝄞');
  const { pty, terminal } = await handedOver(async (before) => {
    before.print('one two ', clef.subarray(0, 2));
    await settled();
  });
  pty.print(clef.subarray(2), ' three');
  const again = all(terminal.attach({ as: 'write', after: 4 }));
  pty.end(3);
  assert.equal((await again).text, 'two 𝄞 three');
  assert.equal(await terminal.ended, 3);
});

test('a hand-over keeps as much of a long output as the terminal, at the same positions', async () => {
  const line = `${'x'.repeat(99)}\n`;
  const { pty, terminal } = await handedOver(async (before) => {
    for (let i = 0; i < 100; i++) before.print(line.repeat(40));
    await settled();
  });
  pty.end(0);
  const { text } = await all(terminal.attach(WATCH));
  assert.equal(text, line.repeat(text.length / 100));
  assert.ok(text.length > 250 * KIB);
  const missed = await all(terminal.attach({ as: 'watch', after: 0 }));
  assert.deepEqual(missed.others[1], { missed: 400_000 - 256 * KIB });
});

test('after a hand-over, output waits for the writer to come back, but only for a while', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const chunk = 'y'.repeat(64 * KIB);
  const begin = () =>
    handedOver(async (before, terminal) => {
      terminal.attach(WRITE);
      before.print(chunk);
      await settled();
    });
  const [back, gone] = [await begin(), await begin()];
  for (const { pty } of [back, gone]) {
    for (let i = 0; i < 20; i++) pty.print(chunk);
    await settled();
    assert.ok(pty.read <= 4, `${pty.read} chunks were read`);
    pty.end(0);
  }
  const { text, others } = await all(back.terminal.attach({ as: 'write', after: 0 }));
  assert.equal(text.length, 21 * chunk.length);
  assert.deepEqual(others, [{ isWriter: true }]);
  t.mock.timers.tick(30_000);
  assert.equal(await gone.terminal.ended, 0);
});

test('a terminal is handed over even if its writer does not read, with all that the writer has yet to read', async () => {
  const { before, pty, terminal } = await handedOver(async (printing, first) => {
    first.attach(WRITE);
    for (let i = 0; i < 20; i++) printing.print('z'.repeat(64 * KIB));
    await settled();
  });
  pty.end(0);
  const { text, others } = await all(terminal.attach({ as: 'write', after: 0 }));
  assert.equal(text.length, before.read * 64 * KIB);
  assert.deepEqual(others, [{ isWriter: true }]);
});

import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { suite, test } from 'node:test';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { deviceRule, Ttys } from '../../ttys/ttys.ts';

const everyConsoleExists = async () => true;
const seenGone = () => 'seen gone';

async function acquireAll(ttys: Ttys, lifetime: Lifetime): Promise<number[]> {
  const given: number[] = [];
  for (let i = 0; i < ttys.use.size; i++) given.push(await ttys.acquire(lifetime, seenGone));
  return given;
}

suite('the consoles of a host', () => {
  test('are those from 10 to 63', async () => {
    const asked: number[] = [];
    const ttys = await Ttys.ofThisHost(async (n) => {
      asked.push(n);
      return true;
    });
    const from10to63 = Array.from({ length: 54 }, (_, i) => 10 + i);
    assert.deepEqual(asked, from10to63);
    await using lifetime = new Lifetime('test');
    assert.deepEqual(await acquireAll(ttys, lifetime), from10to63);
  });

  test('are only those that exist', async () => {
    const ttys = await Ttys.ofThisHost(async (n) => n === 12 || n === 63 || n === 9 || n === 64);
    assert.equal(ttys.use.size, 2);
    await using lifetime = new Lifetime('test');
    assert.deepEqual(await acquireAll(ttys, lifetime), [12, 63]);
  });

  test('can be missing, which causes an error of its own', async () => {
    const ttys = await Ttys.ofThisHost(async () => false);
    await using lifetime = new Lifetime('test');
    await assert.rejects(ttys.acquire(lifetime, seenGone), { code: 'tty.none_exist' });
  });

  test('are all in use after 54', async () => {
    const ttys = await Ttys.ofThisHost(everyConsoleExists);
    await using lifetime = new Lifetime('test');
    assert.equal(new Set(await acquireAll(ttys, lifetime)).size, 54);
    await assert.rejects(ttys.acquire(lifetime, seenGone), {
      code: 'tty.none_free',
      message: /^all 54 virtual consoles of this host are in use/,
    });
  });

  test('are skipped once they have disappeared', async () => {
    const there = new Set([10, 11]);
    const ttys = await Ttys.ofThisHost(async (n) => there.has(n));
    there.delete(10);
    await using lifetime = new Lifetime('test');
    assert.equal(await ttys.acquire(lifetime, seenGone), 11);
  });

  test('are distinct for concurrent requests', async () => {
    const ttys = await Ttys.ofThisHost(everyConsoleExists);
    await using lifetime = new Lifetime('test');
    const given = await Promise.all(Array.from({ length: 54 }, () => ttys.acquire(lifetime, seenGone)));
    assert.equal(new Set(given).size, 54);
  });
});

suite('returning a console', () => {
  test('C32: a console is not allotted again while it may still be in use', async () => {
    const ttys = new Ttys([10], everyConsoleExists);
    const holder = new Lifetime('holder');
    await ttys.acquire(holder, () => {
      throw new Error('the container still runs');
    });
    const failures = await holder.end();
    assert.deepEqual(
      failures.map(({ what }) => what),
      ['tty 10'],
    );
    await using next = new Lifetime('next');
    await assert.rejects(ttys.acquire(next, seenGone), { code: 'tty.none_free' });
  });

  test('a console is allotted again only after it was seen gone', async () => {
    const ttys = new Ttys([10], everyConsoleExists);
    const holder = new Lifetime('holder');
    await using next = new Lifetime('next');
    const tooEarly = Promise.withResolvers<number>();
    await ttys.acquire(holder, () => {
      tooEarly.resolve(ttys.acquire(next, seenGone));
      return 'seen gone';
    });
    await Promise.all([holder.end(), assert.rejects(tooEarly.promise, { code: 'tty.none_free' })]);
    assert.equal(await ttys.acquire(next, seenGone), 10);
  });

  test('a number that was just released is reused last', async () => {
    const ttys = new Ttys([10, 11, 12], everyConsoleExists);
    const first = new Lifetime('first');
    await using others = new Lifetime('others');
    assert.equal(await ttys.acquire(first, seenGone), 10);
    await first.end();
    assert.deepEqual(await acquireAll(ttys, others), [11, 12, 10]);
  });
});

suite("the kernel's own devices", () => {
  const tty10 = lstatSync('/dev/tty10', { throwIfNoEntry: false });

  test('/dev/tty10 is a console', { skip: tty10 ? false : 'this host has no /dev/tty10' }, async () => {
    await using lifetime = new Lifetime('test');
    assert.equal(await new Ttys([10]).acquire(lifetime, seenGone), 10);
    assert.ok((await Ttys.ofThisHost()).use.size >= 1);
  });

  test('a number without a device is not a console', async () => {
    await using lifetime = new Lifetime('test');
    await assert.rejects(new Ttys([64]).acquire(lifetime, seenGone), { code: 'tty.none_free' });
  });
});

test('the device rule allows one console and no other', () => {
  assert.equal(deviceRule(10), 'c 4:10 rw');
  assert.equal(deviceRule(63), 'c 4:63 rw');
});

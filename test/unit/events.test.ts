import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite, test } from 'node:test';
import { type ContainerEvent, Events, MISSED } from '../../container/events.ts';
import { newContainerId } from '../../container/identity.ts';
import { BEGUN } from '../../container/state.ts';
import { viewOf } from '../../container/view.ts';
import fc from '../support/properties.ts';

type Follower = AsyncGenerator<ContainerEvent | typeof MISSED>;

const VIEW = viewOf({
  id: newContainerId(),
  docker: undefined,
  purpose: { role: 'spin-up', appName: 'demo' },
  state: 'preparing',
  began: new Date(0),
  since: new Date(0),
  facts: undefined,
  port: undefined,
});

const { signal: never } = new AbortController();

/** Adds events with these causes. */
function tell(events: Events, ...causes: (string | number)[]): void {
  for (const cause of causes) events.tell(VIEW, { ...BEGUN, cause: `${cause}` });
}

async function next(follower: Follower): Promise<ContainerEvent> {
  const { value } = await follower.next();
  assert.ok(value && value !== MISSED, `it yielded ${value}`);
  return value;
}

/** @returns the causes of the next events, and whether events were missed */
async function take(follower: Follower, count: number): Promise<string[]> {
  const heard: string[] = [];
  while (heard.length < count) {
    const { value, done } = await follower.next();
    assert.ok(!done, `it ended after ${heard.join()}`);
    heard.push(value === MISSED ? value : value.cause);
  }
  return heard;
}

/** The id of an event that is added now. */
async function idOf(events: Events, cause: string): Promise<string> {
  const follower = events.follow(undefined, never);
  const heard = next(follower);
  tell(events, cause);
  return (await heard).id;
}

suite('an event', () => {
  test('says what happened, to what and when, and has its own id', async () => {
    const events = new Events();
    const follower = events.follow(undefined, never);
    const first = next(follower);
    const before = Date.now();
    events.tell(VIEW, BEGUN);
    events.tell(VIEW, { from: 'preparing', to: 'created', code: 'created', cause: 'Docker made it' });
    const { id, at, ...begun } = await first;
    assert.deepEqual(begun, { code: 'begun', cause: 'it was requested', container: VIEW });
    assert.ok(Date.parse(at) >= before && Date.parse(at) <= Date.now(), at);
    const { id: another, at: later, ...made } = await next(follower);
    const cause = 'Docker made it';
    assert.deepEqual(made, { from: 'preparing', code: 'created', cause, container: VIEW });
    assert.notEqual(id, another);
    assert.ok(later >= at);
  });
});

suite('a follower', () => {
  test('receives events in order and once, like each of the others', async () => {
    const events = new Events();
    const followers = [1, 2, 3].map(() => events.follow(undefined, never));
    const first = followers.map((follower) => take(follower, 1));
    tell(events, 1, 2, 3);
    assert.deepEqual(await Promise.all(first), [['1'], ['1'], ['1']]);
    const others = followers.map((follower) => take(follower, 3));
    tell(events, 4);
    for (const heard of await Promise.all(others)) assert.deepEqual(heard, ['2', '3', '4']);
  });

  test('receives the events that occur while it reads and while it waits', async () => {
    const events = new Events();
    const heard = take(events.follow(undefined, never), 100);
    for (let i = 0; i < 100; i++) {
      tell(events, i);
      if (i % 7 === 0) await Promise.resolve();
    }
    assert.deepEqual(
      await heard,
      Array.from({ length: 100 }, (_, i) => `${i}`),
    );
  });

  test('without an id receives no past events', async () => {
    const events = new Events();
    tell(events, 'long ago');
    const heard = take(events.follow(undefined, never), 1);
    tell(events, 'now');
    assert.deepEqual(await heard, ['now']);
  });

  test('with an id continues behind it', async () => {
    const events = new Events();
    const id = await idOf(events, 'known');
    tell(events, 1, 2);
    const follower = events.follow(id, never);
    assert.deepEqual(await take(follower, 2), ['1', '2']);
    const heard = take(follower, 1);
    tell(events, 3);
    assert.deepEqual(await heard, ['3']);
  });

  test('with the id of the last event waits for the next one', async () => {
    const events = new Events();
    const heard = take(events.follow(await idOf(events, 'known'), never), 1);
    tell(events, 'new');
    assert.deepEqual(await heard, ['new']);
  });

  test('with the newest id continues behind it, even if there was no event yet', async () => {
    const events = new Events();
    const [none, expected] = [events.newest, ['first', 'second']];
    tell(events, 'first');
    const one = events.newest;
    tell(events, 'second');
    assert.deepEqual(await take(events.follow(none, never), 2), expected);
    assert.deepEqual(await take(events.follow(one, never), 1), ['second']);
  });

  test('that was closed has ended, and another one can continue from its position', async () => {
    const events = new Events();
    const { signal } = new AbortController();
    const id = await idOf(events, 'known');
    tell(events, 1, 2);
    const follower = events.follow(id, signal);
    let last: string | undefined;
    for await (const event of follower) {
      assert.ok(event !== MISSED);
      assert.equal(getEventListeners(signal, 'abort').length, 1);
      last = event.id;
      break;
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    assert.deepEqual(await follower.next(), { value: undefined, done: true });
    assert.deepEqual(await take(events.follow(last, never), 1), ['2']);
  });
});

suite('a follower that has missed events', () => {
  test('because it did not read is told so once, and continues with the oldest kept event', async () => {
    const events = new Events(3);
    const follower = events.follow(undefined, never);
    const first = take(follower, 1);
    tell(events, 1, 2, 3, 4, 5, 6);
    assert.deepEqual(await first, [MISSED]);
    assert.deepEqual(await take(follower, 3), ['4', '5', '6']);
    const heard = take(follower, 2);
    tell(events, 7, 8);
    assert.deepEqual(await heard, ['7', '8']);
  });

  test('is told so each time that it misses more', async () => {
    const events = new Events(2);
    const follower = events.follow(await idOf(events, 'known'), never);
    for (let i = 0; i < 10; i += 5) {
      tell(events, i, i + 1, i + 2);
      assert.deepEqual(await take(follower, 3), [MISSED, `${i + 1}`, `${i + 2}`]);
    }
  });

  test('has missed none as long as its next events are kept', async () => {
    const events = new Events(3);
    const id = await idOf(events, 'known');
    tell(events, 1, 2, 3);
    assert.deepEqual(await take(events.follow(id, never), 3), ['1', '2', '3']);
    tell(events, 4);
    assert.deepEqual(await take(events.follow(id, never), 4), [MISSED, '2', '3', '4']);
  });

  test('a thousand events are kept', async () => {
    const events = new Events();
    const id = await idOf(events, 'known');
    for (let i = 0; i < 1000; i++) tell(events, i);
    assert.deepEqual(await take(events.follow(id, never), 1), ['0']);
    tell(events, 1000);
    assert.deepEqual(await take(events.follow(id, never), 2), [MISSED, '1']);
  });

  test('because its id is unknown is told so, and receives all kept events', async () => {
    const events = new Events(2);
    const foreign = await idOf(new Events(), 'of another service');
    const id = await idOf(events, 'known');
    tell(events, 'kept');
    const [service] = id.split('-');
    const malformed = ['', '-', '1', '-1', `${service}`, `1-${service}`, `${service}x-1`, ' ', 'nonsense'];
    const numbers = [
      '',
      '-1',
      '00',
      '01',
      '+1',
      ' 1',
      '1 ',
      '1.0',
      '1e0',
      '0x1',
      'x',
      '1\n',
      '9'.repeat(400),
    ];
    const future = ['3', '999999999999999'];
    const ids = [foreign, ...malformed, ...[...numbers, ...future].map((number) => `${service}-${number}`)];
    for (const after of ids) {
      assert.deepEqual(await take(events.follow(after, never), 3), [MISSED, 'known', 'kept'], after);
    }
  });

  test('is told so even if there are no events yet', async () => {
    const events = new Events();
    const follower = events.follow('00000000-1', never);
    assert.deepEqual(await take(follower, 1), [MISSED]);
    const heard = take(follower, 1);
    tell(events, 1);
    assert.deepEqual(await heard, ['1']);
  });
});

suite('a follower that its signal aborts', () => {
  /** Asserts that it has ended, and that nothing holds on to its signal. */
  async function assertOver(follower: Follower, signal: AbortSignal): Promise<void> {
    assert.deepEqual(await follower.next(), { value: undefined, done: true });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  }

  test('ends while it waits, and others keep waiting', async () => {
    const events = new Events();
    const ending = new AbortController();
    const other = take(events.follow(undefined, never), 1);
    const follower = events.follow(undefined, ending.signal);
    const waits = follower.next();
    assert.equal(getEventListeners(ending.signal, 'abort').length, 1);
    ending.abort();
    assert.deepEqual(await waits, { value: undefined, done: true });
    await assertOver(follower, ending.signal);
    tell(events, 1);
    assert.deepEqual(await other, ['1']);
  });

  test('ends before unread events and before a notice of missed ones', async () => {
    for (const told of [2, 9]) {
      const events = new Events(3);
      const ending = new AbortController();
      const id = await idOf(events, 'known');
      for (let i = 0; i < told; i++) tell(events, i);
      const follower = events.follow(id, ending.signal);
      await follower.next();
      ending.abort();
      await assertOver(follower, ending.signal);
    }
  });

  test('ends at once if the signal was already aborted', async () => {
    const events = new Events();
    const id = await idOf(events, 'known');
    tell(events, 1);
    const signal = AbortSignal.abort();
    await assertOver(events.follow(id, signal), signal);
  });
});

test('in any order of events and reads, each follower receives all in order or is told what it missed', async () => {
  const most = 3;
  // 0 adds an event; 1 and 2 are followers that read.
  const steps = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const events = new Events(most);
      const id = await idOf(events, '1');
      let told = 1;
      const followers = [1, 2].map(() => ({ follower: events.follow(id, never), place: 1 }));
      for (const step of given) {
        const reader = followers[step - 1];
        if (!reader) tell(events, ++told);
        else if (reader.place < told) {
          const oldest = Math.max(1, told - most + 1);
          const missed = reader.place + 1 < oldest;
          reader.place = missed ? oldest : reader.place + 1;
          const expected = [...(missed ? [MISSED] : []), `${reader.place}`];
          assert.deepEqual(await take(reader.follower, expected.length), expected);
        }
      }
    }),
  );
});

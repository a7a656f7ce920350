/** The promises of the pools' bookkeeping, for any order of events. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ContainerId, newContainerId } from '../../container/identity.ts';
import { Book, type Room } from '../../container/pool/book.ts';
import fc from '../support/properties.ts';

const POOLS = ['a', 'b'];
const SHAPES = ['small', 'large'];
const IMAGES = ['one', 'two'];
const MAX_AGE = 100;

const anyPool = fc.constantFrom(...POOLS);
const anyEvent = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    pool: anyPool,
    size: fc.nat(4),
    shape: fc.constantFrom(...SHAPES),
  }),
  fc.record({ do: fc.constant('delete' as const), pool: anyPool }),
  fc.record({ do: fc.constant('claim' as const), pool: anyPool, image: fc.constantFrom(...IMAGES) }),
  fc.record({ do: fc.constant('move' as const), image: fc.constantFrom(...IMAGES) }),
  fc.record({ do: fc.constant('wait' as const), time: fc.nat(150) }),
  fc.record({ do: fc.constant('die' as const), which: fc.nat(10) }),
  fc.record({ do: fc.constant('give up' as const) }),
  fc.record({ do: fc.constant('open' as const), isOpen: fc.boolean() }),
  fc.record({
    do: fc.constant('room' as const),
    room: fc.constantFrom<Room>('more', 'none', 'short', 'blocked'),
  }),
  fc.record({ do: fc.constant('quiet' as const), isQuiet: fc.boolean() }),
  fc.record({ do: fc.constant('pass' as const) }),
  fc.record({ do: fc.constant('finish' as const), succeeds: fc.boolean() }),
);
type Event = typeof anyEvent extends fc.Arbitrary<infer T> ? T : never;

/** A host that follows the book, and throws if that breaks a promise. */
class Model {
  readonly book = new Book();
  readonly wanted = new Map<string, { readonly size: number; readonly shape: string }>();
  /** The shape and the image of each container. */
  readonly made = new Map<
    ContainerId,
    { readonly pool: string; readonly shape: string; readonly image: string }
  >();
  /** The containers that have left the pools. */
  readonly left = new Set<ContainerId>();
  image = 'one';
  now = 0;
  isOpen = true;
  isQuiet = true;
  room: Room = 'more';
  /** The container that is being created. */
  making: { readonly pool: string; readonly shape: string; readonly image: string } | undefined;

  happen(event: Event): void {
    if (event.do === 'set') this.#set(event);
    else if (event.do === 'claim') this.claim(event.pool, event.image);
    else if (event.do === 'pass') this.pass();
    else if (event.do === 'finish') this.finish(event.succeeds);
    else if (event.do === 'die') this.#die(event.which);
    else if (event.do === 'give up') this.#leave(this.book.giveUp());
    else if (event.do === 'wait') this.now += event.time;
    else if (event.do === 'move') this.image = event.image;
    else if (event.do === 'open') this.isOpen = event.isOpen;
    else if (event.do === 'room') this.room = event.room;
    else if (event.do === 'quiet') this.isQuiet = event.isQuiet;
    else {
      this.wanted.delete(event.pool);
      this.book.delete(event.pool);
    }
    for (const id of this.book.ids) assert.ok(!this.left.has(id), 'a container has come back');
  }

  /** @returns the taken container */
  claim(pool: string, image: string): ContainerId | undefined {
    const id = this.book.take(pool, image);
    if (!id) return undefined;
    const { shape } = this.wanted.get(pool) ?? {};
    assert.deepEqual(this.made.get(id), { pool, shape, image }, 'a container does not fit its claim');
    this.#leave(id);
    return id;
  }

  pass(): void {
    const before = this.book.ids.length;
    const { end, make } = this.book.steps({
      now: this.now,
      isOpen: this.isOpen,
      isQuiet: this.isQuiet,
      isEnding: false,
      imageOf: () => this.image,
      roomFor: () => this.room,
    });
    for (const { id } of end) this.#leave(id);
    assert.equal(this.book.ids.length, before - end.length);
    for (const [pool, { size }] of this.wanted)
      assert.ok(this.book.of(pool).length <= size, 'a pool is too large');
    if (make === undefined) return;
    assert.ok(this.isOpen && this.room === 'more', 'a container is made that has no room');
    assert.ok(this.isQuiet || this.book.of(make).length === 0, 'a claim is disturbed');
    this.#make(make);
  }

  #make(pool: string): void {
    const { size, shape } = this.wanted.get(pool) ?? assert.fail('a container is made for no pool');
    assert.ok(this.book.of(pool).length < size, 'a full pool gets another container');
    this.book.begin(pool);
    assert.equal(this.book.isMaking(pool), true);
    assert.equal(this.making, undefined, 'two containers are made at a time');
    this.making = { pool, shape, image: this.image };
  }

  finish(succeeds: boolean): void {
    const { making } = this;
    if (!making) return;
    this.making = undefined;
    if (!succeeds) {
      this.book.failed();
      return;
    }
    const id = newContainerId();
    this.made.set(id, making);
    this.book.made({ id, image: making.image, since: this.now });
  }

  #set({
    pool,
    size,
    shape,
  }: {
    readonly pool: string;
    readonly size: number;
    readonly shape: string;
  }): void {
    this.wanted.set(pool, { size, shape });
    this.book.set(pool, { size, shape, maxAge: MAX_AGE });
  }

  #die(which: number): void {
    const id = this.book.ids[which];
    if (!id) return;
    this.book.lose(id);
    this.#leave(id);
  }

  #leave(id: ContainerId | undefined): void {
    if (!id) return;
    assert.ok(!this.left.has(id), 'a container has left twice');
    this.left.add(id);
  }

  passAndFinish(): void {
    this.pass();
    this.finish(true);
  }

  /** Continues until no more events happen. */
  settle(): void {
    Object.assign(this, { isOpen: true, isQuiet: true, room: 'more' });
    for (let pass = 0; pass < 40; pass++) this.passAndFinish();
  }
}

test('whatever happens, a warm container is taken at most once, matches the request, and never returns to its pool', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
      const model = new Model();
      for (const event of events) model.happen(event);
    }),
  );
});

test('whatever has happened, a pool fills up with new containers of the current image once nothing changes and there is room', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
      const model = new Model();
      for (const event of events) model.happen(event);
      model.settle();
      for (const pool of POOLS) {
        const entries = model.book.of(pool);
        assert.equal(entries.length, model.wanted.get(pool)?.size ?? 0);
        for (const { image, since } of entries) {
          assert.equal(image, model.image);
          assert.ok(model.now - since < MAX_AGE);
        }
      }
      assert.equal(model.book.ids.length, POOLS.flatMap((pool) => model.book.of(pool)).length);
    }),
  );
});

test('a pool whose containers are all equally old is never empty while they are replaced', () => {
  const model = new Model();
  model.happen({ do: 'set', pool: 'a', size: 3, shape: 'small' });
  model.settle();
  const before = new Set(model.book.ids);
  model.now += MAX_AGE;
  for (let pass = 0; pass < 10; pass++) {
    model.passAndFinish();
    assert.ok(model.book.of('a').length >= 2);
  }
  assert.deepEqual(
    model.book.ids.filter((id) => before.has(id)),
    [],
  );
});

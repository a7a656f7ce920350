import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stored } from '../../user-configs/store.ts';
import {
  type Directory,
  nameOfChanges,
  nameOfVersion,
  superfluous,
  versionsAmong,
} from '../../user-configs/versions.ts';

const BEGINNING = Date.UTC(2026, 0, 1);
const hour = (n: number) => new Date(BEGINNING + n * 3_600_000);
const full = (session: string, sequence: number, at: number, directory: Directory = 'versions'): Stored => ({
  name: nameOfVersion(directory, { session, sequence }, hour(at)),
  bytes: 1,
  at: hour(at),
});
const changes = (base: Stored, session: string, sequence: number, at: number): Stored => ({
  name: nameOfChanges(base.name, { session, sequence }, hour(at)),
  bytes: 1,
  at: hour(at),
});
const names = (objects: readonly Stored[]) => objects.map(({ name }) => name);

test('a name contains time, session and number, and the base of changes', () => {
  const base = full('ab', 1, 0);
  assert.equal(base.name, 'versions/20260101T000000Z-ab-1.age');
  const more = changes(base, 'cd', 12, 2);
  assert.equal(more.name, 'versions/20260101T000000Z-ab-1+20260101T020000Z-cd-12.age');
  assert.deepEqual(versionsAmong([base, more]), [
    {
      directory: 'versions',
      version: base.name,
      changes: more.name,
      session: 'cd',
      sequence: 12,
      at: hour(2),
      bytes: 1,
    },
    { directory: 'versions', version: base.name, session: 'ab', sequence: 1, at: hour(0), bytes: 1 },
  ]);
});

test('the last save of each of the latest sessions is kept, and with changes their base too', () => {
  const old = full('a', 1, 0);
  const base = full('b', 1, 10);
  const earlier = changes(base, 'c', 1, 20);
  const later = changes(base, 'c', 2, 21);
  const last = full('d', 1, 30);
  assert.deepEqual(superfluous([old, base, earlier, later, last], undefined, 2), [earlier.name, old.name]);
  assert.deepEqual(superfluous([old, base, earlier, later, last], undefined, 4), [earlier.name]);
});

test('the current save is kept, however old it is, even if its session has saved again', () => {
  const [old, base] = [full('a', 1, 0), full('b', 1, 10)];
  const more = changes(base, 'b', 2, 11);
  const later = [full('c', 1, 20), full('d', 1, 30)];
  const objects = [old, base, more, ...later];
  const current = { version: old.name, session: 'a', sequence: 1 };
  assert.deepEqual(superfluous(objects, current, 2), [more.name, base.name]);
  const other = { version: base.name, changes: more.name, session: 'b', sequence: 2 };
  assert.deepEqual(superfluous(objects, other, 2), [old.name]);
});

test('a save without a reference has an hour to become current', () => {
  const many = ['a', 'b', 'c', 'd'].map((session, i) => full(session, 1, 10 + i / 5));
  assert.deepEqual(superfluous(many, undefined, 2), []);
  assert.deepEqual(superfluous([...many, full('e', 1, 12)], undefined, 2), names(many.slice(0, 3)));
});

test("good saves and those that were set aside do not take each other's places", () => {
  const good = [full('a', 1, 0), full('b', 1, 10)];
  const aside = [full('c', 1, 20, 'aside'), full('d', 1, 30, 'aside'), full('e', 1, 40, 'aside')];
  assert.deepEqual(superfluous([...good, ...aside], undefined, 2), [aside[0]?.name]);
});

test('changes without their base cannot be restored and are removed, and other objects stay', () => {
  const lost = changes(full('a', 1, 0), 'a', 2, 1);
  const objects = ['current.json', 'versions/note.txt', 'versions/x.age'].map((name) => ({
    name,
    bytes: 1,
    at: hour(0),
  }));
  assert.deepEqual(versionsAmong([lost, ...objects]), []);
  assert.deepEqual(superfluous([lost, ...objects], undefined, 2), [lost.name]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attempts, MOST_ATTEMPTS, WINDOW } from '../../httpserver/attempts.ts';

/** The maximum number of remembered addresses. */
const BOUND = 1024;

test('wrong attempts are counted by address', () => {
  const attempts = new Attempts();
  assert.deepEqual(
    [1, 2, 3].map(() => attempts.count('10.0.0.1')),
    [1, 2, 3],
  );
});

test('each address has its own count', () => {
  const attempts = new Attempts();
  attempts.count('10.0.0.1');
  attempts.count('10.0.0.1');
  assert.equal(attempts.count('10.0.0.2'), 1);
  assert.equal(attempts.count('10.0.0.1'), 3);
});

test('the count continues until the window ends', () => {
  let now = 5000;
  const attempts = new Attempts(() => now);
  attempts.count('10.0.0.1');
  now += WINDOW - 1;
  assert.equal(attempts.count('10.0.0.1'), 2);
});

test('the count starts again after the window', () => {
  let now = 5000;
  const attempts = new Attempts(() => now);
  attempts.count('10.0.0.1');
  attempts.count('10.0.0.1');
  now += WINDOW;
  assert.equal(attempts.count('10.0.0.1'), 1);
  assert.equal(attempts.count('10.0.0.1'), 2);
});

test('further attempts do not extend the window', () => {
  let now = 5000;
  const attempts = new Attempts(() => now);
  attempts.count('10.0.0.1');
  now += WINDOW - 1;
  attempts.count('10.0.0.1');
  now += 1;
  assert.equal(attempts.count('10.0.0.1'), 1);
});

test('the window of an address begins with its first attempt', () => {
  let now = 5000;
  const attempts = new Attempts(() => now);
  attempts.count('10.0.0.1');
  now += WINDOW - 1;
  attempts.count('10.0.0.2');
  now += 1;
  assert.equal(attempts.count('10.0.0.2'), 2);
});

test('as many addresses are remembered as the table has room for', () => {
  const attempts = new Attempts();
  attempts.count('first');
  for (let i = 1; i < BOUND; i++) attempts.count(`other ${i}`);
  assert.equal(attempts.count('first'), 2);
  assert.equal(attempts.count('other 1'), 2);
});

test('when the table is full, only the address that was known longest is forgotten', () => {
  const attempts = new Attempts();
  attempts.count('first');
  for (let i = 1; i < BOUND; i++) attempts.count(`other ${i}`);
  attempts.count('one more');
  assert.equal(attempts.count('other 1'), 2);
  assert.equal(attempts.count('one more'), 2);
  assert.equal(attempts.count('first'), 1);
});

test('a person who mistypes a few times stays below the limit', () => {
  assert.equal(MOST_ATTEMPTS, 20);
  assert.equal(WINDOW, 60_000);
});

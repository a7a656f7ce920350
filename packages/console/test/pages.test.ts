/** Tests the logic of the pages without a browser. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentIn } from '../src/pages/environment.ts';
import { isFitting, sorted } from '../src/pages/table.ts';
import { ago, duration, size } from '../src/parts/spans.ts';
import { routeOf } from '../src/state/address.ts';
import type { Container } from '../src/state/api.ts';

const ID = '0123456789'.repeat(6);

function containerOf(some: Partial<Container>): Container {
  const at = '2026-11-30T04:00:00.000Z';
  return {
    id: ID,
    role: 'spin-up',
    app: 'demo',
    state: 'running',
    began: at,
    since: at,
    claimed: false,
    ...some,
  };
}

test('each address leads to one page, and an unknown address leads to the page "Nothing here"', () => {
  assert.equal(routeOf('').page, 'overview');
  assert.equal(routeOf('#/').page, 'overview');
  assert.equal(routeOf('#/events').page, 'events');
  assert.deepEqual(routeOf(`#/containers/${ID}`), { page: 'container', id: ID });
  assert.deepEqual(routeOf(`#/containers/${ID}/terminal`), { page: 'new terminal', id: ID });
  assert.deepEqual(routeOf('#/nodes/web-1'), { page: 'node', name: 'web-1' });
  assert.deepEqual(routeOf('#/nodes/web-1/terminal'), { page: 'new node terminal', name: 'web-1' });
  for (const page of ['containers', 'nodes', 'events']) {
    const found = routeOf(`#/${page}?find=web`);
    assert.equal(found.page, page);
    assert.ok('query' in found && found.query.get('find') === 'web');
  }
  assert.deepEqual(routeOf('#/terminals/0123456789abcdef?as=watch'), {
    page: 'terminal',
    id: '0123456789abcdef',
    as: 'watch',
  });
  assert.equal((routeOf('#/terminals/0123456789abcdef?as=root') as { as?: string }).as, 'write');
  for (const wrong of [
    '#/nowhere',
    '#/containers/<script>',
    '#/containers/0123/x',
    '#/events/1',
    '#/nodes/.',
    '#/nodes/web/x',
    '#/a/b/c/d',
  ])
    assert.equal(routeOf(wrong).page, 'unknown', wrong);
});

test('a filter matches containers that contain all of its words, in any field', () => {
  const one = containerOf({ app: 'browsers/chrome', port: 32262 });
  for (const words of ['', 'chrome', 'CHROME 32262', ID.slice(0, 12)])
    assert.ok(isFitting(one, '', words), words);
  assert.ok(!isFitting(one, '', 'chrome firefox'));
  assert.ok(!isFitting(one, 'ready', ''));
});

test('containers are sorted by a column in either direction, and equal ones by their ids', () => {
  const all = ['b', 'a', 'c'].map((id, i) => containerOf({ id, port: i === 2 ? 1 : 2 }));
  const ids = (isDown: boolean) => sorted(all, 'port', isDown).map(({ id }) => id);
  assert.deepEqual(
    [ids(false), ids(true)],
    [
      ['c', 'a', 'b'],
      ['a', 'b', 'c'],
    ],
  );
});

test('a thousand containers are filtered and sorted', () => {
  const all = Array.from({ length: 1000 }, (_, i) =>
    containerOf({ id: String(i).padStart(60, '0'), port: 1000 - i }),
  );
  const found = sorted(
    all.filter((one) => isFitting(one, '', 'demo')),
    'port',
    false,
  );
  assert.deepEqual([found.length, found[0]?.port], [1000, 1]);
});

test('the environment form is parsed line by line, and the error quotes a line that is not NAME=VALUE', () => {
  assert.deepEqual(environmentIn('A=1\n\nB=x=y\nC=\n'), { A: '1', B: 'x=y', C: '' });
  assert.throws(() => environmentIn('A=1\nnonsense'), /"nonsense" must have the form NAME=VALUE/);
});

test('durations are shown in the largest unit that fits', () => {
  assert.deepEqual([-5, 1000, 59_000, 61_000, 7_200_000, 172_800_000].map(ago), [
    'just now',
    'just now',
    '59 s ago',
    '1 min ago',
    '2 h ago',
    '2 d ago',
  ]);
  assert.deepEqual([12, 1500, 120_000, 5_400_000].map(duration), ['12 ms', '1.5 s', '2 min', '1.5 h']);
});

test('sizes are shown in the largest unit that fits', () => {
  assert.deepEqual([0, 1023, 1536, 200 * 2 ** 20, 2 ** 34, 2 ** 60].map(size), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '200 MiB',
    '16.0 GiB',
    '1048576 TiB',
  ]);
});

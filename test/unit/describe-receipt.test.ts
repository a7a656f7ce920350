import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fit } from '../../src/align.ts';
import { describeReceipt } from '../../src/operator/describe-receipt.ts';

const ID = 'ab'.repeat(30);
const DOCKER = 'cd'.repeat(32);

const held = (kind: string, what: string, more = {}) => ({
  kind,
  what,
  allotted: '2026-11-29T20:39:11.233Z',
  ...more,
});
const gone = { released: '2026-11-29T20:49:14.233Z', seen: 'no longer exists' };

function receipt(root: string): Parameters<typeof describeReceipt>[0] {
  return {
    container: ID,
    docker: DOCKER,
    role: 'spin-up',
    app: 'demo',
    began: '2026-11-29T20:39:11.233Z',
    ended: '2026-11-29T20:49:17.536Z',
    cause: 'an operator stopped it',
    states: [
      { state: 'preparing', at: '2026-11-29T20:39:11.233Z', code: 'begun' },
      {
        state: 'gone',
        at: '2026-11-29T20:49:17.536Z',
        code: 'released',
        cause: 'every resource was released',
      },
    ],
    resources: [
      held('port', 'udp 32263', { ...gone, seen: 'nobody listens' }),
      held('directory', `${root}/fractal/temp/${ID}`, gone),
      held('directory', `${root}/fractal/${ID}`, gone),
      held('directory', `${root}/fractal/${ID}/userConfigs/unpacked_configs`, gone),
      held('input devices', 'Virtual Absolute Input, Virtual Relative Input, Virtual Keyboard', gone),
      held('control group', `/sys/fs/cgroup/systemd/docker/${DOCKER}`, {
        failed: `${root}/fractal/${ID} is busy`,
      }),
    ],
  };
}

suite('a receipt for people', () => {
  for (const root of ['', '/run/test/root-x']) {
    test(`shows its ids and the common directory of its paths once (below "${root}/")`, () => {
      const text = describeReceipt(receipt(root));
      const lines = text.split('\n');
      assert.equal(lines[0], `${ID} (demo)`);
      assert.deepEqual([text.split(ID).length, text.split(DOCKER).length], [2, 2]);
      assert.match(text, new RegExp(`^ {2}paths below +${root}/fractal/$`, 'm'));
      assert.match(text, /^ {2}directory +<id> +10 min 3 s +no longer exists$/m);
      assert.match(text, /^ {2}directory +temp\/<id> /m);
      assert.match(text, /^ {2}directory +<id>\/userConfigs\/unpacked_configs +10/m);
      assert.match(
        text,
        /^ {2}control group +\/sys\/fs\/cgroup\/systemd\/docker\/<docker id> +held +<id> is busy$/m,
      );
    });
  }

  test('fits the terminal, and truncates no word', () => {
    const wide = describeReceipt(receipt('/run/test/root-x'));
    const words = (text: string) => text.replaceAll(/\s/g, '').split('').toSorted().join('');
    assert.ok(wide.split('\n').some((line) => line.length > 100));
    for (const columns of [120, 80, 72]) {
      const text = describeReceipt(receipt('/run/test/root-x'), columns);
      const longest = Math.max(...text.split('\n').map(({ length }) => length));
      assert.ok(longest <= columns, `${longest} of ${columns}`);
      assert.equal(words(text), words(wide));
    }
  });

  test('says so if its container is still running', () => {
    const { ended: _ended, cause: _cause, docker: _docker, ...living } = receipt('');
    const text = describeReceipt({ ...living, resources: [] });
    assert.match(text, /^ {2}ended +has not ended$/m);
    assert.doesNotMatch(text, /below|docker id/);
  });
});

suite('a table that fits its width', () => {
  const rows = [
    ['WHICH', 'SEEN'],
    ['/a/long/path/here', 'no longer exists'],
    ['x', 'y'],
  ];

  test('is unchanged if there is room, or if the width is unknown', () => {
    assert.deepEqual(fit(rows), fit(rows, 37));
    assert.equal(fit(rows).length, 3);
  });

  test('is wrapped behind a space or a slash if it is too wide', () => {
    assert.deepEqual(fit(rows, 26), [
      'WHICH      SEEN',
      '/a/long/   no longer',
      'path/here  exists',
      'x          y',
    ]);
  });

  test('breaks a long word, and keeps every column visible', () => {
    assert.deepEqual(fit([['abcdefghijkl', 'z']], 1), ['abcdefgh  z', 'ijkl']);
  });
});

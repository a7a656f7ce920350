import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PullProgress } from '../../docker-engine/pull-progress.ts';

const A = 'a'.repeat(12);
const B = 'b'.repeat(12);

function told(...lines: readonly (object | string)[]): PullProgress {
  const progress = new PullProgress();
  for (const line of lines) progress.take(typeof line === 'string' ? line : JSON.stringify(line));
  return progress;
}

const layer = (id: string, status: string, current?: number, total?: number) => ({
  id,
  status,
  progressDetail: current === undefined ? {} : { current, total },
});

test('progress is counted by layer, and the total is the bytes to download', () => {
  const lines = [
    { id: 'latest', status: 'Pulling from fractal/demo' },
    layer(A, 'Pulling fs layer'),
    layer(B, 'Already exists'),
    layer(A, 'Downloading', 100, 400),
  ];
  assert.deepEqual(told(...lines).state, {
    layers: [
      { id: A, status: 'Downloading', current: 100, total: 400 },
      { id: B, status: 'Already exists' },
    ],
    bytes: { current: 100, total: 400 },
  });
  // Unpacked bytes are counted from the beginning again, and nothing is downloaded twice.
  const unpacking = told(...lines, layer(A, 'Download complete'), layer(A, 'Extracting', 30, 400)).state;
  assert.deepEqual(unpacking.layers[0], { id: A, status: 'Extracting', current: 30, total: 400 });
  assert.deepEqual(unpacking.bytes, { current: 400, total: 400 });
  const again = told(...lines, layer(A, 'Retrying in 5 seconds'), layer(A, 'Downloading', 0, 400)).state;
  assert.deepEqual(again.bytes, { current: 0, total: 400 });
});

test("a tag that looks like a layer does not count as one, and a digest counts only in Docker's form", () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const progress = told({ id: A, status: 'Pulling from fractal/demo' }, { status: `Digest: ${digest} ` });
  assert.deepEqual([progress.state.layers, progress.digest], [[], undefined]);
  progress.take(`{"status":"Digest: ${digest}"}\r`);
  assert.equal(progress.digest, digest);
});

test('invalid lines change nothing, and the memory for the others is bounded', () => {
  const nonsense = ['', 'null', '[]', '7', '{', '"x"', '{}', '{"status":7}', '{"id":"x","status":"y"}'];
  const odd = [-1, 0.5, 1e300, '7', null, {}].map((current) => ({
    ...layer(A, 'Downloading'),
    progressDetail: { current, total: current },
  }));
  assert.deepEqual(told(...nonsense, ...odd, { ...layer(A, 'Downloading'), progressDetail: 7 }).state, {
    layers: [{ id: A, status: 'Downloading' }],
    bytes: { current: 0, total: 0 },
  });
  const many = Array.from({ length: 5000 }, (_, n) =>
    layer(n.toString(16).padStart(12, '0'), 'x'.repeat(10_000), 1, 2),
  );
  const { length } = JSON.stringify(told(...many).state);
  assert.ok(length < 100_000, `${length} bytes are kept`);
});

test('an error in a line is thrown like a refusal by Docker', () => {
  const failure = { statusCode: 500, json: { message: 'no space left on device' } };
  for (const line of [
    { errorDetail: { code: 1, message: 'no space left on device' }, error: 'short' },
    { error: 'no space left on device' },
    { status: 'Downloading', errorDetail: { message: 'no space left on device' } },
  ]) {
    assert.throws(() => told(line), failure);
  }
  for (const odd of [{ error: null }, { errorDetail: 7 }, { errorDetail: {} }, { error: {} }]) {
    assert.throws(() => told(odd), { statusCode: 500 });
  }
});

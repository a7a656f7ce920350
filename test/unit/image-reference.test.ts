import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceOf } from '../../docker-engine/image-reference.ts';

const DIGEST = `sha256:${'0a'.repeat(32)}`;

test("an image name is parsed like Docker's, and never means all tags", () => {
  for (const [image, name, version] of [
    ['alpine', 'alpine', 'latest'],
    ['alpine:3.20', 'alpine', '3.20'],
    ['fractal/demo:current-build', 'fractal/demo', 'current-build'],
    ['localhost:5000/a/b', 'localhost:5000/a/b', 'latest'],
    ['127.0.0.1:5000/a:V_1.0', '127.0.0.1:5000/a', 'V_1.0'],
    ['[::1]:5000/a', '[::1]:5000/a', 'latest'],
    ['Registry.Example.com/a__b/c-d.e---f', 'Registry.Example.com/a__b/c-d.e---f', 'latest'],
    [`example.com/a@${DIGEST}`, 'example.com/a', DIGEST],
    // As in Docker, which then ignores the tag.
    [`example.com/a:1@${DIGEST}`, 'example.com/a', DIGEST],
  ] as const) {
    const text = version === DIGEST ? `${name}@${version}` : `${name}:${version}`;
    assert.deepEqual(referenceOf(image), { name, version, text });
  }
});

test('an invalid image name is refused, and the error shows a valid form', () => {
  for (const image of [
    '',
    ' ',
    'alpine:',
    'alpine@',
    'alpine:latest:more',
    ':latest',
    'Alpine',
    '/alpine',
    'alpine/',
    'a//b',
    'a/-b',
    'a/b_',
    'a/___b',
    'alpine:.tag',
    `alpine:${'t'.repeat(129)}`,
    `alpine@${DIGEST}0`,
    'alpine@md5:abc',
    'https://example.com/a',
    'a\nb',
    'alpine\n',
    'a?tag=b',
    'a&fromSrc=-',
    '../../etc',
    'ä',
    `${'a'.repeat(256)}`,
    `${'a-'.repeat(5000)}`,
  ]) {
    assert.throws(() => referenceOf(image), { code: 'image.bad_reference', message: /NAME\[:TAG\]/ }, image);
  }
});

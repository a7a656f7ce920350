import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  CANDIDATE_LIFE,
  Candidates,
  MOST_CANDIDATES,
  proves,
  type StartValues,
  sameStartValues,
  type TokenOffer,
} from '../../container/start-values.ts';

const VALUES: StartValues = { dpi: 96, containerArn: 'arn', userId: 'user', clientAppAuthSecret: 'secret' };

function offer(configEncryptionToken: string, changes: Partial<TokenOffer> = {}): TokenOffer {
  return {
    userId: 'user',
    clientAppAuthSecret: 'secret',
    configEncryptionToken,
    source: '10.0.0.1',
    ...changes,
  };
}

suite('candidates that arrive before the start values', () => {
  test('the matching candidate is returned', () => {
    const candidates = new Candidates();
    assert.equal(candidates.keep(offer('right')), true);
    assert.equal(
      candidates.keep(offer('wrong', { clientAppAuthSecret: 'guessed', source: '10.0.0.2' })),
      true,
    );
    assert.deepEqual(candidates.settle(VALUES), offer('right'));
  });

  test('the latest of several matching candidates is returned', () => {
    const candidates = new Candidates();
    candidates.keep(offer('first'));
    candidates.keep(offer('second', { source: '10.0.0.2' }));
    candidates.keep(offer('not proven', { userId: 'another', source: '10.0.0.3' }));
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'second');
  });

  test('no candidate is returned if none matches', () => {
    const candidates = new Candidates();
    candidates.keep(offer('a', { userId: 'another' }));
    candidates.keep(offer('b', { clientAppAuthSecret: 'guessed' }));
    assert.equal(candidates.settle(VALUES), undefined);
  });

  test('no candidate is returned if there is none', () => {
    assert.equal(new Candidates().settle(VALUES), undefined);
  });

  test('all candidates are forgotten once they were settled', () => {
    const candidates = new Candidates();
    candidates.keep(offer('right'));
    candidates.settle({ ...VALUES, userId: 'another' });
    assert.equal(candidates.settle(VALUES), undefined);
  });

  test('at most eight candidates are kept, and the earliest ones stay', () => {
    const candidates = new Candidates();
    candidates.keep(offer('right'));
    for (let i = 2; i <= MOST_CANDIDATES; i++) {
      assert.equal(candidates.keep(offer('other', { userId: 'another', source: `10.0.0.${i}` })), true);
    }
    assert.equal(MOST_CANDIDATES, 8);
    assert.equal(candidates.keep(offer('too many', { source: '10.0.0.99' })), false);
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'right');
  });

  test('a source keeps two candidates at most, and its third replaces its oldest', () => {
    const candidates = new Candidates();
    const wrong = { userId: 'another' };
    candidates.keep(offer('oldest'));
    candidates.keep(offer('second', wrong));
    assert.equal(candidates.keep(offer('third', wrong)), true);
    assert.equal(candidates.settle(VALUES), undefined);
  });

  test('S1: a source does not displace what another source sent', () => {
    const candidates = new Candidates();
    candidates.keep(offer('right', { source: '10.0.0.2' }));
    for (let i = 0; i < 100; i++) candidates.keep(offer(`flood ${i}`, { userId: 'another' }));
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'right');
  });

  test('a source with its share can send again while no more are accepted from others', () => {
    const candidates = new Candidates();
    for (let i = 0; i < MOST_CANDIDATES; i++) candidates.keep(offer('x', { source: `10.0.0.${i >> 1}` }));
    assert.equal(candidates.keep(offer('new', { source: '10.0.0.99' })), false);
    assert.equal(candidates.keep(offer('again', { source: '10.0.0.0' })), true);
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'again');
  });

  test('a candidate lives for two minutes', () => {
    let now = 1000;
    const candidates = new Candidates([], () => now);
    candidates.keep(offer('right'));
    now += CANDIDATE_LIFE - 1;
    assert.equal(CANDIDATE_LIFE, 120_000);
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'right');
  });

  test('a candidate is not returned after two minutes', () => {
    let now = 1000;
    const candidates = new Candidates([], () => now);
    candidates.keep(offer('right'));
    now += CANDIDATE_LIFE;
    assert.equal(candidates.settle(VALUES), undefined);
  });

  test('expired candidates make room for others', () => {
    let now = 1000;
    const candidates = new Candidates([], () => now);
    for (let i = 0; i < MOST_CANDIDATES; i++) candidates.keep(offer('old', { source: `10.0.0.${i}` }));
    assert.equal(candidates.keep(offer('too early', { source: '10.0.0.99' })), false);
    now += CANDIDATE_LIFE;
    assert.equal(candidates.keep(offer('in time', { source: '10.0.0.99' })), true);
    assert.equal(candidates.settle(VALUES)?.configEncryptionToken, 'in time');
  });
});

suite('the proof', () => {
  test('user and secret together are a proof, whatever the token', () => {
    assert.equal(proves(offer('anything'), VALUES), true);
  });

  for (const changes of [
    { userId: 'another' },
    { userId: '' },
    { userId: 'USER' },
    { clientAppAuthSecret: 'guessed' },
    { clientAppAuthSecret: '' },
    { clientAppAuthSecret: 'secret ' },
    { clientAppAuthSecret: 'user', userId: 'secret' },
  ]) {
    test(`${JSON.stringify(changes)} is no proof`, () => {
      assert.equal(proves(offer('t', changes), VALUES), false);
    });
  }

  test('the empty user proves the empty user', () => {
    assert.equal(proves(offer('t', { userId: '' }), { ...VALUES, userId: '' }), true);
  });
});

suite('start values', () => {
  test('start values are equal if each of them is', () => {
    assert.equal(sameStartValues(VALUES, { ...VALUES }), true);
  });

  for (const changes of [
    { dpi: 97 },
    { dpi: null },
    { containerArn: 'another' },
    { userId: 'another' },
    { clientAppAuthSecret: 'another' },
  ] satisfies Partial<StartValues>[]) {
    test(`start values differ with ${JSON.stringify(changes)}`, () => {
      assert.equal(sameStartValues(VALUES, { ...VALUES, ...changes }), false);
      assert.equal(sameStartValues({ ...VALUES, ...changes }, VALUES), false);
    });
  }
});

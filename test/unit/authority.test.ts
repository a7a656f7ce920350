import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { MOST_ATTEMPTS, WINDOW } from '../../httpserver/attempts.ts';
import { type Authority, rootAlone, whoKnows } from '../../httpserver/v1/authority.ts';

const TOKEN = 'the-operators-token-of-unit-tests-1';
const ANOTHER = 'the-operators-token-of-unit-tests-2';
const RIGHT = `Bearer ${TOKEN}`;
const WRONG = `Bearer ${ANOTHER}`;
const [HERE, THERE] = ['10.0.0.1', '10.0.0.2'];

/** @returns the status with which a request is refused; undefined if it may be answered */
function refusal(authority: Authority, authorization: string | undefined, from = HERE): number | undefined {
  try {
    authority(authorization, from);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ServiceError);
    const { status } = error.row;
    assert.equal(error.code, status === 429 ? 'request.too_many_attempts' : 'request.no_operator');
    for (const secret of [TOKEN, ANOTHER]) assert.ok(!error.message.includes(secret), error.message);
    return status;
  }
}

/** Tries wrong tokens until the answer says that there are too many. */
function useUpAttempts(authority: Authority, from?: string): void {
  for (let i = 0; i < MOST_ATTEMPTS; i++) assert.equal(refusal(authority, WRONG, from), 401);
}

suite('a caller with the right token', () => {
  test('is accepted', () => {
    const authority = whoKnows(() => TOKEN);
    assert.equal(refusal(authority, RIGHT), undefined);
  });

  test('may write the scheme in any case', () => {
    const authority = whoKnows(() => TOKEN);
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
      assert.equal(refusal(authority, `${scheme} ${TOKEN}`), undefined);
    }
  });

  test('is accepted any number of times, without using up attempts', () => {
    const authority = whoKnows(() => TOKEN);
    for (let i = 0; i < 2 * MOST_ATTEMPTS; i++) assert.equal(refusal(authority, RIGHT), undefined);
    useUpAttempts(authority);
  });

  test('must have the token that is valid at that moment', () => {
    let token: string | undefined = TOKEN;
    const authority = whoKnows(() => token);
    token = ANOTHER;
    assert.deepEqual([refusal(authority, RIGHT), refusal(authority, WRONG)], [401, undefined]);
    token = undefined;
    assert.deepEqual([refusal(authority, RIGHT), refusal(authority, WRONG)], [401, 401]);
    token = TOKEN;
    assert.deepEqual([refusal(authority, RIGHT), refusal(authority, WRONG)], [undefined, 401]);
  });
});

suite('a caller without the right token', () => {
  const cases: Readonly<Record<string, string | undefined>> = {
    'no header': undefined,
    'an empty header': '',
    'no token': 'Bearer',
    'an empty token': 'Bearer ',
    'no scheme': TOKEN,
    'another scheme': `Basic ${TOKEN}`,
    'a scheme that only ends like the right one': `XBearer ${TOKEN}`,
    'no space before the token': `Bearer${TOKEN}`,
    'another token': WRONG,
    'a part of the token': RIGHT.slice(0, -1),
    'more than the token': `${RIGHT}x`,
    'the token in another case': `Bearer ${TOKEN.toUpperCase()}`,
    'the token after another one': `Bearer x ${TOKEN}`,
    'the token with a line end': `${RIGHT}\n`,
  };
  for (const [what, authorization] of Object.entries(cases)) {
    test(`is refused: ${what}`, () => {
      const authority = whoKnows(() => TOKEN);
      assert.equal(refusal(authority, authorization), 401);
    });
  }

  test('is refused if no token is configured, whatever is sent', () => {
    for (const token of [undefined, '']) {
      const authority = whoKnows(() => token);
      for (const sent of [undefined, '', 'Bearer', 'Bearer ', 'Bearer undefined', RIGHT]) {
        assert.equal(refusal(authority, sent), 401, `${token} and ${sent}`);
      }
    }
  });
});

suite('a caller that tries many wrong tokens', () => {
  test('is told so, and is still accepted with the right one', () => {
    const authority = whoKnows(() => TOKEN);
    useUpAttempts(authority);
    for (let i = 0; i < 3; i++) {
      assert.deepEqual([refusal(authority, WRONG), refusal(authority, RIGHT)], [429, undefined]);
    }
  });

  test('uses up no attempts of other addresses', () => {
    const authority = whoKnows(() => TOKEN);
    useUpAttempts(authority, HERE);
    assert.equal(refusal(authority, WRONG, HERE), 429);
    assert.equal(refusal(authority, RIGHT, THERE), undefined);
    useUpAttempts(authority, THERE);
    assert.equal(refusal(authority, WRONG, THERE), 429);
  });

  test('is told so even if nothing sent is a token, or no token is configured', () => {
    for (const token of [TOKEN, undefined]) {
      const authority = whoKnows(() => token);
      for (let i = 0; i < MOST_ATTEMPTS; i++) assert.equal(refusal(authority, undefined), 401);
      assert.equal(refusal(authority, undefined), 429);
      assert.equal(refusal(authority, WRONG), 429);
    }
  });

  test('gets new attempts when the window has ended', (t) => {
    let now = 1000;
    t.mock.method(performance, 'now', () => now);
    const authority = whoKnows(() => TOKEN);
    useUpAttempts(authority);
    now += WINDOW - 1;
    assert.equal(refusal(authority, WRONG), 429);
    now += 1;
    assert.equal(refusal(authority, WRONG), 401);
  });

  test('does not affect another server', () => {
    const [one, other] = [whoKnows(() => TOKEN), whoKnows(() => TOKEN)];
    useUpAttempts(one);
    assert.deepEqual([refusal(one, WRONG), refusal(other, WRONG)], [429, 401]);
  });
});

test('a socket for root alone needs no token, whatever is sent and however often', () => {
  for (let i = 0; i < 2 * MOST_ATTEMPTS; i++) {
    for (const sent of [undefined, '', WRONG]) assert.equal(refusal(rootAlone, sent), undefined);
  }
});

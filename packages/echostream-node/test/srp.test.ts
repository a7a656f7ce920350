import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSrp, timestamp } from '../src/api/srp.ts';
import vectors from './srp-vectors.json' with { type: 'json' };

// The vectors were made with amazon-cognito-identity-js, AWS's own client.
for (const vector of vectors) {
  test(`the answer to the challenge of ${vector.user} is the answer that AWS's client gives`, () => {
    const session = startSrp(BigInt(`0x${vector.secret}`));
    assert.equal(session.publicValue, vector.publicValue);
    const { SALT, SECRET_BLOCK, SRP_B, user, pool, password } = vector;
    const challenge = { SALT, SECRET_BLOCK, SRP_B, USER_ID_FOR_SRP: user };
    assert.deepEqual(session.answer(challenge, { pool, password }, new Date(vector.time)), {
      USERNAME: user,
      PASSWORD_CLAIM_SECRET_BLOCK: SECRET_BLOCK,
      PASSWORD_CLAIM_SIGNATURE: vector.PASSWORD_CLAIM_SIGNATURE,
      TIMESTAMP: vector.TIMESTAMP,
    });
  });
}

test('each session has its own secret', () => {
  assert.notEqual(startSrp().publicValue, startSrp().publicValue);
});

test('a server value that would reveal the password is refused', () => {
  const challenge = { SALT: '1', SECRET_BLOCK: '', SRP_B: '0', USER_ID_FOR_SRP: 'user' };
  assert.throws(() => startSrp().answer(challenge, { pool: 'p', password: 'x' }, new Date()), /not allowed/);
});

test('a timestamp is in UTC, and its day has no leading zero', () => {
  assert.equal(timestamp(new Date('2026-03-03T04:05:06+02:00')), 'Tue Mar 3 02:05:06 UTC 2026');
});

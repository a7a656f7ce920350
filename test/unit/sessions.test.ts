import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { CONSOLE_HEADER } from '../../httpserver/console/same-origin.ts';
import {
  COOKIE,
  HandedSessions,
  LASTS,
  orSignedIn,
  SessionKey,
  Sessions,
  sessionIn,
} from '../../httpserver/console/sessions.ts';
import { whoKnows } from '../../httpserver/v1/authority.ts';
import { misfit } from '../../parsing/json.ts';

const OPERATOR = 'operator-of-unit-tests-0123456789';
const VIEWER = 'viewer-of-unit-tests-0123456789';
const HOST = 'host.example:4678';
const ORIGIN = `https://${HOST}`;

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ServiceError);
    return error.code;
  }
}

suite('the cookie of a session', () => {
  test('gives the rights of its token and no others', () => {
    const sessions = new Sessions(
      () => OPERATOR,
      () => VIEWER,
    );
    assert.equal(sessions.kindOf(sessions.begin(OPERATOR)), 'operator');
    assert.equal(sessions.kindOf(sessions.begin(VIEWER)), 'viewer');
    assert.equal(sessions.kindOf(sessions.begin('another token')), undefined);
    assert.notEqual(sessions.begin(OPERATOR), sessions.begin(OPERATOR));
    const both = new Sessions(
      () => OPERATOR,
      () => OPERATOR,
    );
    assert.equal(both.kindOf(both.begin(OPERATOR)), 'viewer');
  });

  test('ends with its token, its time and its process', () => {
    let [token, now] = [OPERATOR, 1_000_000];
    const open = () =>
      new Sessions(
        () => token,
        () => undefined,
        new SessionKey(),
        () => now,
      );
    const sessions = open();
    const cookie = sessions.begin(OPERATOR);
    assert.equal(open().kindOf(cookie), undefined);
    token = VIEWER;
    assert.equal(sessions.kindOf(cookie), undefined);
    token = OPERATOR;
    now += LASTS - 1;
    assert.equal(sessions.kindOf(cookie), 'operator');
    now += 1;
    assert.equal(sessions.kindOf(cookie), undefined);
  });

  test('ends when it is signed out, and no other session does', async () => {
    const sessions = new Sessions(
      () => OPERATOR,
      () => undefined,
    );
    const [one, other] = [sessions.begin(OPERATOR), sessions.begin(OPERATOR)];
    await sessions.end(one);
    await sessions.end('nonsense');
    assert.deepEqual([sessions.kindOf(one), sessions.kindOf(other)], [undefined, 'operator']);
  });

  test('stays invalid even after very many others were signed out', async () => {
    const sessions = new Sessions(
      () => OPERATOR,
      () => undefined,
    );
    const first = sessions.begin(OPERATOR);
    await sessions.end(first);
    for (let i = 0; i < 5000; i++) await sessions.end(sessions.begin(OPERATOR));
    assert.equal(sessions.kindOf(first), undefined);
    assert.equal(sessions.kindOf(sessions.begin(OPERATOR)), 'operator');
  });

  test('is valid in the next service after a hand-over, for the rest of its time, unless it was signed out', async () => {
    let [token, now] = [OPERATOR, 1_000_000.5];
    const open = (key: SessionKey) =>
      new Sessions(
        () => token,
        () => undefined,
        key,
        () => now,
      );
    const key = new SessionKey();
    const before = open(key);
    const [cookie, signedOut] = [before.begin(OPERATOR), before.begin(OPERATOR)];
    await before.end(signedOut);
    const handed: unknown = JSON.parse(JSON.stringify(key.handed));
    assert.equal(misfit(HandedSessions, handed), undefined);
    const after = open(new SessionKey(handed as HandedSessions));
    assert.deepEqual([after.kindOf(cookie), after.kindOf(signedOut)], ['operator', undefined]);
    token = VIEWER;
    assert.equal(after.kindOf(cookie), undefined);
    token = OPERATOR;
    now += LASTS + 1;
    assert.equal(after.kindOf(cookie), undefined);
  });

  test('is signed out only when the hand-over is complete, because another service may continue otherwise', async () => {
    const open = (over: Promise<void>) =>
      new Sessions(
        () => OPERATOR,
        () => undefined,
        new SessionKey(undefined, over),
      );
    const over = Promise.withResolvers<void>();
    const sessions = open(over.promise);
    const cookie = sessions.begin(OPERATOR);
    const ended = sessions.end(cookie);
    await turn();
    assert.equal(sessions.kindOf(cookie), 'operator');
    over.resolve();
    await ended;
    assert.equal(sessions.kindOf(cookie), undefined);
    const givenUp = open(Promise.reject(new ServiceError('service.stopping', {})));
    await assert.rejects(givenUp.end(givenUp.begin(OPERATOR)), { code: 'service.stopping' });
  });

  test('is invalid if anything in it is changed', () => {
    const sessions = new Sessions(
      () => OPERATOR,
      () => undefined,
    );
    const cookie = sessions.begin(OPERATOR);
    const [until = '', nonce = '', signature = ''] = cookie.split('.');
    for (const wrong of [
      '',
      `${Number(until) + 1}.${nonce}.${signature}`,
      `${until}.${'A'.repeat(22)}.${signature}`,
      `${until}.${nonce}.${'A'.repeat(43)}`,
      `${until}.${nonce}`,
      `${cookie}x`,
      `9${cookie}`,
    ])
      assert.equal(sessions.kindOf(wrong), undefined, wrong);
  });

  test('is found among other cookies', () => {
    assert.equal(sessionIn(`a=b; ${COOKIE}=x.y.z; c=d`), 'x.y.z');
    for (const header of [undefined, '', 'a=b', `x${COOKIE}=1`]) assert.equal(sessionIn(header), undefined);
  });
});

suite('a request with a cookie', () => {
  const sessions = new Sessions(
    () => OPERATOR,
    () => VIEWER,
  );
  const known = whoKnows(
    () => OPERATOR,
    () => VIEWER,
  );
  const authority = orSignedIn(known, sessions);
  const cookie = `${COOKIE}=${sessions.begin(OPERATOR)}`;
  const ask = (method: string, headers: Record<string, string>, authorization?: string) =>
    authority(authorization, '10.0.0.1', { method, headers: { host: HOST, cookie, ...headers } });
  const proof = { origin: ORIGIN, [CONSOLE_HEADER]: '1' };

  test('is accepted from a page of this host', () => {
    assert.equal(ask('GET', {}).kind, 'operator');
    assert.equal(ask('GET', { 'sec-fetch-site': 'same-origin' }).kind, 'operator');
    assert.equal(ask('POST', { ...proof, 'sec-fetch-site': 'same-origin' }).kind, 'operator');
    assert.equal(ask('GET', { upgrade: 'websocket', origin: ORIGIN }).kind, 'operator');
  });

  const refused: Readonly<Record<string, readonly [string, Record<string, string>]>> = {
    'a page of another origin reads': ['GET', { origin: 'https://evil.example' }],
    'a page of another port reads': ['GET', { origin: 'https://host.example' }],
    'a page without TLS reads': ['GET', { origin: `http://${HOST}` }],
    'a page without an origin reads': ['GET', { origin: 'null' }],
    'a page of the same site reads': ['GET', { 'sec-fetch-site': 'same-site' }],
    'a page of another site reads': ['GET', { 'sec-fetch-site': 'cross-site' }],
    'a change comes without an origin': ['POST', { [CONSOLE_HEADER]: '1' }],
    'a change comes without the header': ['POST', { origin: ORIGIN }],
    'a change comes from another origin': ['PUT', { ...proof, origin: 'https://evil.example' }],
    'a DELETE comes without the header': ['DELETE', { origin: ORIGIN }],
    'a WebSocket comes without an origin': ['GET', { upgrade: 'websocket' }],
    'a WebSocket comes from another origin': [
      'GET',
      { upgrade: 'websocket', origin: 'https://evil.example' },
    ],
  };
  for (const [what, [method, headers]] of Object.entries(refused)) {
    test(`is refused if ${what}`, () => {
      assert.equal(
        codeOf(() => ask(method, headers)),
        'session.cross_site',
      );
    });
  }

  test('is refused if its session has ended, and a token that is sent takes precedence', () => {
    const over = { cookie: `${COOKIE}=1.${'A'.repeat(22)}.${'A'.repeat(43)}` };
    assert.equal(
      codeOf(() => ask('GET', over)),
      'session.ended',
    );
    assert.equal(ask('GET', over, `Bearer ${VIEWER}`).kind, 'viewer');
    assert.equal(
      codeOf(() => ask('GET', {}, 'Bearer wrong')),
      'request.no_operator',
    );
  });
});

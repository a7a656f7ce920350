import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { ERRORS, type ErrorCode, type Parameters } from '../../errors/table.ts';
import { type Answer, problemAnswer, wireAnswer } from '../../httpserver/error-bodies.ts';

const PLAIN = 'text/plain; charset=utf-8';

function plain(status: number, body: string): Answer {
  return { status, contentType: PLAIN, body, isLine: !body.startsWith('{') };
}

/** An error of any code; the values of its placeholders do not matter. */
function unfilled(code: string): ServiceError {
  return new ServiceError(code as ErrorCode, {} as Parameters<ErrorCode>);
}

suite("the form of the predecessor's calls", () => {
  const answers: Readonly<Record<string, readonly [ServiceError, Answer]>> = {
    'a wrong method': [
      new ServiceError('request.wrong_method', { expected: 'PUT', got: 'GET' }),
      plain(400, 'Bad request type. Expected PUT, got GET\n'),
    ],
    'a malformed body': [
      new ServiceError('request.malformed', { why: 'it is empty' }),
      plain(400, 'Malformed body\n'),
    ],
    'a body that is too large': [
      new ServiceError('request.too_large', { limit: 65_536 }),
      plain(413, 'Malformed body\n'),
    ],
    'a wrong secret': [new ServiceError('request.unauthorized', {}), plain(401, 'Unauthorized\n')],
    'an unknown path': [new ServiceError('request.not_found', {}), plain(404, '404 page not found\n')],
    'an unknown port': [
      new ServiceError('container.unknown_port', { port: 32_262 }),
      plain(
        406,
        '{"result":"","error":"no running container has the identifying host port 32262; it may have ended, or may not have started yet"}',
      ),
    ],
    'a refused restart policy': [
      new ServiceError('create.restart_policy', { policy: 'always' }),
      plain(
        406,
        '{"result":"","error":"an interactive container must not have the restart policy \\"always\\", because Docker would start it again without its devices; leave the policy out"}',
      ),
    ],
    'a failure of the service': [
      new ServiceError('internal', {}),
      plain(
        406,
        '{"result":"","error":"the service failed while it handled this request; see its log for the cause"}',
      ),
    ],
    'a host that is starting': [
      new ServiceError('service.starting', {}),
      plain(503, '{"result":"","error":"the host is still starting; try again in a moment"}'),
    ],
    'a host that is stopping': [
      new ServiceError('service.stopping', {}),
      plain(503, '{"result":"","error":"the host is stopping; use another host"}'),
    ],
  };
  for (const [what, [error, expected]] of Object.entries(answers)) {
    test(`${what} is answered with ${expected.status}`, () => {
      assert.deepEqual(wireAnswer(error), expected);
    });
  }

  const before: readonly string[] = Object.keys(ERRORS).filter(
    (code) => code.startsWith('request.') || code.startsWith('service.'),
  );
  for (const code of Object.keys(ERRORS).filter((one) => !before.includes(one))) {
    test(`${code} is answered with 406, like the predecessor's refusals`, () => {
      const error = unfilled(code);
      const { status, contentType, body } = wireAnswer(error);
      assert.deepEqual({ status, contentType }, { status: 406, contentType: PLAIN });
      assert.equal(body, JSON.stringify({ result: '', error: error.message }));
    });
  }
});

suite('problems', () => {
  test('a problem has type, title, status and detail', () => {
    const { status, contentType, body } = problemAnswer(
      new ServiceError('request.wrong_method', { expected: 'GET', got: 'PUT' }),
    );
    assert.equal(status, 405);
    assert.equal(contentType, 'application/problem+json');
    assert.equal(
      body,
      '{"type":"about:blank","title":"request.wrong_method","status":405,"detail":"Bad request type. Expected GET, got PUT"}',
    );
  });

  test('a stopping host is unavailable', () => {
    const { status, body } = problemAnswer(new ServiceError('service.stopping', {}));
    assert.equal(status, 503);
    assert.deepEqual(JSON.parse(body), {
      type: 'about:blank',
      title: 'service.stopping',
      status: 503,
      detail: 'the host is stopping; use another host',
    });
  });

  for (const [code, row] of Object.entries(ERRORS)) {
    test(`the problem ${code} has the status of the table, outside and inside`, () => {
      const { status, body } = problemAnswer(unfilled(code));
      assert.equal(status, row.status);
      assert.equal(JSON.parse(body).status, row.status);
      assert.ok(status >= 400 && status < 600, String(status));
    });
  }
});

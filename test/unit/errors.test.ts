import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import { ERRORS, type ErrorCode, type ErrorRow, type Parameters } from '../../errors/table.ts';

const rows = Object.entries<ErrorRow>(ERRORS) as [ErrorCode, ErrorRow][];

function placeholdersOf(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
}

suite('the table', () => {
  test('each placeholder of each text has a value', () => {
    for (const [code, { text }] of rows) {
      const names = placeholdersOf(text);
      const values = Object.fromEntries(names.map((name) => [name, `<the ${name}>`]));
      const { message } = new ServiceError(code, values as Parameters<ErrorCode>);
      for (const name of names) assert.ok(message.includes(`<the ${name}>`), `${code}: ${message}`);
      assert.doesNotMatch(message, /[{}]|undefined/, code);
    }
  });

  test('each status is an HTTP error', () => {
    for (const [code, { status, wire = 406 }] of rows) {
      for (const answered of [status, wire]) {
        assert.ok(Number.isInteger(answered) && answered >= 400 && answered <= 599, `${code}: ${answered}`);
      }
    }
  });

  test('no two errors have the same text', () => {
    const texts = rows.map(([, { text }]) => text);
    assert.deepEqual(
      texts.filter((text, i) => texts.indexOf(text) !== i),
      [],
    );
  });

  test('each code is one word, or a subject and its problem', () => {
    for (const [code] of rows) assert.match(code, /^[a-z]+(\.[a-z_]+)?$/);
  });

  test('each text is not empty and has no space around it', () => {
    for (const [code, { text }] of rows) assert.equal(text.trim(), text, code);
    for (const [code, { text }] of rows) assert.notEqual(text, '', code);
  });
});

suite('a service error', () => {
  test('an error has its code, text, row and cause', () => {
    const cause = new Error('ENOSPC');
    const error = new ServiceError('start.filesystem', { path: '/x', why: 'no space' }, { cause });
    assert.equal(error.code, 'start.filesystem');
    assert.equal(error.message, 'cannot prepare /x: no space; make it a directory that root can write to');
    assert.equal(error.row, ERRORS['start.filesystem']);
    assert.equal(error.cause, cause);
    assert.equal(error.name, 'ServiceError');
    assert.ok(error instanceof Error);
  });

  test('numbers appear in the text unchanged', () => {
    assert.match(new ServiceError('request.too_large', { limit: 1024 }).message, /larger than 1024 bytes/);
  });

  test('a placeholder that occurs twice is replaced twice', () => {
    const { message } = new ServiceError('image.missing', { image: 'fractal/base' });
    assert.equal(
      message,
      'image fractal/base is not on this host; run "ecs-host-service pull fractal/base", then try again',
    );
  });

  test('values are not interpreted as templates', () => {
    const { message } = new ServiceError('start.filesystem', { path: '{why} $& $1', why: 'no' });
    assert.match(message, /^cannot prepare \{why\} \$& \$1: no;/);
  });

  test('the compiler knows the placeholders of each text', () => {
    assert.ok(new ServiceError('service.starting', {}));
    // @ts-expect-error A placeholder is missing.
    assert.ok(new ServiceError('start.filesystem', { path: '/x' }));
    // @ts-expect-error There is no such placeholder.
    assert.ok(new ServiceError('start.certificate', { why: 'x', what: 'y' }));
    // @ts-expect-error An object is not a text.
    assert.ok(new ServiceError('image.missing', { image: {} }));
    assert.throws(() => {
      // @ts-expect-error There is no such code.
      return new ServiceError('no.such_code', {});
    });
  });
});

suite('a thrown value', () => {
  test('has a text, whatever its type', () => {
    assert.equal(messageOf(new TypeError('wrong')), 'wrong');
    assert.equal(messageOf('just text'), 'just text');
    assert.equal(messageOf(undefined), 'undefined');
    assert.equal(messageOf(null), 'null');
    assert.equal(messageOf(42), '42');
    assert.equal(messageOf(Symbol('s')), 'Symbol(s)');
  });

  test('is a system error if its code says so', () => {
    const missing = Object.assign(new Error('no such file'), { code: 'ENOENT' });
    assert.equal(isSystemError(missing, 'ENOENT'), true);
    assert.equal(isSystemError(missing, 'EACCES'), false);
    assert.equal(isSystemError(new Error('ENOENT'), 'ENOENT'), false);
    assert.equal(isSystemError({ code: 'ENOENT' }, 'ENOENT'), false);
    assert.equal(isSystemError(undefined, 'ENOENT'), false);
  });
});

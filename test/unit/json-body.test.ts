import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { foldKeys, parseJsonObject } from '../../httpserver/json-body.ts';

function parse(text: string): Record<string, unknown> {
  return parseJsonObject(Buffer.from(text));
}

suite('reading a body', () => {
  test('an object is read', () => {
    const body = '{"a":"x","b":null,"c":true,"d":{"e":[1,"2"]}}';
    assert.deepEqual(parse(body), { a: 'x', b: null, c: true, d: { e: [1, '2'] } });
  });

  test('an empty object is read, with space around it', () => {
    assert.deepEqual(parse(' \r\n\t{ } \n'), {});
  });

  test('non-ASCII text is read', () => {
    assert.deepEqual(parse('{"a":"äß€😀"}'), { a: 'äß€😀' });
  });

  for (const body of ['null', '[]', '[{}]', '5', '1.5', '"text"', 'true']) {
    test(`${body} is refused, because it is not an object`, () => {
      assert.throws(() => parse(body), { code: 'request.malformed', message: /it is not a JSON object/ });
    });
  }

  for (const body of ['', ' ', 'garbage', '{', '{"a":}', '{"a":1,}', "{'a':1}", '{} {}', '{"a":01}', '\0']) {
    test(`${JSON.stringify(body)} is refused, because it is not JSON`, () => {
      assert.throws(() => parse(body), { name: 'ServiceError', code: 'request.malformed' });
    });
  }

  const depth = 30_000;
  const nested = {
    'arrays in arrays': `${'['.repeat(depth)}${']'.repeat(depth)}`,
    'arrays in an object': `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`,
    'objects in objects': `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    'brackets that are never closed': '['.repeat(depth),
  };
  for (const [what, body] of Object.entries(nested)) {
    test(`${depth} ${what} are refused as malformed`, () => {
      assert.throws(() => parse(body), { name: 'ServiceError', code: 'request.malformed' });
    });
  }
});

suite('reading numbers', () => {
  for (const text of ['0', '96', '-1', '-32262', '2147483648', '9007199254740991', '-9007199254740991']) {
    test(`${text} is an integer`, () => {
      assert.deepEqual(parse(`{"a":${text},"b":[{"c":${text}}]}`), {
        a: Number(text),
        b: [{ c: Number(text) }],
      });
    });
  }

  for (const text of ['96.0', '1e2', '1E2', '-1.0', '0.5', '1e-2', '100e0', '1e400']) {
    test(`${text} is not an integer`, () => {
      const { a, b } = parse(`{"a":${text},"b":[${text}]}`) as { a: unknown; b: unknown[] };
      assert.deepEqual([typeof a, typeof b[0]], ['object', 'object']);
    });
  }

  test('a text that looks like a number remains a text', () => {
    assert.deepEqual(parse('{"a":"96.0","b":"96"}'), { a: '96.0', b: '96' });
  });
});

suite('folding keys', () => {
  test('every key is returned in lower case, with its value', () => {
    const value = { Nested: 1 };
    assert.deepEqual(
      { ...foldKeys({ HOST_PORT: 1, Dpi: 2, user_id: value }) },
      {
        host_port: 1,
        dpi: 2,
        user_id: { Nested: 1 },
      },
    );
  });

  test('the last of several keys that differ only in case counts', () => {
    assert.deepEqual({ ...foldKeys(parse('{"dpi":1,"DPI":2,"Dpi":3}')) }, { dpi: 3 });
    assert.deepEqual({ ...foldKeys(parse('{"Dpi":3,"DPI":2,"dpi":1}')) }, { dpi: 1 });
  });

  test('the keys of the original object are unchanged', () => {
    const given = parse('{"DPI":2}');
    foldKeys(given);
    assert.deepEqual(given, { DPI: 2 });
  });

  for (const key of ['__proto__', '__PROTO__']) {
    test(`the key ${key} is treated like any other`, () => {
      const folded = foldKeys(parse(`{"${key}":{"auth_secret":"x"},"a":1}`));
      assert.deepEqual(Object.keys(folded), ['__proto__', 'a']);
      assert.equal(folded.auth_secret, undefined);
      assert.equal('auth_secret' in {}, false);
    });
  }

  test('no key is present that was not sent', () => {
    const folded = foldKeys({});
    assert.equal('constructor' in folded, false);
    assert.equal('toString' in folded, false);
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isError, parseLine } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import { Secrets } from '../../logging/secrets.ts';

/** Outlets that share a record of what they get. */
function recording(...names: readonly string[]): { got: string[]; outlets: { write(line: string): void }[] } {
  const got: string[] = [];
  return { got, outlets: names.map((name) => ({ write: (line) => void got.push(`${name}: ${line}`) })) };
}

function hiding(...known: readonly string[]): (text: string) => string {
  const secrets = new Secrets();
  for (const [i, secret] of known.entries()) secrets.set(`secret ${i}`, secret);
  return (text) => secrets.hide(text);
}

suite('known secrets', () => {
  test('a secret that begins like another one is hidden completely', () => {
    assert.equal(hiding('abcdefgh', 'abcdefghijkl')('abcdefghijkl abcdefgh'), '[secret] [secret]');
  });

  test('a secret in the query of a URL is hidden, however it was encoded', () => {
    const secret = "it's (a secret)*";
    const query = new URLSearchParams({ token: secret }).toString();
    assert.equal(hiding(secret)(query), 'token=[secret]');
    assert.equal(hiding(secret)(`token=${encodeURIComponent(secret)}`), 'token=[secret]');
  });

  const AWKWARD = ['pass"word/with\\every&thing\n', '"in quotes"', '\\backslashes\\', 'ünïcödé ✓ 100%'];

  test('a secret is hidden anywhere in a line', () => {
    const hide = hiding('long-secret');
    assert.equal(hide('"long-secret, then long-secret."'), '"[secret], then [secret]."');
    assert.equal(hide('"xlong-secretx"'), '"x[secret]x"');
  });

  test('a secret is hidden within JSON, within JSON in JSON, and within a URL', () => {
    for (const secret of AWKWARD) {
      const hide = hiding(secret);
      const inJson = JSON.stringify({ key: secret, next: 1 });
      assert.equal(hide(inJson), '{"key":"[secret]","next":1}');
      assert.deepEqual(JSON.parse(hide(JSON.stringify({ inJson }))), {
        inJson: '{"key":"[secret]","next":1}',
      });
      const url = `/path?key=${encodeURIComponent(secret)}&x=y`;
      assert.equal(hide(JSON.stringify({ url })), '{"url":"/path?key=[secret]&x=y"}');
    }
  });

  test("a secret that looks like a line's own syntax leaves the line valid", () => {
    const line = JSON.stringify({ level: 'info', time: 'now', msg: 'x' });
    assert.equal(hiding('","time":"')(line), line);
  });

  test('a value that is too short for a secret hides nothing', () => {
    assert.equal(hiding('')('any text'), 'any text');
    assert.equal(hiding('seven-c')('seven-c'), 'seven-c');
    assert.equal(hiding('eight-ch')('eight-ch'), '[secret]');
  });

  test('several secrets are all hidden', () => {
    const hide = hiding('first-secret', 'second-secret');
    assert.equal(hide('second-secret first-secret second-secret'), '[secret] [secret] [secret]');
  });

  test('a secret replaces the earlier one of its name', () => {
    const secrets = new Secrets();
    secrets.set('token', 'the-old-one');
    secrets.set('token', 'the-new-one');
    assert.equal(secrets.hide('the-old-one the-new-one'), 'the-old-one [secret]');
  });

  test('a secret that looks like a pattern is hidden, and hides nothing else', () => {
    const hide = hiding('.*[a-z]+$&');
    assert.equal(hide('.*[a-z]+$& abcdefgh'), '[secret] abcdefgh');
  });

  test('a line without secrets is unchanged', () => {
    assert.equal(hiding('long-secret', ...AWKWARD)('a long secret'), 'a long secret');
    assert.equal(hiding()('anything'), 'anything');
  });
});

suite('the outlets of lines', () => {
  test('a line goes to each outlet, in the order in which they were added', () => {
    const { got, outlets } = recording('a', 'b', 'c');
    const [first, ...more] = outlets;
    const all = new Outlets(first as (typeof outlets)[0]);
    for (const one of more) all.add(one);
    all.write('1\n');
    all.write('2\n');
    assert.deepEqual(got, ['a: 1\n', 'b: 1\n', 'c: 1\n', 'a: 2\n', 'b: 2\n', 'c: 2\n']);
  });

  test('an outlet that is added later gets only later lines', () => {
    const { got, outlets } = recording('first', 'later');
    const [first, later] = outlets as [(typeof outlets)[0], (typeof outlets)[0]];
    const all = new Outlets(first);
    all.write('before');
    all.add(later);
    all.write('after');
    assert.deepEqual(got, ['first: before', 'first: after', 'later: after']);
  });

  test('a secret is hidden before any outlet sees the line', () => {
    const { got, outlets } = recording('first', 'later');
    const [first, later] = outlets as [(typeof outlets)[0], (typeof outlets)[0]];
    const all = new Outlets(first);
    all.add(later);
    all.write('the token is long-secret');
    all.secrets.set('token', 'long-secret');
    all.write('the token is long-secret');
    assert.deepEqual(got.slice(2), ['first: the token is [secret]', 'later: the token is [secret]']);
  });

  test('a secret in the message, a field, or an error reaches no outlet', () => {
    const written: string[] = [];
    const all = new Outlets({ write: (line) => void written.push(line) });
    all.secrets.set('token', 'very"secret');
    const log = createLogger({ level: 'info', stream: all });
    log.info({ innocent: ['very"secret'] }, 'it is very"secret');
    log.error({ error: new Error('wrong: very"secret', { cause: new Error('very"secret') }) }, 'x');
    assert.doesNotMatch(written.join(''), /very/);
    const [first, second] = written.map(parseLine);
    assert.deepEqual([first?.msg, first?.innocent], ['it is [secret]', ['[secret]']]);
    assert.match(JSON.stringify(second?.error), /"wrong: \[secret\]"/);
  });
});

suite('reading lines', () => {
  test('a line is an error when its level is error or fatal', () => {
    const written: string[] = [];
    const log = createLogger({ level: 'trace', stream: { write: (line) => void written.push(line) } });
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level]('x');
    assert.deepEqual(
      written.filter(isError).map((line) => parseLine(line).level),
      ['error', 'fatal'],
    );
  });

  test('a line that only mentions an error is not one', () => {
    const written: string[] = [];
    const log = createLogger({ level: 'trace', stream: { write: (line) => void written.push(line) } });
    log.info({ nested: { level: 'error' }, text: '{"level":"fatal"' }, '{"level":"error"');
    assert.equal(written.some(isError), false);
  });

  test('a logged line is parsed into its level, time, message and fields', () => {
    const written: string[] = [];
    const log = createLogger({ level: 'info', stream: { write: (line) => void written.push(line) } });
    log.warn({ port: 4678 }, 'no answer');
    const { level, time, msg, port } = parseLine(written[0] as string);
    assert.deepEqual([level, msg, port], ['warn', 'no answer', 4678]);
    assert.equal(new Date(time).toISOString(), time);
  });

  test('a line that is not JSON is an error with its complete text', () => {
    const { level, time, msg } = parseLine('{"level":"info","msg":"torn');
    assert.deepEqual([level, msg], ['error', '{"level":"info","msg":"torn']);
    assert.equal(new Date(time).toISOString(), time);
  });
});

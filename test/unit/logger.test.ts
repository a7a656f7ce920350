import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createLogger, type Logger, type LoggerOptions } from '../../logging/logger.ts';
import { Secret } from '../../settings/secret.ts';

/** A logger that writes to memory, and its output. */
function recording(options: Partial<LoggerOptions> = {}): { log: Logger; written: string[] } {
  const written: string[] = [];
  const stream = { write: (text: string) => void written.push(text) };
  return { log: createLogger({ level: 'info', stream, ...options }), written };
}

type Line = Readonly<Record<string, unknown>>;

/** The only line that `write` logs. */
function lineOf(write: (log: Logger) => void, options: Partial<LoggerOptions> = {}): Line {
  const { log, written } = recording(options);
  write(log);
  assert.equal(written.length, 1);
  return JSON.parse(written[0] as string) as Line;
}

suite('lines', () => {
  test('each event is one line of JSON, whatever it contains', () => {
    const { log, written } = recording();
    log.info({ body: 'first\nsecond\r\n' }, 'several\nlines');
    log.warn('another');
    assert.equal(written.length, 2);
    for (const line of written) assert.match(line, /^\{[^\n\r]*\}\n$/);
    const [first, second] = written.map((line) => JSON.parse(line) as Line);
    assert.equal(first?.msg, 'several\nlines');
    assert.equal(first.body, 'first\nsecond\r\n');
    assert.equal(second?.msg, 'another');
  });

  test('the level is a word', () => {
    const { log, written } = recording({ level: 'trace' });
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
    for (const level of levels) log[level]('x');
    assert.deepEqual(
      written.map((line) => (JSON.parse(line) as Line).level),
      levels,
    );
  });

  test('events below the level are not logged', () => {
    const { log, written } = recording({ level: 'warn' });
    log.debug('x');
    log.info('x');
    assert.deepEqual(written, []);
    log.warn('x');
    assert.equal(written.length, 1);
  });

  test('the time is sortable and names its zone', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2024, 1, 29, 12, 30, 15, 7) });
    assert.equal(lineOf((log) => log.info('x')).time, '2024-02-29T12:30:15.007Z');
  });

  test('every line carries the process id', () => {
    const line = lineOf((log) => log.info({ port: 1 }, 'x'));
    assert.deepEqual([line.pid, line.port], [process.pid, 1]);
  });
});

suite('secrets', () => {
  const fields = [
    ...['auth_secret', 'client_app_auth_secret', 'clientAppAuthSecret', 'config_encryption_token'],
    ...['configEncryptionToken', 'token', 'secret', 'password', 'authorization'],
    ...['WEBSERVER_AUTH_SECRET', 'Env'],
  ];

  test('S13: secret fields are hidden at any of the first three depths', () => {
    const nest = (depth: number, value: object): object =>
      depth === 1 ? value : { inner: nest(depth - 1, value) };
    for (const field of fields) {
      for (const depth of [1, 2, 3]) {
        const { log, written } = recording();
        log.info(nest(depth, { [field]: 'hush', other: 'seen' }), 'x');
        const [line] = written;
        assert.doesNotMatch(line as string, /hush/, `${field} at depth ${depth}`);
        assert.match(line as string, new RegExp(`"${field}":"\\[redacted\\]"`));
        assert.match(line as string, /"other":"seen"/);
      }
    }
  });

  test('secret fields are hidden in lists, and if they are not text', () => {
    const { log, written } = recording();
    log.info({ Env: ['A=hush'], calls: [{ token: { hush: 'hush' } }] }, 'x');
    assert.doesNotMatch(written.join(''), /hush/);
  });

  test('secret fields are hidden in the bindings of a child logger', () => {
    const { log, written } = recording();
    log.child({ token: 'hush', request: { authorization: 'hush' } }).info('x');
    assert.doesNotMatch(written.join(''), /hush/);
    assert.match(written.join(''), /redacted/);
  });

  test('secret fields of an error are hidden', () => {
    const { log, written } = recording();
    log.error({ error: Object.assign(new Error('refused'), { token: 'hush' }) }, 'x');
    assert.doesNotMatch(written.join(''), /hush/);
    assert.match(written.join(''), /refused/);
  });

  test('logging does not change the logged object', () => {
    const { log } = recording();
    const body = { token: 'kept', inner: { secret: 'kept' } };
    log.info({ body }, 'x');
    assert.deepEqual(body, { token: 'kept', inner: { secret: 'kept' } });
  });

  test('a Secret is hidden under any name', () => {
    const { log, written } = recording();
    log.info({ innocent: new Secret('hush'), list: [new Secret('hush')] }, `x ${String(new Secret('hush'))}`);
    assert.doesNotMatch(written.join(''), /hush/);
    assert.match(written.join(''), /"innocent":"\[secret\]"/);
  });
});

suite('errors', () => {
  test('an error shows its type, message, stack and code', () => {
    const error = Object.assign(new TypeError('wrong'), { code: 'EWRONG' });
    const line = lineOf((log) => log.error({ error }, 'x'));
    const { type, message, stack, code } = line.error as Record<string, string>;
    assert.deepEqual([type, message, code], ['TypeError', 'wrong', 'EWRONG']);
    assert.match(stack ?? '', /TypeError: wrong\n\s+at .*logger\.test\.ts/);
  });

  test('an error shows its whole chain of causes', () => {
    const root = new Error('the disk is full');
    const middle = new Error('cannot write', { cause: root });
    const error = new Error('cannot start', { cause: middle });
    const line = lineOf((log) => log.error({ error }, 'x'));
    interface Logged {
      readonly message: string;
      readonly stack: string;
      readonly cause: Logged;
    }
    const logged = line.error as Logged;
    assert.equal(logged.message, 'cannot start');
    assert.equal(logged.cause.message, 'cannot write');
    assert.equal(logged.cause.cause.message, 'the disk is full');
    assert.match(logged.cause.cause.stack, /the disk is full\n\s+at /);
  });

  test('a thrown value that is not an error is shown as text', () => {
    const words = (error: unknown) =>
      (lineOf((log) => log.error({ error }, 'x')).error as { message: string }).message;
    assert.equal(words('just text'), 'just text');
    assert.equal(words({ code: 5, why: 'unknown' }), "{ code: 5, why: 'unknown' }");
  });

  test('S13: properties that libraries add to an error, beside its message, are hidden', () => {
    const error = Object.assign(new Error('bad answer'), {
      data: '{"AuthToken":"hush"}',
      cause: { Env: ['A=b'] },
    });
    assert.doesNotMatch(JSON.stringify(lineOf((log) => log.error({ error }, 'x'))), /hush/);
  });

  test('errors of several attempts show all of their messages', () => {
    const error = new AggregateError([new Error('refused by ::1'), new Error('refused by 127.0.0.1')]);
    const line = lineOf((log) => log.error({ error }, 'x'));
    assert.equal((line.error as { message: string }).message, 'refused by ::1; refused by 127.0.0.1');
  });
});

test('a stdout that accepts nothing neither ends the process nor uses its memory', () => {
  const logger = join(import.meta.dirname, '../../logging/logger.ts');
  const program = `
    const { openStdout } = await import(${JSON.stringify(logger)});
    const stdout = await openStdout(false);
    const line = 'x'.repeat(999) + '\\n';
    for (let i = 0; i < 5000; i++) stdout.write(line);
    process.stderr.write(String(stdout._len));`;
  const full = openSync('/dev/full', 'w');
  const words = ['--input-type=module', '--eval', program];
  const { stderr, status } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  assert.equal(status, 0, stderr);
  assert.ok(Number(stderr) > 0 && Number(stderr) <= 1024 * 1024, stderr);
});

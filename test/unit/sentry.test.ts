import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { parseLine } from '../../logging/line.ts';
import { createLogger, type Logger } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import { Sentry } from '../../logging/sentry.ts';
import { HttpClient } from '../../outgoing/http-client.ts';
import { Recorder } from '../support/recorder.ts';
import type { SentryEvent } from '../support/world.ts';

/** Longer than any test waits, in milliseconds. */
const LONG = 10_000;

interface Breadcrumb {
  readonly level: string;
  readonly message: string;
  readonly timestamp: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

type Event = Omit<SentryEvent, 'breadcrumbs'> & {
  readonly timestamp: number;
  readonly breadcrumbs?: readonly Breadcrumb[];
};

interface Reporting {
  readonly sentry: Sentry;
  readonly log: Logger;
  readonly outlets: Outlets;
  readonly server: Recorder;
  /** The received events, once all captured ones are sent. They are sorted by message, because events overtake each other. */
  readonly events: () => Promise<Event[]>;
}

async function openSentry(t: TestContext, url: string): Promise<Sentry> {
  const http = new HttpClient();
  const dsn = `${url.replace('//', '//publickey@')}/42`;
  const sentry = await Sentry.open({ http, dsn, release: 'c0ffee', environment: 'dev', report: () => {} });
  t.after(() => sentry.close());
  t.after(() => http.close());
  return sentry;
}

function logTo(sentry: Sentry): { log: Logger; outlets: Outlets; written: string[] } {
  const written: string[] = [];
  const outlets = new Outlets({ write: (line) => void written.push(line) });
  outlets.add(sentry);
  return { log: createLogger({ level: 'trace', stream: outlets }), outlets, written };
}

/** @param before is awaited before an answer */
async function open(t: TestContext, before = async () => {}): Promise<Reporting & { written: string[] }> {
  const server = await Recorder.open({
    reply: async () => {
      await before();
      return { status: 200, body: '{}' };
    },
  });
  const sentry = await openSentry(t, server.url);
  t.after(() => server.close());
  const events = async () => {
    assert.equal(await sentry.flush(LONG), true);
    const all = server.requests.map(({ body }) => eventIn(body));
    return all.sort((one, other) => one.message.localeCompare(other.message));
  };
  return { sentry, server, events, ...logTo(sentry) };
}

/** An envelope has a header, and a header for its content. */
function eventIn(envelope: string): Event {
  return JSON.parse(envelope.split('\n')[2] as string);
}

/** The only event that `write` causes. */
async function eventOf(t: TestContext, write: (reporting: Reporting) => void): Promise<Event> {
  const reporting = await open(t);
  write(reporting);
  const events = await reporting.events();
  assert.equal(events.length, 1);
  return events[0] as Event;
}

suite('events', { timeout: 20_000 }, () => {
  test('only lines of level error or higher become events, each with its level', async (t) => {
    const { log, events } = await open(t);
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level](level);
    assert.deepEqual(
      (await events()).map(({ level, message }) => [level, message]),
      [
        ['error', 'error'],
        ['fatal', 'fatal'],
      ],
    );
  });

  test('an event is sent to its project, with the key', async (t) => {
    const { log, server, events } = await open(t);
    log.error('x');
    await events();
    const [request] = server.requests;
    const { pathname, searchParams } = new URL(request?.path ?? '', server.url);
    assert.deepEqual(
      [request?.method, pathname, searchParams.get('sentry_key')],
      ['POST', '/api/42/envelope/', 'publickey'],
    );
  });

  test('an event contains the release, the environment, and the time of its line', async (t) => {
    const event = await eventOf(t, ({ sentry }) =>
      sentry.write('{"level":"error","time":"2024-02-29T12:30:15.007Z","msg":"x"}\n'),
    );
    assert.deepEqual([event.release, event.environment], ['c0ffee', 'dev']);
    assert.equal(event.timestamp, Date.UTC(2024, 1, 29, 12, 30, 15, 7) / 1000);
  });

  test('an event has the tags of the host, and of the container if there is one', async (t) => {
    const { sentry, log, events } = await open(t);
    log.error('1: nothing is known');
    sentry.tags = { 'aws.instance-id': 'i-1' };
    log.error('2: the host is known');
    log.child({ container: 'c0de' }).error('3: of a container');
    assert.deepEqual(
      (await events()).map(({ tags }) => tags ?? {}),
      [{}, { 'aws.instance-id': 'i-1' }, { 'aws.instance-id': 'i-1', container: 'c0de' }],
    );
  });

  test('the other fields of the line are part of the event', async (t) => {
    const containers = [{ port: 1, inner: { state: 'ready' } }];
    const event = await eventOf(t, ({ log }) => log.fatal({ containers, held: 3 }, 'x'));
    assert.deepEqual(event.extra, { pid: process.pid, containers, held: 3 });
  });

  test('an event shows the chain of causes, innermost first, each with its type and frames', async (t) => {
    const root = new RangeError('the disk is full');
    const middle = new Error('cannot write', { cause: root });
    const error = new TypeError('cannot start', { cause: middle });
    const event = await eventOf(t, ({ log }) => log.error({ error }, 'it failed'));
    assert.equal(event.message, 'it failed');
    const values = event.exception?.values ?? [];
    assert.deepEqual(
      values.map(({ type, value }) => [type, value]),
      [
        ['RangeError', 'the disk is full'],
        ['Error', 'cannot write'],
        ['TypeError', 'cannot start'],
      ],
    );
    for (const { stacktrace } of values) {
      const frame = stacktrace.frames.findLast(({ filename }) => filename.endsWith('sentry.test.ts'));
      assert.ok(frame && frame.lineno > 0);
    }
    assert.equal(event.extra.error, undefined);
  });

  test('an event without an error has its message and no exception', async (t) => {
    const event = await eventOf(t, ({ log }) => log.error('something is wrong'));
    assert.equal(event.message, 'something is wrong');
    assert.deepEqual(event.exception?.values ?? [], []);
  });

  test('a thrown value that is not an error is shown as it is', async (t) => {
    const event = await eventOf(t, ({ log }) => log.error({ error: 'just text' }, 'x'));
    assert.deepEqual(
      event.exception?.values.map(({ type, value }) => [type, value]),
      [['string', 'just text']],
    );
  });

  test('the same error is sent each time that it is logged', async (t) => {
    const { log, events } = await open(t);
    const error = new Error('again');
    for (let i = 0; i < 3; i += 1) log.error({ error }, 'x');
    assert.equal((await events()).length, 3);
  });
});

suite('breadcrumbs', { timeout: 20_000 }, () => {
  test('an event contains the lines before its error in order, 50 at most', async (t) => {
    const event = await eventOf(t, ({ log }) => {
      for (let i = 0; i < 60; i += 1) log.info(`line ${i}`);
      log.error('x');
    });
    assert.deepEqual(
      event.breadcrumbs?.map(({ message }) => message),
      Array.from({ length: 50 }, (_, i) => `line ${i + 10}`),
    );
  });

  test('an error is not among its own breadcrumbs, but among those of the next one', async (t) => {
    const { log, events } = await open(t);
    log.error('first');
    log.fatal('second');
    const [first, second] = await events();
    assert.deepEqual(first?.breadcrumbs ?? [], []);
    assert.deepEqual(
      second?.breadcrumbs?.map(({ message }) => message),
      ['first'],
    );
  });

  test('a breadcrumb has the level, the time and the fields of its line', async (t) => {
    const { log, events, written } = await open(t);
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
    for (const level of levels) log[level]({ port: 7 }, level);
    const crumbs = (await events()).at(-1)?.breadcrumbs ?? [];
    assert.deepEqual(
      crumbs.map(({ level }) => level),
      ['debug', 'debug', 'info', 'warning', 'error'],
    );
    for (const [i, { message, timestamp, data }] of crumbs.entries()) {
      assert.deepEqual([message, data], [levels[i], { port: 7 }]);
      assert.equal(timestamp, Date.parse(parseLine(written[i] as string).time) / 1000);
    }
  });
});

suite('secrets in events', { timeout: 20_000 }, () => {
  test('a secret that is hidden in the log is hidden in the event and its breadcrumbs', async (t) => {
    const { log, outlets, server, events } = await open(t);
    outlets.secrets.set('token', 'very"secret');
    log.info({ innocent: 'very"secret' }, 'it is very"secret');
    const error = new Error('wrong: very"secret', { cause: new Error('no very"secret') });
    log.child({ container: 'very"secret' }).error({ error, innocent: ['very"secret'] }, 'it was very"secret');
    const [event] = await events();
    assert.doesNotMatch(server.requests.map(({ body }) => body).join(''), /very/);
    assert.equal(event?.message, 'it was [secret]');
    assert.equal(event.tags.container, '[secret]');
    assert.equal(event.breadcrumbs?.[0]?.message, 'it is [secret]');
    assert.deepEqual(
      event.exception?.values.map(({ value }) => value),
      ['no [secret]', 'wrong: [secret]'],
    );
  });

  test('fields that are redacted in the log are redacted in the event and its breadcrumbs', async (t) => {
    const { log, server, events } = await open(t);
    log.info({ token: 'hush' }, 'x');
    const error = Object.assign(new Error('refused'), { secret: 'hush' });
    log.error({ password: 'hush', request: { authorization: 'hush' }, error }, 'x');
    const [event] = await events();
    assert.doesNotMatch(server.requests.map(({ body }) => body).join(''), /hush/);
    assert.equal(event?.extra.password, '[redacted]');
    assert.deepEqual(event.breadcrumbs?.[0]?.data, { token: '[redacted]' });
  });
});

suite('the effects of Sentry on the process', { timeout: 20_000 }, () => {
  const listeners = () =>
    process
      .eventNames()
      .map((name) => [String(name), process.listenerCount(name)] as const)
      .filter(([, count]) => count > 0)
      .sort(([one], [other]) => one.localeCompare(other));

  test('Sentry does not listen for exceptions, rejections or signals', async (t) => {
    const names = ['uncaughtException', 'uncaughtExceptionMonitor', 'unhandledRejection', 'warning'] as const;
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
    const count = () => [...names, ...signals].map((name) => [name, process.listenerCount(name)]);
    const before = count();
    const { log, events } = await open(t);
    log.error({ error: new Error('x') }, 'x');
    await events();
    assert.deepEqual(count(), before);
  });

  test('after it is closed, Sentry leaves no listener in the process', async (t) => {
    const before = listeners();
    const { sentry, log, events } = await open(t);
    log.error('x');
    await events();
    await sentry.close();
    assert.deepEqual(listeners(), before);
  });
});

suite('a Sentry that fails', { timeout: 20_000 }, () => {
  for (const [what, seconds, headers] of [
    ['two minutes', 120, { 'retry-after': '120' }],
    ['a minute if Sentry names no time', 60, {}],
    ['ten minutes at most', 600, { 'retry-after': '86400' }],
  ] as const) {
    test(`Sentry gets no events while it limits the rate: ${what}`, async (t) => {
      let now = 0;
      t.mock.method(performance, 'now', () => now);
      const messages: string[] = [];
      const server = createServer((request, response) => {
        void text(request).then((body) => {
          messages.push(eventIn(body).message);
          response.writeHead(429, headers).end();
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const sentry = await openSentry(t, `http://127.0.0.1:${port}`);
      const { log } = logTo(sentry);
      const logs = async (message: string, later: number) => {
        now += later * 1000;
        log.error(message);
        assert.equal(await sentry.flush(LONG), true);
      };
      await logs('sent', 0);
      await logs('at once', 0);
      await logs('later, and still too soon', seconds - 1);
      assert.deepEqual(messages, ['sent']);
      await logs('in time', 2);
      assert.deepEqual(messages, ['sent', 'in time']);
      assert.equal(await sentry.close(), 4);
    });
  }

  test('the event of a crash is sent even while Sentry limits the rate', async (t) => {
    const { log, server, events } = await open(t);
    server.fault = '429';
    log.error('1: too many');
    await events();
    log.error('2: not sent');
    await events();
    server.fault = undefined;
    log.fatal('3: death');
    assert.deepEqual(
      (await events()).map(({ message }) => message),
      ['1: too many', '3: death'],
    );
  });

  test('the event of a crash is retried until Sentry accepts it', async (t) => {
    const { log, server, sentry, events } = await open(t);
    server.fault = '500';
    log.fatal('death');
    await server.request(() => true);
    server.fault = 'resets';
    await server.request(() => server.requests.length > 1);
    server.fault = undefined;
    assert.equal((await events()).length, 3);
    assert.equal(await sentry.close(), 0);
  });

  test('at most 8 events are in progress, and more are dropped and counted', async (t) => {
    const gate = Promise.withResolvers<void>();
    const { log, sentry, events } = await open(t, () => gate.promise);
    for (let i = 0; i < 10; i += 1) log.error(`event ${i}`);
    log.fatal('event of a death');
    gate.resolve();
    assert.deepEqual(
      (await events()).map(({ message }) => message),
      [...Array.from({ length: 8 }, (_, i) => `event ${i}`), 'event of a death'],
    );
    log.error('once more');
    assert.equal((await events()).at(-1)?.message, 'once more');
    assert.equal(await sentry.close(), 2);
  });

  test('flushing ends at its deadline if Sentry hangs, and reports it', async (t) => {
    const { sentry, log, server } = await open(t);
    server.fault = 'hangs';
    log.error('x');
    await server.request(() => true);
    const from = performance.now();
    assert.equal(await sentry.flush(50), false);
    assert.ok(performance.now() - from < 5000);
  });

  test('flushing with nothing to send ends immediately', async (t) => {
    const { sentry } = await open(t);
    assert.equal(await sentry.flush(LONG), true);
    assert.equal(await sentry.close(), 0);
  });

  test('closing aborts the events in progress, and counts them', async (t) => {
    const { sentry, log, server } = await open(t);
    server.fault = 'hangs';
    log.error('error');
    log.fatal('death');
    await server.request(({ body }) => body.includes('"error"'));
    assert.equal(await sentry.close(), 2);
  });

  for (const fault of ['500', '404', '400', 'resets', 'floods'] as const) {
    test(`an event that Sentry does not accept is counted, and affects nothing else: ${fault}`, async (t) => {
      const { log, server, sentry, events } = await open(t);
      server.fault = fault;
      log.error('lost');
      await sentry.flush(LONG);
      server.fault = undefined;
      log.error('taken');
      assert.equal((await events()).at(-1)?.message, 'taken');
      assert.equal(await sentry.close(), 1);
    });
  }

  test('an invalid DSN is refused, and not shown', async (t) => {
    // The SDK reports its errors there.
    t.mock.method(console, 'error', () => {});
    const dsn = 'https://key-of-it/42';
    const opening = Sentry.open({
      http: new HttpClient(),
      dsn,
      release: 'x',
      environment: 'dev',
      report: () => {},
    });
    await assert.rejects(opening, (error: Error) => !error.message.includes('key-of-it'));
  });
});

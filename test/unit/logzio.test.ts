import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as loop } from 'node:timers/promises';
import { LogzIo } from '../../logging/logzio.ts';
import { type Answer, HttpClient, type Question } from '../../outgoing/http-client.ts';
import { Recorder, type Request } from '../support/recorder.ts';

/** Longer than any test waits, in milliseconds. */
const LONG = 10_000;
/** The maximum numbers of bytes of a line, a batch and the queue. */
const LINE = 256 * 1024;
const PER_BATCH = 4;
const PER_QUEUE = 32;

/** A client that reports when no request is in progress. */
class Client extends HttpClient {
  asked = 0;
  #last: Promise<unknown> = Promise.resolve();

  override ask(url: URL, question: Question): Promise<Answer> {
    this.asked += 1;
    const answer = super.ask(url, question);
    this.#last = answer.catch(() => {});
    return answer;
  }

  async settled(): Promise<void> {
    await this.#last;
    await loop();
  }
}

interface Report {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Shipping {
  readonly logzIo: LogzIo;
  readonly server: Recorder;
  readonly client: Client;
  readonly reports: Report[];
  /** The messages of each batch that logz.io accepted or refused. */
  readonly batches: () => string[][];
  /** Advances the time by a second, without waiting for what that starts. */
  readonly tick: () => void;
  /** Advances the time by a second, and waits for what that starts. */
  readonly second: () => Promise<void>;
}

interface Options {
  readonly status?: (request: Request) => number;
  readonly token?: string;
  readonly path?: string;
  readonly onReport?: (logzIo: LogzIo) => void;
}

async function open(
  t: TestContext,
  { status = () => 200, token = 'token', path = '', onReport }: Options = {},
) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const server = await Recorder.open({ reply: (request) => ({ status: status(request), body: 'x' }) });
  const client = new Client();
  t.after(() => client.close());
  t.after(() => server.close());
  const reports: Report[] = [];
  const report = (fields: object, message: string) => {
    reports.push({ message, fields: fields as Report['fields'] });
    onReport?.(logzIo);
  };
  const logzIo: LogzIo = new LogzIo({ http: client, url: new URL(server.url + path), token, report });
  const tick = () => {
    now += 1000;
    t.mock.timers.tick(1000);
  };
  const second = async () => {
    tick();
    await client.settled();
  };
  const batches = () => server.requests.map(messagesOf);
  return { logzIo, server, client, reports, batches, tick, second } satisfies Shipping;
}

function messagesOf({ body }: Request): string[] {
  return linesOf(body).map(({ message }) => String(message));
}

function linesOf(body: string): Record<string, unknown>[] {
  assert.ok(body.endsWith('\n'));
  return body
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line));
}

const TIME = '2024-02-29T12:30:15.007Z';

/** @param length of the whole line */
function line(msg: string, length = 0): string {
  const made = (filler: string) => `${JSON.stringify({ level: 'info', time: TIME, filler, msg })}\n`;
  return made('x'.repeat(Math.max(0, length - made('').length)));
}

suite('shipping the log', { timeout: 20_000 }, () => {
  test('lines are sent once a second as newline-delimited JSON, to the given address with token and type', async (t) => {
    const { logzIo, server, batches, second } = await open(t, { token: 'a+b&c', path: '/in' });
    logzIo.write(`{"level":"warn","time":"${TIME}","pid":7,"inner":{"a":[1]},"msg":"first\\nline"}\n`);
    logzIo.write(`{"level":"info","time":"${TIME}","msg":"second"}\n`);
    assert.deepEqual(batches(), []);
    await second();
    assert.equal(batches().length, 1);
    const { method, path, headers, body } = server.requests[0] as Request;
    const { pathname, searchParams } = new URL(path, server.url);
    assert.deepEqual(
      [method, pathname, [...searchParams]],
      [
        'POST',
        '/in',
        [
          ['token', 'a+b&c'],
          ['type', 'ecs-host-service'],
        ],
      ],
    );
    assert.equal(headers['content-type'], 'application/x-ndjson');
    assert.deepEqual(linesOf(body), [
      { '@timestamp': TIME, message: 'first\nline', level: 'warn', pid: 7, inner: { a: [1] } },
      { '@timestamp': TIME, message: 'second', level: 'info' },
    ]);
  });

  test('lines carry the tags that are known when they are sent', async (t) => {
    const { logzIo, server, second } = await open(t);
    logzIo.write(line('early'));
    logzIo.tags = { release: 'c0ffee' };
    await second();
    logzIo.tags = { release: 'c0ffee', 'aws.instance-id': 'i-1' };
    logzIo.write(line('late'));
    await second();
    assert.deepEqual(
      server.requests
        .flatMap(({ body }) => linesOf(body))
        .map((one) => [one.release, one['aws.instance-id']]),
      [
        ['c0ffee', undefined],
        ['c0ffee', 'i-1'],
      ],
    );
  });

  test('without new lines nothing is sent, and no line is sent twice', async (t) => {
    const { logzIo, batches, reports, second } = await open(t);
    await second();
    logzIo.write(line('once'));
    for (let i = 0; i < 5; i += 1) await second();
    assert.deepEqual([batches(), reports], [[['once']], []]);
  });

  test('many lines are sent in order, in batches of 1 MiB at most', async (t) => {
    const { logzIo, server, batches } = await open(t);
    const names = Array.from({ length: 2 * PER_BATCH + 1 }, (_, i) => String(i));
    for (const name of names) logzIo.write(line(name, LINE));
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(batches(), [names.slice(0, 4), names.slice(4, 8), names.slice(8)]);
    for (const { body } of server.requests) assert.ok(body.length < 1.01 * 1024 * 1024);
  });

  test('shipping alone does not keep the process alive', async (t) => {
    const http = new HttpClient();
    t.after(() => http.close());
    const before = process.getActiveResourcesInfo();
    const logzIo = new LogzIo({ http, url: new URL('http://127.0.0.1:9'), token: 'x', report: () => {} });
    const open = process.getActiveResourcesInfo();
    await logzIo.drain(LONG);
    assert.deepEqual(open, before);
  });

  test('one batch is sent at a time', async (t) => {
    const { logzIo, server, client, tick } = await open(t);
    server.fault = 'hangs';
    logzIo.write(line('under way'));
    tick();
    await server.request(() => true);
    logzIo.write(line('waiting'));
    for (let i = 0; i < 5; i += 1) tick();
    assert.equal(client.asked, 1);
  });
});

suite('lines that cannot be sent', { timeout: 20_000 }, () => {
  test('if the queue is full, the oldest lines are dropped and counted', async (t) => {
    const { logzIo, batches } = await open(t);
    const names = Array.from({ length: PER_QUEUE + 3 }, (_, i) => String(i));
    for (const name of names) logzIo.write(line(name, LINE));
    assert.equal(await logzIo.drain(LONG), 3);
    assert.deepEqual(batches().flat(), names.slice(3));
  });

  test('a line that is too long is dropped and counted, and the others are sent', async (t) => {
    const { logzIo, batches } = await open(t);
    logzIo.write(line('before'));
    logzIo.write(line('longest', LINE));
    logzIo.write(line('too long', LINE + 1));
    logzIo.write(line('after'));
    assert.equal(await logzIo.drain(LONG), 1);
    assert.deepEqual(batches(), [['before', 'longest', 'after']]);
  });

  test('the length of a line is counted in bytes', async (t) => {
    const { logzIo, batches } = await open(t);
    const length = LINE / 2;
    logzIo.write(line('ascii', length));
    logzIo.write(line('more bytes than characters', length).replaceAll('x', '✓'));
    assert.equal(await logzIo.drain(LONG), 1);
    assert.deepEqual(batches(), [['ascii']]);
  });

  for (const refusal of [400, 413]) {
    test(`lines that are refused with ${refusal} are dropped and counted, and later ones are sent`, async (t) => {
      const refused = (request: Request) => messagesOf(request).includes('bad');
      const { logzIo, batches, reports, second } = await open(t, {
        status: (request) => (refused(request) ? refusal : 200),
      });
      for (const name of ['bad', 'in bad company']) logzIo.write(line(name));
      await second();
      logzIo.write(line('good'));
      await second();
      await second();
      assert.deepEqual(batches(), [['bad', 'in bad company'], ['good']]);
      const why = `it answered with status ${refusal}`;
      assert.deepEqual(reports, [
        { message: 'logz.io does not take the log; trying again', fields: { why } },
        { message: 'logz.io takes the log again', fields: { dropped: 2 } },
      ]);
      assert.equal(await logzIo.drain(LONG), 2);
    });
  }

  test('reports about refused lines do not cause more reports without end', async (t) => {
    const { logzIo, server, reports } = await open(t, {
      status: () => 400,
      onReport: (one) => one.write(line('report')),
    });
    logzIo.write(line('1'));
    assert.equal(await logzIo.drain(LONG), 2);
    assert.deepEqual([reports.length, server.requests.length], [1, 2]);
  });
});

suite('a logz.io that fails', { timeout: 20_000 }, () => {
  for (const failure of [302, 401, 404, 500, 503, 'hangs up'] as const) {
    test(`if logz.io fails (${failure}), its lines are sent later, once and in order`, async (t) => {
      let failing = true;
      const { logzIo, server, batches, second } = await open(t, {
        status: () => (failing && typeof failure === 'number' ? failure : 200),
      });
      if (typeof failure === 'string') server.fault = 'resets';
      for (const name of ['1', '2']) logzIo.write(line(name));
      await second();
      logzIo.write(line('3'));
      await second();
      assert.deepEqual(batches(), [['1', '2']]);
      failing = false;
      server.fault = undefined;
      logzIo.write(line('4'));
      await second();
      logzIo.write(line('5'));
      await second();
      assert.deepEqual(batches().slice(1), [['1', '2', '3', '4'], ['5']]);
      assert.equal(await logzIo.drain(LONG), 0);
    });
  }

  test('if the queue is full, failed lines are dropped, the oldest first', async (t) => {
    let failing = true;
    const { logzIo, batches, reports, second, tick, client } = await open(t, {
      status: () => (failing ? 500 : 200),
    });
    const names = Array.from({ length: PER_QUEUE }, (_, i) => String(i));
    for (const name of names) logzIo.write(line(name, LINE));
    tick();
    const more = ['a', 'b', 'c'];
    for (const name of more) logzIo.write(line(name, LINE));
    await client.settled();
    assert.deepEqual(batches(), [names.slice(0, PER_BATCH)]);
    failing = false;
    await second();
    await second();
    assert.deepEqual(
      reports.map(({ fields: { dropped } }) => dropped),
      [undefined, 3],
    );
    assert.equal(await logzIo.drain(LONG), 3);
    assert.deepEqual(batches().slice(1).flat(), [...names, ...more].slice(3));
  });

  test('a failure of logz.io is reported once, and so is its recovery', async (t) => {
    let status = 500;
    const { logzIo, reports, second } = await open(t, { status: () => status });
    const minute = async () => {
      for (let i = 0; i < 60; i += 1) await second();
    };
    for (let round = 0; round < 2; round += 1) {
      status = 500;
      logzIo.write(line('x'));
      await minute();
      const why = 'it answered with status 500';
      assert.deepEqual(reports.splice(0), [
        { message: 'logz.io does not take the log; trying again', fields: { why } },
      ]);
      status = 200;
      await minute();
      assert.deepEqual(reports.splice(0), [
        { message: 'logz.io takes the log again', fields: { dropped: 0 } },
      ]);
    }
  });

  test('reports do not show the token', async (t) => {
    const { logzIo, server, reports, second } = await open(t, { token: 'shipping-token' });
    await server.turn('refuses');
    logzIo.write(line('x'));
    await second();
    assert.equal(reports.length, 1);
    assert.doesNotMatch(JSON.stringify(reports), /shipping-token/);
  });

  test('the delays between attempts double, up to a minute', async (t) => {
    const { logzIo, server, second } = await open(t, { status: () => 500 });
    logzIo.write(line('x'));
    const attempts: number[] = [];
    for (let at = 1; at <= 250; at += 1) {
      const before = server.requests.length;
      await second();
      if (server.requests.length > before) attempts.push(at);
    }
    assert.deepEqual(
      attempts.slice(1).map((at, i) => at - (attempts[i] as number)),
      [2, 4, 8, 16, 32, 60, 60, 60],
    );
  });
});

suite('draining', { timeout: 20_000 }, () => {
  test('draining sends all queued lines, immediately and in order', async (t) => {
    const { logzIo, batches } = await open(t);
    const names = ['1', '2', '3'];
    for (const name of names) logzIo.write(line(name));
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(batches(), [names]);
  });

  test('draining with nothing to send ends immediately', async (t) => {
    const { logzIo, server } = await open(t);
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(server.requests, []);
  });

  test('draining waits for the batch in progress, and then sends the lines that came meanwhile', async (t) => {
    const { logzIo, batches, tick } = await open(t);
    logzIo.write(line('under way'));
    tick();
    logzIo.write(line('waiting'));
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(batches(), [['under way'], ['waiting']]);
  });

  test('after draining nothing is sent', async (t) => {
    const { logzIo, batches, second } = await open(t);
    logzIo.write(line('1'));
    await logzIo.drain(LONG);
    logzIo.write(line('2'));
    await second();
    assert.deepEqual(batches(), [['1']]);
  });

  test('draining ends at its deadline, and counts the lines in progress, queued and dropped', async (t) => {
    const { logzIo, server, tick } = await open(t);
    server.fault = 'hangs';
    for (const name of ['1', '2']) logzIo.write(line(name));
    tick();
    await server.request(() => true);
    for (const name of ['3', '4', '5']) logzIo.write(line(name));
    logzIo.write(line('too long', LINE + 1));
    assert.equal(await logzIo.drain(50), 6);
  });

  test('draining ends its own request at the deadline, and counts its lines', async (t) => {
    const { logzIo, server, client } = await open(t);
    server.fault = 'hangs';
    for (const name of ['1', '2', '3']) logzIo.write(line(name));
    assert.equal(await logzIo.drain(50), 3);
    await client.settled();
    assert.equal(client.asked, 1);
  });

  test('draining ends at its deadline if logz.io keeps failing', async (t) => {
    const { logzIo, batches } = await open(t, { status: () => 500 });
    for (const name of ['1', '2']) logzIo.write(line(name));
    assert.equal(await logzIo.drain(150), 2);
    for (const batch of batches()) assert.deepEqual(batch, ['1', '2']);
    assert.ok(batches().length <= 2, 'it pauses between attempts');
  });

  test('draining sends everything to a logz.io that has recovered, however long it failed', async (t) => {
    let failing = true;
    const { logzIo, batches, second } = await open(t, { status: () => (failing ? 500 : 200) });
    logzIo.write(line('1'));
    for (let i = 0; i < 20; i += 1) await second();
    logzIo.write(line('2'));
    failing = false;
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(batches().at(-1), ['1', '2']);
  });

  test('draining sends everything to a logz.io that recovers during the drain', async (t) => {
    let failures = 2;
    const { logzIo, batches } = await open(t, { status: () => (failures-- > 0 ? 500 : 200) });
    for (const name of ['1', '2']) logzIo.write(line(name));
    assert.equal(await logzIo.drain(LONG), 0);
    assert.deepEqual(batches(), [
      ['1', '2'],
      ['1', '2'],
      ['1', '2'],
    ]);
  });
});

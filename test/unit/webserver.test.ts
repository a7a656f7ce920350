import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { type Beat, Webserver, type WebserverOptions } from '../../host/webserver.ts';
import { HttpClient } from '../../outgoing/http-client.ts';
import { Recorder, type RecorderOptions } from '../support/recorder.ts';
import { FACTS } from '../support/world.ts';

const BEAT: Beat = {
  token: 'the-token-of-this-host',
  instanceId: 'i-0123456789abcdef0',
  number: 7,
  memory: { total: 16_384_256, free: 0, available: 8_192_000 },
  dying: false,
  draining: false,
};

interface Opened {
  readonly recorder: Recorder;
  readonly webserver: Webserver;
  readonly handshake: (signal?: AbortSignal) => Promise<string>;
  readonly heartbeat: (changes?: Partial<Beat>) => Promise<boolean>;
}

/** A webserver that answers with `reply`, and this host's client for it. */
async function open(
  t: TestContext,
  reply: RecorderOptions['reply'],
  { path = '', ...options }: Partial<WebserverOptions> & { path?: string } = {},
): Promise<Opened> {
  const recorder = await Recorder.open({ reply });
  const http = new HttpClient();
  t.after(async () => {
    await http.close();
    await recorder.close();
  });
  const url = new URL(recorder.url + path);
  const webserver = new Webserver({ http, url, dyingAs: 'string', ...options });
  const { signal: never } = new AbortController();
  return {
    recorder,
    webserver,
    handshake: (signal = never) => webserver.handshake(FACTS, signal),
    heartbeat: (changes) => webserver.heartbeat({ ...BEAT, ...changes }, never),
  };
}

const always =
  (status: number, body = '') =>
  () => ({ status, body });
const withToken = always(200, '{"AuthToken":"the-token"}');

/** Asserts that it is the error for `what`, with a reason. */
function failed(what: 'registration' | 'heartbeat', says: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof ServiceError);
    assert.equal(error.code, 'webserver.failed');
    assert.ok(error.message.startsWith(`the webserver did not accept the ${what} of this host: `));
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, new RegExp(BEAT.token));
    return true;
  };
}

suite('a registration', () => {
  test('a registration describes the host and returns the token', async (t) => {
    const { recorder, handshake } = await open(t, withToken);
    assert.equal(await handshake(), 'the-token');
    const [{ method, path, headers, body } = assert.fail(), ...more] = recorder.requests;
    assert.deepEqual(more, []);
    assert.deepEqual(
      [method, path, headers['content-type']],
      ['POST', '/host_service/auth', 'application/json'],
    );
    assert.deepEqual(JSON.parse(body), {
      InstanceID: FACTS.instanceId,
      InstanceType: FACTS.instanceType,
      Region: FACTS.region,
      AWSAmiID: FACTS.amiId,
    });
  });

  test('the token is found among other fields', async (t) => {
    const { handshake } = await open(t, always(200, ' {"status": 200, "AuthToken": "the_token", "x": {}}\n'));
    assert.equal(await handshake(), 'the_token');
  });

  test('C25: a registration whose answer has no token is refused', async (t) => {
    for (const body of [
      '',
      '{"AuthToken":",\\"time\\":\\""}',
      '{"AuthToken":"short"}',
      'the-token',
      '"the-token"',
      '{"AuthToken":"the-token"',
      '<html>\n<p>AuthToken</p>\n</html>',
      '{"AuthToken":""}',
      '{"AuthToken":null}',
      '{"AuthToken":7}',
      '{"AuthToken":["the-token"]}',
      '{"authToken":"the-token"}',
      '{"status":400}',
      '{}',
      '[]',
      'null',
    ]) {
      const { handshake } = await open(t, always(200, body));
      const refused = failed('registration', /: it answered with status 200 and no token;/);
      await assert.rejects(handshake(), refused, body);
    }
  });

  test('C25: a registration with another status than 200 is refused, even with a token', async (t) => {
    for (const status of [201, 204, 302, 400, 401, 404, 500, 503]) {
      const { recorder, handshake } = await open(t, always(status, withToken().body));
      const says = new RegExp(`: it answered with status ${status} and no token;`);
      await assert.rejects(handshake(), failed('registration', says));
      assert.equal(recorder.requests.length, 1);
    }
  });
});

suite('a heartbeat', () => {
  test('a heartbeat has exactly the fields of the webserver, in their types', async (t) => {
    const { recorder, heartbeat } = await open(t, always(200));
    assert.equal(await heartbeat(), true);
    const [{ method, path, headers, body } = assert.fail()] = recorder.requests;
    assert.deepEqual(
      [method, path, headers['content-type']],
      ['POST', '/host_service/heartbeat', 'application/json'],
    );
    const { Timestamp, ...fields } = JSON.parse(body);
    assert.deepEqual(fields, {
      AuthToken: 'the-token-of-this-host',
      HeartbeatNumber: 7,
      InstanceID: 'i-0123456789abcdef0',
      TotalRAMinKB: '16384256',
      FreeRAMinKB: '0',
      AvailRAMinKB: '8192000',
      IsDyingHeartbeat: 'False',
    });
    assert.equal(typeof Timestamp, 'string');
  });

  test("the time of a heartbeat has Go's format, with the uptime of the process", async (t) => {
    const { recorder, heartbeat } = await open(t, always(200));
    const since = [Date.now(), performance.now() / 1000] as const;
    await heartbeat();
    const until = [Date.now(), performance.now() / 1000] as const;
    const { Timestamp } = JSON.parse(recorder.requests[0]?.body ?? '');
    const form = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) \+0000 UTC m=\+(\d+\.\d{9})$/;
    const [, day, time, lived] = form.exec(Timestamp) ?? assert.fail(Timestamp);
    const at = Date.parse(`${day}T${time}Z`);
    assert.ok(since[0] <= at && at <= until[0], Timestamp);
    assert.ok(since[1] <= Number(lived) && Number(lived) <= until[1], Timestamp);
  });

  test('C28: whether the host stops is sent in the configured type', async (t) => {
    for (const [dyingAs, lives, dies] of [
      ['string', 'False', 'True'],
      ['boolean', false, true],
    ] as const) {
      const { recorder, heartbeat } = await open(t, always(200), { dyingAs });
      await heartbeat({ dying: false });
      await heartbeat({ dying: true });
      const told = recorder.requests.map(({ body }) => JSON.parse(body).IsDyingHeartbeat);
      assert.deepEqual(told, [lives, dies], dyingAs);
    }
  });

  test('whether the host drains is sent in the same type, and only while it drains', async (t) => {
    for (const [dyingAs, drains] of [
      ['string', 'True'],
      ['boolean', true],
    ] as const) {
      const { recorder, heartbeat } = await open(t, always(200), { dyingAs });
      await heartbeat({ draining: false });
      await heartbeat({ draining: true });
      const told = recorder.requests.map(({ body }) => Object.entries(JSON.parse(body)).at(-1));
      assert.deepEqual(
        told.map((field) => field?.[0]),
        ['IsDyingHeartbeat', 'IsDraining'],
      );
      assert.equal(told[1]?.[1], drains);
    }
  });

  test('status 200 for a heartbeat means that the host is known, and 404 that it is not', async (t) => {
    for (const body of ['', '{"status":200}', '{"status":404}', '<html>\n</html>']) {
      const statuses = [200, 404, 200];
      const { heartbeat } = await open(t, () => ({ status: statuses.shift() ?? 500, body }));
      assert.deepEqual([await heartbeat(), await heartbeat(), await heartbeat()], [true, false, true]);
    }
  });

  test('C25: a heartbeat that is answered with neither 200 nor 404 is an error', async (t) => {
    for (const status of [201, 204, 302, 400, 401, 403, 410, 500, 503]) {
      const { heartbeat } = await open(t, always(status, '{"status":200}'));
      const says = new RegExp(`: it answered with status ${status};`);
      await assert.rejects(heartbeat(), failed('heartbeat', says));
    }
  });
});

suite('any call to the webserver', () => {
  test('C25: answers of every kind are read to their end, so that one connection serves all calls', async (t) => {
    // More data than one read of a socket returns.
    const padding = ' '.repeat(60_000);
    const statuses = [200, 404, 500, 400, 302, 200];
    const { recorder, handshake, heartbeat } = await open(t, ({ path }) =>
      path.endsWith('/auth')
        ? { status: 200, body: `{"AuthToken":"the-token"${padding}}` }
        : { status: statuses.shift() ?? 503, body: padding },
    );
    for (let n = 0; n < 10; n += 1) {
      for (const call of [handshake, heartbeat]) {
        await call().catch(() => {});
        // A connection is free again a moment after the answer was read.
        await allElseHasRun();
      }
    }
    assert.equal(recorder.requests.length, 20);
    assert.equal(recorder.connections, 1);
  });

  test('the calls are below the address of the webserver, whatever it is', async (t) => {
    for (const [path, base] of [
      ['', ''],
      ['/', ''],
      ['/api', '/api'],
      ['/api/v1//', '/api/v1'],
    ] as const) {
      const { recorder, handshake, heartbeat } = await open(t, withToken, { path });
      await handshake();
      await heartbeat();
      assert.deepEqual(
        recorder.requests.map((request) => request.path),
        [`${base}/host_service/auth`, `${base}/host_service/heartbeat`],
      );
    }
  });

  for (const fault of ['resets', 'floods', 'refuses'] as const) {
    test(`a webserver with the fault "${fault}" causes a clear error`, async (t) => {
      const { recorder, handshake, heartbeat } = await open(t, withToken);
      await recorder.turn(fault);
      for (const [what, call] of [
        ['registration', handshake],
        ['heartbeat', heartbeat],
      ] as const) {
        await assert.rejects(call(), failed(what, /: [^;]+; check WEBSERVER_URL and the webserver's log$/));
      }
    });
  }

  test('a call that the webserver does not answer is abandoned after ten seconds, and the error names it', async (t) => {
    const { recorder, handshake, heartbeat } = await open(t, withToken);
    await handshake();
    recorder.fault = 'hangs';
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const late = failed('heartbeat', /POST .*\/host_service\/heartbeat did not finish within 10000 ms/);
    const givenUp = assert.rejects(heartbeat(), late);
    await recorder.request(({ path }) => path.endsWith('/heartbeat'));
    t.mock.timers.tick(10_000);
    await givenUp;
  });

  test('a call that its caller aborts ends at once, with the reason of the abort', async (t) => {
    const { recorder, webserver, handshake } = await open(t, withToken);
    recorder.fault = 'hangs';
    const enough = new Error('enough');
    for (const call of [handshake, (signal: AbortSignal) => webserver.heartbeat(BEAT, signal)]) {
      const abort = new AbortController();
      const sent = recorder.requests.length;
      const ended = assert.rejects(call(abort.signal), (error) => error === enough);
      await recorder.request((request) => recorder.requests.indexOf(request) >= sent);
      abort.abort(enough);
      await ended;
      await assert.rejects(call(abort.signal), (error) => error === enough);
      assert.equal(recorder.requests.length, sent + 1);
    }
  });
});

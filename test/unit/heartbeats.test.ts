import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { type HeartbeatOptions, Heartbeats } from '../../host/heartbeats.ts';
import { KeptRegistration, type Registration } from '../../host/kept-registration.ts';
import { type HostFacts, Metadata } from '../../host/metadata.ts';
import { Webserver } from '../../host/webserver.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import type { Line } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';
import { type Answer, HttpClient, type Question } from '../../outgoing/http-client.ts';
import { type Fault, Recorder, type Request } from '../support/recorder.ts';
import { FACTS } from '../support/world.ts';

/** Longer than any test, in milliseconds. */
const LONG = 600_000;

/** Replaces waiting: a pause lasts until the test requests the next one, or until its signal aborts. */
class Pauses {
  readonly #begun: number[] = [];
  #end = () => {};
  #wake = () => {};

  readonly begin: NonNullable<HeartbeatOptions['pause']> = (milliseconds, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
    this.#end = resolve;
    this.#begun.push(milliseconds);
    this.#wake();
    return promise;
  };

  /** Ends the current pause, if there is one, and waits until the next one has started. Returns its milliseconds. */
  next(): Promise<number> {
    this.#end();
    return this.follows();
  }

  /** Waits until the next pause has started, without ending one. */
  async follows(): Promise<number> {
    for (;;) {
      const milliseconds = this.#begun.shift();
      if (milliseconds !== undefined) return milliseconds;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The milliseconds of the next pauses; the last one is still running. */
  async several(count: number): Promise<number[]> {
    const all: number[] = [];
    while (all.length < count) all.push(await this.next());
    return all;
  }
}

/** A client that reports when an answer has arrived. */
class Watched extends HttpClient {
  answered = () => {};

  override async ask(url: URL, question: Question): Promise<Answer> {
    const answer = await super.ask(url, question);
    this.answered();
    return answer;
  }
}

interface Options {
  /** Statuses of the answers; 200 after the last one. */
  readonly auth?: number[];
  readonly heartbeat?: number[];
  /** The first answers of the webserver. */
  readonly fault?: Fault;
  /** Receives each request before its answer, which waits for it. */
  readonly meanwhile?: (request: Request, begun: Begun) => void | Promise<void>;
  readonly find?: (signal: AbortSignal) => Promise<HostFacts>;
  /** Receives each token when it is stored. */
  readonly onToken?: (token: string, begun: Begun) => void;
  /** The token that an earlier service left on the disk. */
  readonly kept?: Registration;
  /** Pauses have their real length. */
  readonly realPauses?: true;
  /** They start after their lifetime has ended. */
  readonly ended?: true;
}

interface Begun {
  readonly recorder: Recorder;
  readonly http: Watched;
  readonly lifetime: Lifetime;
  readonly heartbeats: Heartbeats;
  readonly pauses: Pauses;
  /** The arguments of `onToken`. */
  readonly tokens: string[];
  readonly lines: Line[];
  readonly kept: KeptRegistration;
  /** The requests to the webserver, such as `auth` and `beat 0 the-token-1`. */
  readonly calls: () => string[];
}

const isAuth = ({ path }: Request) => path === '/host_service/auth';
const isDying = ({ body }: Request) => JSON.parse(body).IsDyingHeartbeat === 'True';
const isBeat = (request: Request) => !isAuth(request) && !isDying(request);

function callOf(request: Request): string {
  const { HeartbeatNumber, AuthToken } = JSON.parse(request.body);
  if (isAuth(request)) return 'auth';
  return `${isDying(request) ? 'dying' : 'beat'} ${HeartbeatNumber} ${AuthToken}`;
}

/** Heartbeats that start now, and the webserver that receives them. It issues the-token-1, then the-token-2, and so on. */
async function begin(t: TestContext, options: Options = {}): Promise<Begun> {
  const { auth = [], heartbeat = [], find = async () => FACTS } = options;
  let given = 0;
  const recorder = await Recorder.open({
    reply: async (request) => {
      await options.meanwhile?.(request, begun);
      const status = (isAuth(request) ? auth : heartbeat).shift() ?? 200;
      const answer = isAuth(request) && status === 200 ? { AuthToken: `the-token-${++given}` } : { status };
      return { status, body: JSON.stringify(answer) };
    },
  });
  recorder.fault = options.fault;
  const http = new Watched();
  const lifetime = new Lifetime('host');
  t.after(async () => {
    await lifetime.end();
    await http.close();
    await recorder.close();
  });
  if (options.ended) await lifetime.end();
  const pauses = new Pauses();
  const tokens: string[] = [];
  const lines: Line[] = [];
  const log = createLogger({
    level: 'trace',
    stream: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const state = mkdtempSync(join(tmpdir(), 'state-'));
  t.after(() => rmSync(state, { recursive: true }));
  const kept = new KeptRegistration(state, recorder.url, log);
  if (options.kept) await kept.write(options.kept);
  const heartbeats = new Heartbeats(lifetime, {
    webserver: new Webserver({ http, url: new URL(recorder.url), dyingAs: 'string' }),
    metadata: new Metadata(() => find(lifetime.signal)),
    kept,
    log,
    onRegistration: ({ token }) => {
      tokens.push(token);
      options.onToken?.(token, begun);
    },
    ...(!options.realPauses && { pause: pauses.begin }),
  });
  const calls = () => recorder.requests.map(callOf);
  const begun = { recorder, http, lifetime, heartbeats, pauses, tokens, lines, calls, kept };
  return begun;
}

function isBetweenHeartbeats(milliseconds: number): boolean {
  return milliseconds >= 55_000 && milliseconds <= 65_000;
}

suite('a running host', () => {
  test('a host registers itself, then sends a heartbeat at once and after each pause', async (t) => {
    const { pauses, calls, recorder } = await begin(t);
    await pauses.next();
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1']);
    await pauses.several(3);
    assert.deepEqual(calls(), ['auth', ...[0, 1, 2, 3].map((number) => `beat ${number} the-token-1`)]);
    const { Timestamp, FreeRAMinKB, AvailRAMinKB, ...fields } = JSON.parse(recorder.requests[1]?.body ?? '');
    assert.deepEqual(fields, {
      AuthToken: 'the-token-1',
      HeartbeatNumber: 0,
      InstanceID: FACTS.instanceId,
      TotalRAMinKB: String(totalmem() / 1024),
      IsDyingHeartbeat: 'False',
    });
    assert.match(Timestamp, /^\d{4}-\d\d-\d\d .* m=\+\d/);
    for (const digits of [FreeRAMinKB, AvailRAMinKB]) assert.match(digits, /^\d+$/);
  });

  test('the pauses between heartbeats last from 55 to 65 seconds, each at random', async (t) => {
    const { pauses } = await begin(t);
    const lengths = await pauses.several(10);
    for (const length of lengths) assert.ok(isBetweenHeartbeats(length), String(length));
    assert.equal(new Set(lengths).size, 10);
    const random = t.mock.method(Math, 'random', () => 0);
    assert.equal(await pauses.next(), 55_000);
    random.mock.mockImplementation(() => 0.5);
    assert.equal(await pauses.next(), 60_000);
    random.mock.mockImplementation(() => 1 - Number.EPSILON);
    assert.ok((await pauses.next()) > 64_999);
  });

  test('the pauses after failures begin with a second, and double up to a minute', async (t) => {
    const { recorder, pauses } = await begin(t, { fault: '500' });
    for (const turn of ['before the first success', 'after it']) {
      recorder.fault = '500';
      assert.deepEqual(
        await pauses.several(8),
        [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000),
        turn,
      );
      recorder.fault = undefined;
      assert.ok(isBetweenHeartbeats(await pauses.next()), turn);
    }
  });

  test('the first of several failures is logged as an error, the others as warnings', async (t) => {
    const { recorder, pauses, lines } = await begin(t, { fault: '500' });
    const said = () => lines.splice(0).map(({ level, msg }) => [level, msg]);
    for (const what of ['registration', 'heartbeat']) {
      recorder.fault = '500';
      await pauses.next();
      const error = lines[0]?.error as { readonly type: string; readonly message: string } | undefined;
      assert.equal(error?.type, 'ServiceError');
      assert.ok(error.message.startsWith(`the webserver did not accept the ${what} of this host: `));
      assert.deepEqual(said(), [['error', error.message]]);
      await pauses.several(2);
      assert.deepEqual(said(), [
        ['warn', error.message],
        ['warn', error.message],
      ]);
      recorder.fault = undefined;
      await pauses.several(2);
      assert.deepEqual(said(), [
        ...(what === 'registration' ? [['info', 'the webserver has registered this host']] : []),
        ['info', 'the webserver accepts heartbeats again'],
      ]);
    }
  });

  test('a host without known metadata requests them again, and reports nothing meanwhile', async (t) => {
    let asked = 0;
    const find = async () => {
      asked += 1;
      if (asked < 3) throw new Error('no metadata yet');
      return FACTS;
    };
    const { pauses, lines, calls } = await begin(t, { find });
    assert.deepEqual(await pauses.several(2), [1000, 2000]);
    assert.deepEqual(calls(), []);
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [
        ['error', 'no metadata yet'],
        ['warn', 'no metadata yet'],
      ],
    );
    assert.ok(isBetweenHeartbeats(await pauses.next()));
    assert.deepEqual([calls(), asked], [['auth', 'beat 0 the-token-1'], 3]);
  });
});

suite('a host that drains', () => {
  const draining = ({ requests }: Recorder) =>
    requests.filter((request) => !isAuth(request)).map(({ body }) => JSON.parse(body).IsDraining);

  test('a host reports that it drains at once, and in each later heartbeat', async (t) => {
    const { recorder, heartbeats, pauses } = await begin(t);
    await pauses.next();
    heartbeats.drain();
    assert.ok(isBetweenHeartbeats(await pauses.follows()), 'no pause was ended');
    assert.deepEqual(draining(recorder), [undefined, 'True']);
    await pauses.next();
    await heartbeats.sayDying(LONG);
    assert.deepEqual(draining(recorder), [undefined, 'True', 'True', 'True']);
  });

  test('a host that drains during a heartbeat sends another one at once', async (t) => {
    const held = Promise.withResolvers<void>();
    const { recorder, heartbeats, pauses } = await begin(t, {
      meanwhile: (request) => (isAuth(request) ? undefined : held.promise),
    });
    await recorder.request(isBeat);
    heartbeats.drain();
    held.resolve();
    await recorder.request(({ body }) => JSON.parse(body).IsDraining === 'True');
    await pauses.several(2);
    assert.deepEqual(draining(recorder).slice(0, 2), [undefined, 'True']);
  });

  test('a host that drains before it is registered reports it in its first heartbeat', async (t) => {
    const { recorder, heartbeats, pauses } = await begin(t, { auth: [500] });
    assert.equal(await pauses.next(), 1000);
    heartbeats.drain();
    await pauses.follows();
    assert.deepEqual(draining(recorder), ['True']);
  });
});

suite('the token of a host', () => {
  test('each token is stored before it is used', async (t) => {
    const handedOver: boolean[] = [];
    const { pauses, tokens } = await begin(t, {
      heartbeat: [200, 404],
      meanwhile: (request, { tokens }) => {
        if (!isAuth(request)) handedOver.push(tokens.includes(JSON.parse(request.body).AuthToken));
      },
    });
    await pauses.several(3);
    assert.deepEqual(tokens, ['the-token-1', 'the-token-2']);
    assert.deepEqual(handedOver, [true, true, true, true]);
  });

  test('no log line about heartbeats shows the token, whatever goes wrong', async (t) => {
    const { recorder, heartbeats, pauses, lines, tokens } = await begin(t, {
      heartbeat: [200, 404, 404, 500],
    });
    await pauses.several(4);
    // The order matters: a new connection can be refused only after the old one is lost.
    for (const fault of ['500', 'floods', 'resets', 'refuses'] as const) {
      recorder.fault = fault;
      await pauses.next();
    }
    await heartbeats.sayDying(50);
    assert.ok(lines.length >= 7);
    assert.deepEqual(tokens, ['the-token-1', 'the-token-2']);
    assert.doesNotMatch(JSON.stringify(lines), /token-\d/);
  });

  test('a token is kept if the first heartbeat with it gets no answer', async (t) => {
    const { recorder, pauses, calls } = await begin(t, {
      meanwhile: (request, { recorder }) => {
        if (isAuth(request)) recorder.fault = 'resets';
      },
    });
    assert.equal(await pauses.next(), 1000);
    recorder.fault = undefined;
    assert.ok(isBetweenHeartbeats(await pauses.next()));
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1', 'beat 1 the-token-1']);
  });

  test('C25: a host whose registration is refused has no token, sends no heartbeat, and retries', async (t) => {
    const { pauses, calls, tokens } = await begin(t, { auth: [400, 500, 404] });
    assert.deepEqual(await pauses.several(3), [1000, 2000, 4000]);
    assert.deepEqual([calls(), tokens], [['auth', 'auth', 'auth'], []]);
    assert.ok(isBetweenHeartbeats(await pauses.next()));
    assert.deepEqual(calls().slice(3), ['auth', 'beat 0 the-token-1']);
  });

  test('C25: a host that the webserver no longer knows registers again at once', async (t) => {
    const { pauses, calls } = await begin(t, { heartbeat: [200, 404] });
    for (const milliseconds of await pauses.several(3)) assert.ok(isBetweenHeartbeats(milliseconds));
    assert.deepEqual(calls(), [
      'auth',
      'beat 0 the-token-1',
      'beat 1 the-token-1',
      'auth',
      'beat 2 the-token-2',
      'beat 3 the-token-2',
    ]);
  });

  test('C25: a heartbeat that is refused for another reason than its token is retried with it', async (t) => {
    const { pauses, calls } = await begin(t, { heartbeat: [200, 400, 503] });
    const [first = 0, ...failures] = await pauses.several(3);
    assert.ok(isBetweenHeartbeats(first));
    assert.deepEqual(failures, [1000, 2000]);
    assert.ok(isBetweenHeartbeats(await pauses.next()));
    assert.deepEqual(calls(), ['auth', ...[0, 1, 2, 3].map((number) => `beat ${number} the-token-1`)]);
  });

  test('a host that cannot register again keeps its old token, and retries it', async (t) => {
    const { pauses, calls, tokens } = await begin(t, { auth: [200, 400], heartbeat: [200, 404] });
    await pauses.next();
    assert.equal(await pauses.next(), 1000);
    assert.ok(isBetweenHeartbeats(await pauses.next()));
    assert.deepEqual(calls(), [
      'auth',
      'beat 0 the-token-1',
      'beat 1 the-token-1',
      'auth',
      'beat 2 the-token-1',
    ]);
    assert.deepEqual(tokens, ['the-token-1']);
  });

  test('a token that is refused right after the registration is a failure like others', async (t) => {
    const { pauses, calls, lines } = await begin(t, { heartbeat: [404] });
    assert.equal(await pauses.next(), 1000);
    const { level, msg } = lines.at(-1) ?? assert.fail();
    assert.deepEqual([level, msg], ['error', 'the webserver rejects the token that it has just issued']);
    await pauses.next();
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1', 'beat 1 the-token-1']);
  });
});

suite('a registration that an earlier service left', () => {
  const { instanceId } = FACTS;

  test('a host continues with the token of an earlier service, and does not register again', async (t) => {
    const { pauses, calls, kept } = await begin(t, { kept: { instanceId, token: 'the-token-of-old' } });
    await pauses.several(2);
    assert.deepEqual(calls(), ['beat 0 the-token-of-old', 'beat 1 the-token-of-old']);
    assert.equal((await kept.read(instanceId))?.token, 'the-token-of-old');
  });

  test('a host whose old token is unknown to the webserver registers again', async (t) => {
    const old = { instanceId, token: 'the-token-of-old' };
    const { pauses, calls, kept } = await begin(t, { kept: old, heartbeat: [404] });
    await pauses.next();
    assert.deepEqual(calls(), ['beat 0 the-token-of-old', 'auth', 'beat 1 the-token-1']);
    assert.equal((await kept.read(instanceId))?.token, 'the-token-1');
  });

  test('a token from another instance, such as one in a machine image, is removed without being used', async (t) => {
    const other = { instanceId: 'i-of-another-host', token: 'the-token-of-old' };
    const { pauses, calls, kept } = await begin(t, { kept: other });
    await pauses.next();
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1']);
    assert.equal(await kept.read(other.instanceId), undefined);
  });

  for (const status of [200, 404]) {
    test(`the token is removed if the last heartbeat is answered with ${status}`, async (t) => {
      const { pauses, heartbeats, kept } = await begin(t, { heartbeat: [200, status] });
      await pauses.next();
      assert.ok(await kept.exists());
      await heartbeats.sayDying(LONG);
      assert.ok(!(await kept.exists()));
    });
  }

  test('the token is kept if the last heartbeat gets no answer', async (t) => {
    const { pauses, heartbeats, recorder, kept } = await begin(t);
    await pauses.next();
    await recorder.turn('refuses');
    await heartbeats.sayDying(300);
    assert.ok(await kept.exists());
  });
});

suite('heartbeats that are stopped', () => {
  interface Moment {
    readonly when: string;
    readonly begin: (t: TestContext) => Promise<Begun>;
    /** The requests until then, and the moment at which the host says that it stops. */
    readonly sent: readonly string[];
    readonly last: readonly string[];
    /** The time limit of the last heartbeat, in milliseconds. */
    readonly patience?: number;
  }

  const moments: readonly Moment[] = [
    {
      when: 'before the first registration',
      begin: async (t) => {
        const asked = Promise.withResolvers<void>();
        const find = (signal: AbortSignal) => {
          asked.resolve();
          return new Promise<never>((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        };
        const begun = await begin(t, { find });
        await asked.promise;
        return begun;
      },
      sent: [],
      last: [],
    },
    {
      when: 'while the registration hangs',
      begin: async (t) => {
        const begun = await begin(t, { fault: 'hangs' });
        await begun.recorder.request(isAuth);
        return begun;
      },
      sent: ['auth'],
      last: [],
      // It is awaited, because the webserver may have executed it.
      patience: 50,
    },
    {
      when: 'while a heartbeat hangs',
      begin: async (t) => {
        const begun = await begin(t, {
          meanwhile: (request, { recorder }) => {
            if (isAuth(request)) recorder.fault = 'hangs';
          },
        });
        await begun.recorder.request(isBeat);
        return begun;
      },
      sent: ['auth', 'beat 0 the-token-1'],
      last: ['dying 1 the-token-1'],
    },
    {
      when: 'during the pause',
      begin: async (t) => {
        const begun = await begin(t, { realPauses: true });
        await new Promise<void>((resolve) => {
          begun.http.answered = () => {
            if (begun.recorder.requests.some(isBeat)) resolve();
          };
        });
        await allElseHasRun();
        return begun;
      },
      sent: ['auth', 'beat 0 the-token-1'],
      last: ['dying 1 the-token-1'],
    },
  ];

  for (const { when, begin, sent, last, patience } of moments) {
    test(`C27: heartbeats that are stopped ${when} end at once, and none follows`, {
      timeout: 5000,
    }, async (t) => {
      const byTheEnd = await begin(t);
      assert.deepEqual(await byTheEnd.lifetime.end(), []);
      const byTheLast = await begin(t);
      byTheLast.recorder.fault = undefined;
      await byTheLast.heartbeats.sayDying(patience ?? LONG);
      assert.deepEqual(await byTheLast.lifetime.end(), []);
      await allElseHasRun();
      assert.deepEqual(byTheEnd.calls(), sent);
      assert.deepEqual(byTheLast.calls(), [...sent, ...last]);
      const bad = [...byTheEnd.lines, ...byTheLast.lines].filter(({ level }) => level !== 'info');
      assert.deepEqual(
        bad.map(({ msg }) => msg),
        patience === undefined ? [] : ['could not tell the webserver that this host is dying'],
      );
    });
  }

  test('a lifetime that has already ended starts no heartbeats', async (t) => {
    let asked = 0;
    const find = async () => {
      asked += 1;
      return FACTS;
    };
    const { heartbeats, lines, calls } = await begin(t, { ended: true, find });
    await heartbeats.sayDying(LONG);
    await allElseHasRun();
    assert.deepEqual([asked, calls(), lines], [0, [], []]);
  });
});

suite('a host that shuts down', () => {
  test('C26: a registration in progress is awaited, and the host then reports that it stops', async (t) => {
    const held = Promise.withResolvers<void>();
    const { recorder, heartbeats, calls } = await begin(t, {
      meanwhile: (request) => (isAuth(request) ? held.promise : undefined),
    });
    await recorder.request(isAuth);
    const dying = heartbeats.sayDying(LONG);
    for (let turn = 0; turn < 10; turn += 1) await allElseHasRun();
    held.resolve();
    await dying;
    assert.equal(calls().at(-1), 'dying 1 the-token-1');
  });

  test('the log does not claim that a webserver that has forgotten the host learned of its stop', async (t) => {
    const { heartbeats, pauses, lines } = await begin(t, { heartbeat: [200, 404] });
    await pauses.next();
    await heartbeats.sayDying(LONG);
    assert.equal(lines.at(-1)?.msg, 'the webserver no longer knows this host');
  });

  test("C26: the last heartbeat waits for the webserver's answer", async (t) => {
    const held = Promise.withResolvers<void>();
    const { recorder, heartbeats, pauses, lines, calls } = await begin(t, {
      meanwhile: (request) => (isDying(request) ? held.promise : undefined),
    });
    await pauses.next();
    let said = false;
    const dying = heartbeats.sayDying(LONG).then(() => {
      said = true;
    });
    await recorder.request(isDying);
    for (let turn = 0; turn < 10; turn += 1) await allElseHasRun();
    assert.equal(said, false);
    held.resolve();
    await dying;
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1', 'dying 1 the-token-1']);
    assert.equal(lines.at(-1)?.msg, 'the webserver knows that this host is dying');
  });

  test('C26: a failed last heartbeat is retried until it succeeds', async (t) => {
    const { recorder, heartbeats, pauses, calls, lines } = await begin(t, {
      heartbeat: [200, 500],
      meanwhile: (request, { recorder }) => {
        // This one is answered with 500, and the next one not at all.
        if (isDying(request) && recorder.requests.length === 3) recorder.fault = 'resets';
      },
    });
    await pauses.next();
    const dying = heartbeats.sayDying(LONG);
    await recorder.request((request) => callOf(request) === 'dying 2 the-token-1');
    recorder.fault = undefined;
    await dying;
    assert.deepEqual(calls(), [
      'auth',
      'beat 0 the-token-1',
      'dying 1 the-token-1',
      'dying 2 the-token-1',
      'dying 3 the-token-1',
    ]);
    assert.deepEqual(
      lines.slice(-3).map(({ level }) => level),
      ['warn', 'warn', 'info'],
    );
  });

  test('C26: a last heartbeat that never succeeds ends at its deadline, without an error', async (t) => {
    for (const fault of ['hangs', 'resets', '500', 'floods'] as const) {
      const { recorder, heartbeats, pauses, lines } = await begin(t);
      await pauses.next();
      recorder.fault = fault;
      const since = performance.now();
      await heartbeats.sayDying(50);
      // Timers may be early by less than a millisecond.
      assert.ok(performance.now() - since > 49, fault);
      assert.ok(recorder.requests.some(isDying), fault);
      const { level, msg, error } = lines.at(-1) ?? assert.fail();
      assert.deepEqual([level, msg], ['warn', 'could not tell the webserver that this host is dying'], fault);
      assert.match(JSON.stringify(error), /the dying heartbeat did not finish within 50 ms/, fault);
    }
  });

  test('a host that was never registered sends no last heartbeat', async (t) => {
    const { heartbeats, pauses, calls, lines } = await begin(t, { auth: [400, 400] });
    await pauses.several(2);
    const logged = lines.length;
    await heartbeats.sayDying(LONG);
    assert.deepEqual(calls(), ['auth', 'auth']);
    assert.equal(lines.length, logged);
  });

  test('a host can send its last heartbeat after everything else has ended', async (t) => {
    const { lifetime, heartbeats, pauses, calls } = await begin(t);
    await pauses.next();
    await lifetime.end();
    await heartbeats.sayDying(LONG);
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1', 'dying 1 the-token-1']);
  });

  test('a host that has just registered again sends its last heartbeat with its new token', async (t) => {
    const said = Promise.withResolvers<void>();
    const { pauses, calls } = await begin(t, {
      heartbeat: [200, 404],
      onToken: (token, { heartbeats }) => {
        if (token === 'the-token-2') said.resolve(heartbeats.sayDying(LONG));
      },
    });
    await pauses.next();
    await pauses.next();
    await said.promise;
    assert.deepEqual(
      calls().filter((call) => !call.startsWith('beat 2')),
      ['auth', 'beat 0 the-token-1', 'beat 1 the-token-1', 'auth', 'dying 3 the-token-2'],
    );
  });

  test('a webserver that does not know the stopping host gets no further heartbeat', async (t) => {
    const { heartbeats, pauses, calls } = await begin(t, { heartbeat: [200, 404] });
    await pauses.next();
    await heartbeats.sayDying(LONG);
    assert.deepEqual(calls(), ['auth', 'beat 0 the-token-1', 'dying 1 the-token-1']);
  });
});

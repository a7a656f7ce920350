import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { Imds } from '../../host/imds.ts';
import { askEc2, describeThisMachine, type HostFacts, isEc2, Metadata } from '../../host/metadata.ts';
import { type Answer, HttpClient, type Question } from '../../outgoing/http-client.ts';
import { Recorder, type Reply, type Request } from '../support/recorder.ts';
import { FACTS, imds, METADATA } from '../support/world.ts';

const TOKEN = 'x-aws-ec2-metadata-token';
const TTL = 'x-aws-ec2-metadata-token-ttl-seconds';

suite('the check whether a machine is on EC2', () => {
  /** The result for a machine whose firmware has these files. */
  async function judged(files: Readonly<Record<string, string>>): Promise<boolean> {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'dmi-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory.path, name), text);
    return await isEc2(directory.path);
  }

  const onEc2: readonly (readonly [string, string])[] = [
    ['sys_vendor', 'Amazon EC2\n'],
    ['sys_vendor', 'amazon ec2'],
    ['product_uuid', 'ec2e1916-9099-7caf-fd21-012345abcdef\n'],
    ['product_uuid', 'EC2E1916-9099-7CAF-FD21-012345ABCDEF\n'],
    ['product_uuid', '45e12aec-dcd1-b213-94ed-012345abcdef\n'],
    ['product_uuid', '45E12AEC-DCD1-B213-94ED-012345ABCDEF\n'],
    ['bios_version', '4.11.amazon\n'],
    ['bios_version', '4.2.AMAZON\n'],
    ['bios_version', 'EC2-1.0\n'],
  ];
  for (const [name, text] of onEc2) {
    test(`a machine is on EC2 if its ${name} is ${JSON.stringify(text)}`, async () => {
      assert.equal(await judged({ [name]: text }), true);
      const others = { sys_vendor: 'QEMU\n', product_uuid: 'x\n', bios_version: '1.0\n' };
      assert.equal(await judged({ ...others, [name]: text }), true, 'the other files do not matter');
    });
  }

  test('a machine whose firmware names something else is not on EC2', async () => {
    const vendors = ['QEMU', 'Amazon', 'Amazon EC2 Clone', 'not Amazon EC2', ''];
    for (const sys_vendor of vendors) assert.equal(await judged({ sys_vendor }), false, sys_vendor);
    for (const product_uuid of [
      '4c4c4544-0042-4a10-8056-b2c04f4e4e32',
      'fec2e191-9099-7caf-fd21-012345abcdef',
      // Here, ec2 is in a place where neither byte order has it.
      '45e1ec2a-dcd1-b213-94ed-012345abcdef',
      '45e13aec-dcd1-b213-94ed-012345abcdef',
      '45e12aecdcd1b21394ed012345abcdef',
      '4c4c4544-ec21-2aec-8056-b2c04f4e4e32',
      '',
    ]) {
      assert.equal(await judged({ product_uuid }), false, product_uuid);
    }
    for (const bios_version of ['F.42', '1.16.3-debian', '']) {
      assert.equal(await judged({ bios_version }), false, bios_version);
    }
    const all = { sys_vendor: 'Dell Inc.', product_uuid: '4c4c4544-0042-4a10', bios_version: '2.1.0' };
    assert.equal(await judged(all), false);
  });

  test('a machine whose firmware cannot be read is not on EC2', async () => {
    assert.equal(await judged({}), false);
    assert.equal(await isEc2('/does/not/exist'), false);
  });
});

suite('cached facts', () => {
  test('C38: concurrent requests for facts share one lookup, whose result is cached', async () => {
    const found = Promise.withResolvers<HostFacts>();
    let asked = 0;
    const metadata = new Metadata(() => {
      asked += 1;
      return found.promise;
    });
    const all = Promise.all(Array.from({ length: 10 }, () => metadata.facts()));
    assert.equal(asked, 1);
    found.resolve(FACTS);
    for (const facts of await all) assert.equal(facts, FACTS);
    assert.equal(await metadata.facts(), FACTS);
    assert.equal(asked, 1);
  });

  test('C38: a failure is reported to all callers, and is not cached', async () => {
    const failure = new Error('not now');
    const answers = [Promise.reject(failure), Promise.reject(failure), Promise.resolve(FACTS)];
    let asked = 0;
    const metadata = new Metadata(() => answers[asked++] ?? assert.fail('one request too many'));
    for (const turn of [1, 2]) {
      const all = await Promise.allSettled([metadata.facts(), metadata.facts(), metadata.facts()]);
      for (const one of all) assert.equal(one.status === 'rejected' && one.reason, failure);
      assert.equal(asked, turn);
    }
    assert.equal(await metadata.facts(), FACTS);
    assert.equal(await metadata.facts(), FACTS);
    assert.equal(asked, 3);
  });
});

test('outside EC2, the machine is identified by its host name, and all other facts are local', () => {
  assert.deepEqual(describeThisMachine(), {
    amiId: 'local',
    amiLaunchIndex: '0',
    instanceId: hostname(),
    instanceType: 'local',
    region: 'local',
    publicIpv4: undefined,
  });
});

/** Gives each request, but for some, so much time that a busy machine does not fail it. */
class Patient extends HttpClient {
  /** Milliseconds that the requests were given. */
  readonly given: number[] = [];
  readonly #isHurried: (url: URL, number: number) => boolean;

  /** @param isHurried whether the request, counted from 1, keeps its own limit */
  constructor(isHurried: (url: URL, number: number) => boolean = () => false) {
    super();
    this.#isHurried = isHurried;
  }

  override async ask(url: URL, question: Question): Promise<Answer> {
    const number = this.given.push(question.milliseconds);
    const milliseconds = this.#isHurried(url, number) ? question.milliseconds : 60_000;
    return await super.ask(url, { ...question, milliseconds });
  }
}

// They wait between attempts, so some of them wait concurrently.
suite('requests to the metadata service', { concurrency: 4 }, () => {
  interface Asked {
    readonly service: Recorder;
    readonly ask: (signal?: AbortSignal) => Promise<HostFacts>;
  }

  async function open(
    t: TestContext,
    reply: (request: Request) => Reply | Promise<Reply> = imds(),
    http: HttpClient = new Patient(),
  ): Promise<Asked> {
    const service = await Recorder.open({ reply });
    t.after(async () => {
      await http.close();
      await service.close();
    });
    const client = new Imds(http, new URL(service.url));
    const ask = (signal = new AbortController().signal) => askEc2(client, signal);
    return { service, ask };
  }

  const isToken = ({ path }: Request) => path === '/latest/api/token';
  const tokensOf = ({ requests }: Recorder) => requests.filter(isToken);
  const itemsOf = ({ requests }: Recorder) => requests.filter((request) => !isToken(request));

  /** Asserts that the facts are refused, for a reason that matches `says`. */
  async function assertUnavailable({ service, ask }: Asked, says: RegExp): Promise<void> {
    await assert.rejects(ask(), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.code, 'metadata.unavailable');
      assert.ok(error.message.startsWith(`the service cannot read EC2 metadata from ${service.url}: `));
      assert.match(error.message, says);
      assert.ok(error.cause instanceof Error);
      return true;
    });
  }

  test('S20: a session token is requested first, and used for every item', async (t) => {
    const { service, ask } = await open(t);
    assert.deepEqual(await ask(), FACTS);
    const [token = assert.fail(), ...items] = service.requests;
    assert.deepEqual([token.method, token.path], ['PUT', '/latest/api/token']);
    assert.match(String(token.headers[TTL]), /^[1-9]\d*$/);
    assert.equal(token.headers[TOKEN], undefined);
    assert.deepEqual(
      items.map(({ method, path }) => `${method} ${path}`).sort(),
      Object.keys(METADATA).map((item) => `GET /latest/meta-data/${item}`),
    );
    for (const { path, headers } of items) assert.equal(headers[TOKEN], 'session-token==', path);
  });

  test('S20: without a session token no item is requested', async (t) => {
    const useless: readonly Reply[] = [
      { status: 200, body: '' },
      { status: 200, body: '<html>\n<p>Log in first</p>\n</html>' },
      { status: 200, body: 'x'.repeat(513) },
      { status: 400, body: 'session-token==' },
      { status: 403, body: 'session-token==' },
      { status: 404, body: 'session-token==' },
      { status: 500, body: 'session-token==' },
    ];
    await Promise.all(
      useless.map(async (token) => {
        const asked = await open(t, (request) => (isToken(request) ? token : imds()(request)));
        await assertUnavailable(asked, /token/);
        assert.deepEqual(itemsOf(asked.service), [], JSON.stringify(token));
      }),
    );
  });

  const OPTIONAL = { 'public-ipv4': 'publicIpv4', 'ami-launch-index': 'amiLaunchIndex' } as const;
  for (const [item, fact] of Object.entries(OPTIONAL)) {
    test(`an instance without a known ${item} works like any other`, async (t) => {
      const { [item]: _, ...items } = METADATA;
      const { service, ask } = await open(t, imds(items));
      assert.deepEqual(await ask(), { ...FACTS, [fact]: undefined });
      assert.equal(tokensOf(service).length, 1);
    });

    test(`an instance whose ${item} is refused or missing keeps all other facts`, async (t) => {
      const replies: readonly (() => Reply | Promise<Reply>)[] = [
        ...[204, 302, 401, 403, 500].map((status) => () => ({ status, body: '' })),
        () => new Promise<Reply>(() => {}),
      ];
      await Promise.all(
        replies.map(async (reply) => {
          const isItem = (path: string) => path.endsWith(`/${item}`);
          const { ask } = await open(
            t,
            (request) => (isItem(request.path) ? reply() : imds()(request)),
            new Patient(({ pathname }) => isItem(pathname)),
          );
          assert.deepEqual(await ask(), { ...FACTS, [fact]: undefined });
        }),
      );
    });
  }

  test('an answer that is not an address, or not a launch index, counts as none', async (t) => {
    for (const text of ['network/', '203.0.113', '203.0.113.7\n', '2001:db8::1', '', '<html>']) {
      const { ask } = await open(t, imds({ ...METADATA, 'public-ipv4': text, 'ami-launch-index': text }));
      assert.deepEqual(await ask(), { ...FACTS, publicIpv4: undefined, amiLaunchIndex: undefined }, text);
    }
  });

  test('each request to the metadata service may take a second', async (t) => {
    const http = new Patient();
    const { ask } = await open(t, imds(), http);
    assert.deepEqual(await ask(), FACTS);
    assert.deepEqual(new Set(http.given), new Set([1000]));
  });

  test('an item that the metadata service does not know causes an error that names it', async (t) => {
    const needed = Object.keys(METADATA).filter((item) => !(item in OPTIONAL));
    assert.equal(needed.length, 4);
    await Promise.all(
      needed.map(async (item) => {
        const { [item]: _, ...items } = METADATA;
        await assertUnavailable(await open(t, imds(items)), new RegExp(`it does not know ${item};`));
      }),
    );
  });

  test('an item of an invalid form is refused', async (t) => {
    const garbage = [
      '<html>\n<p>Not found</p>\n</html>',
      'two words',
      'line\n',
      '',
      'ümlaut',
      'x'.repeat(513),
      'network/',
    ];
    await Promise.all(
      garbage.map(async (text, number) => {
        const item = number % 2 === 0 ? 'instance-id' : 'placement/region';
        const asked = await open(t, imds({ ...METADATA, [item]: text }));
        await assertUnavailable(asked, new RegExp(`${item} returned an unexpected value`));
      }),
    );
  });

  test('an item with another status is refused', async (t) => {
    await Promise.all(
      [204, 302, 403, 500].map(async (status) => {
        const asked = await open(t, (request) =>
          request.path.endsWith('/instance-type') ? { status, body: '' } : imds()(request),
        );
        await assertUnavailable(asked, new RegExp(`instance-type returned status ${status}`));
      }),
    );
  });

  test('metadata is requested three times at most', async (t) => {
    const asked = await open(t);
    asked.service.fault = '500';
    await assertUnavailable(asked, /api\/token returned status 500/);
    assert.equal(tokensOf(asked.service).length, 3);
  });

  test('metadata that arrives at the last attempt is used', async (t) => {
    let attempts = 0;
    const { service, ask } = await open(t, (request) => {
      if (isToken(request)) attempts += 1;
      return attempts < 3 ? { status: 503, body: '' } : imds()(request);
    });
    assert.deepEqual(await ask(), FACTS);
    assert.equal(tokensOf(service).length, 3);
  });

  test('a request that hangs is abandoned for the next attempt', async (t) => {
    let attempts = 0;
    const reply = (request: Request) =>
      isToken(request) && ++attempts === 1 ? new Promise<Reply>(() => {}) : imds()(request);
    const { service, ask } = await open(t, reply, new Patient((_, number) => number === 1));
    assert.deepEqual(await ask(), FACTS);
    assert.equal(tokensOf(service).length, 2);
  });

  for (const fault of ['resets', 'garbage', 'floods', 'refuses'] as const) {
    test(`metadata is not available from a service with the fault "${fault}"`, async (t) => {
      const asked = await open(t, imds(), new HttpClient());
      asked.service.fault = fault;
      await assertUnavailable(asked, /; check that the metadata service is enabled for this instance$/);
    });
  }

  test('an expired session token is replaced', async (t) => {
    let given = 0;
    const { service, ask } = await open(t, (request) => {
      if (isToken(request)) return { status: 200, body: `token-${++given}` };
      if (request.headers[TOKEN] !== 'token-2') return { status: 401, body: '' };
      return imds()({ ...request, headers: { ...request.headers, [TOKEN]: 'session-token==' } });
    });
    assert.deepEqual(await ask(), FACTS);
    assert.equal(tokensOf(service).length, 2);
  });

  test('a caller that aborts stops waiting for metadata, even while a request hangs', async (t) => {
    const { service, ask } = await open(t);
    service.fault = 'hangs';
    const enough = new Error('enough');
    const abort = new AbortController();
    const facts = assert.rejects(ask(abort.signal), (error) => error === enough);
    await service.request(isToken);
    abort.abort(enough);
    await facts;
    await assert.rejects(ask(abort.signal), (error) => error === enough);
    assert.equal(service.requests.length, 1);
  });

  test('a caller that aborts stops waiting for metadata between two attempts', async (t) => {
    const answered = Promise.withResolvers<void>();
    class Watched extends HttpClient {
      override async ask(url: URL, question: Question): Promise<Answer> {
        const answer = await super.ask(url, question);
        answered.resolve();
        return answer;
      }
    }
    const { service, ask } = await open(t, () => ({ status: 500, body: '' }), new Watched());
    const abort = new AbortController();
    let letGo = false;
    const facts = assert.rejects(ask(abort.signal)).then(() => {
      letGo = true;
    });
    await answered.promise;
    await allElseHasRun();
    abort.abort();
    await allElseHasRun();
    assert.equal(letGo, true);
    await facts;
    assert.equal(service.requests.length, 1);
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Exchange } from '../../ecs-agent-bridge/docker-proxy/connection.ts';
import { Lost } from '../../ecs-agent-bridge/docker-proxy/engine.ts';
import { eventsHandlerOf } from '../../ecs-agent-bridge/docker-proxy/held-events.ts';
import { parseRequest } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { ProxyBench } from '../support/docker-proxy-bench.ts';
import { type Peer, PING, takenOf, turns } from '../support/docker-proxy-peers.ts';
import { scan } from '../support/docker-proxy-pieces.ts';

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
const FILTERS = '{"type":["container"],"event":["die","start"]}';
/** With filters, so that Docker is not asked which containers have ended meanwhile. */
const EVENTS = '/v1.44/events?filters={}';
/** Later than any run of this test, in nanoseconds. */
const LATER = 4_000_000_000_000_000_000n;

function open() {
  return ProxyBench.open({ handlerOf: (engine) => (request) => eventsHandlerOf(engine, request) });
}

function requestFor(target: string, method = 'GET') {
  return parseRequest(
    Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: docker\r\nUser-Agent: Test\r\n\r\n`),
  );
}

/** An event in Docker's form; it contains text that a container chooses. */
function event(number: number): string {
  const Attributes = { note: `"timeNano":${LATER * 2n}`, timeNano: '5' };
  const actor = JSON.stringify({ ID: `id-${number}`, Attributes });
  return `{"Type":"container","Actor":${actor},"time":4000000000,"timeNano":${LATER + BigInt(number)}}\n`;
}

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

/** The events that a client received, complete and partial ones. */
function toldTo(client: Peer): string {
  assert.ok(client.text.startsWith(HEAD), client.text);
  return scan('chunked', [client.text.slice(HEAD.length)]).data;
}

async function follow(bench: ProxyBench, target: string): Promise<[Peer, Peer]> {
  const [client, engine] = await bench.ask(String(requestFor(target).bytes));
  assert.equal(engine.text, String(requestFor(target).bytes));
  engine.say(HEAD);
  await client.hear(HEAD);
  return [client, engine];
}

function sinceOf(asked: string): string {
  return new URL(asked.split(' ')[1] ?? '', 'http://docker').searchParams.get('since') ?? '';
}

async function restarted(bench: ProxyBench): Promise<Peer> {
  const index = bench.engines.length;
  bench.stopEngine();
  await turns();
  await bench.startEngine();
  return await bench.engine(index);
}

suite('a stream of events', { timeout: 60_000 }, () => {
  test('begins with its head, before there is an event', async () => {
    await using bench = await open();
    const [client] = await follow(bench, EVENTS);
    assert.equal(client.text, HEAD);
  });

  test('continues where it stopped when Docker is back, with the same filters', async () => {
    await using bench = await open();
    const [client, first] = await follow(bench, `/v1.44/events?filters=${encodeURIComponent(FILTERS)}&x=1`);
    first.say(chunk(event(1)) + chunk(event(3) + event(2)));
    await client.hear('id-2');
    const second = await restarted(bench);
    const asked = await second.hear('\r\n\r\n');
    const [, target = ''] = asked.split(' ');
    const url = new URL(target, 'http://docker');
    assert.equal(url.pathname, '/v1.44/events');
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      filters: FILTERS,
      x: '1',
      since: '4000000000.000000004',
    });
    assert.match(asked, /\r\nHost: docker\r\nUser-Agent: Test\r\n\r\n$/);
    second.say(HEAD + chunk(event(4)));
    await client.hear('id-4');
    assert.equal(toldTo(client), event(1) + event(3) + event(2) + event(4));
    assert.equal(bench.losses, 0);
  });

  test('has each event complete and once, wherever Docker breaks it off', async () => {
    const said = chunk(event(1)) + chunk(event(2));
    const first = chunk(event(1)).length;
    for (const cut of [
      1,
      3,
      first - 20,
      first - 3,
      first - 2,
      first,
      first + 60,
      said.length - 3,
      said.length - 2,
    ]) {
      await using bench = await open();
      const [client, engine] = await follow(bench, EVENTS);
      engine.say(said.slice(0, cut));
      await turns();
      const told = scan('chunked', [said.slice(0, cut)]).data.split('\n').length - 1;
      const next = await restarted(bench);
      const since = sinceOf(await next.hear('\r\n\r\n'));
      if (told > 0) assert.equal(since, `4000000000.00000000${told + 1}`, `cut at ${cut}`);
      const rest = [event(1), event(2), event(3)].slice(told).join('');
      next.say(HEAD + chunk(rest.slice(0, 20)) + chunk(rest.slice(20, -7)));
      await turns();
      next.say(chunk(rest.slice(-7)));
      await client.hear(`"timeNano":${LATER + 3n}`);
      await client.hear('}\n\r\n');
      assert.equal(toldTo(client), event(1) + event(2) + event(3), `cut at ${cut}`);
    }
  });

  test('does not end when Docker ends it', async () => {
    await using bench = await open();
    const [client, first] = await follow(bench, EVENTS);
    first.say(`${chunk(event(1))}0\r\n\r\n`);
    const second = await bench.engine(1);
    second.say(HEAD + chunk(event(2)));
    await client.hear('id-2');
    assert.equal(toldTo(client), event(1) + event(2));
    assert.ok(client.isOpen);
  });

  test('continues from the moment of the request if no event has arrived', async () => {
    const before = Date.now();
    await using bench = await open();
    await follow(bench, EVENTS);
    const after = Date.now();
    const second = await restarted(bench);
    const since = Number(sinceOf(await second.hear('\r\n\r\n'))) * 1000;
    assert.ok(before <= since && since <= after + 1, String(since));
  });

  test('that begins in the past continues there if Docker breaks off its past', async () => {
    await using bench = await open();
    const [client, first] = await follow(bench, '/events?since=1000');
    const past = (seconds: number) => `{"Type":"container","timeNano":${seconds}000000007}\n`;
    const second = await restarted(bench);
    assert.equal(sinceOf(await second.hear('\r\n\r\n')), '1000');
    second.say(HEAD + chunk(past(1001)));
    await client.hear('1001');
    const third = await restarted(bench);
    assert.equal(sinceOf(await third.hear('\r\n\r\n')), '1001.000000008');
    assert.ok(first.text.includes('since=1000 '));
  });

  test('is silent while Docker does not answer properly, and then continues', async () => {
    await using bench = await open();
    const [client] = await follow(bench, EVENTS);
    const answers = [
      'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}',
      'nonsense\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\n',
    ];
    bench.stopEngine();
    await turns();
    await bench.startEngine();
    for (const [i, answer] of answers.entries()) {
      const engine = await bench.engine(1 + i);
      await engine.hear('\r\n\r\n');
      engine.say(answer);
      await engine.ended();
    }
    const engine = await bench.engine(1 + answers.length);
    engine.say(HEAD + chunk(event(1)));
    await client.hear('id-1');
    assert.equal(toldTo(client), event(1));
  });

  test('applies back-pressure to Docker if its client does not read', async () => {
    await using bench = await open();
    const [client, engine] = await follow(bench, EVENTS);
    client.socket.pause();
    const line = `{"timeNano":${LATER},"x":"${'x'.repeat(10_000)}"}\n`;
    const all = engine.pour(Buffer.from(chunk(line).repeat(3000)));
    assert.ok((await takenOf(engine)) < 4 * 1024 * 1024);
    client.socket.resume();
    await all;
    await client.hearBytes(line.length * 3000);
    engine.say(chunk(event(1)));
    await client.hear('id-1');
    assert.equal(toldTo(client), line.repeat(3000) + event(1));
  });
});

suite('answers that are passed on unchanged', { timeout: 60_000 }, () => {
  test('events until a given moment, and other calls', async () => {
    for (const [method, target] of [
      ['GET', '/events?until=1'],
      ['GET', '/events?filters=a?b&until=1'],
      ['GET', '/v1.44/events?since=0&until=2026-01-01T00:00:00Z'],
      ['POST', '/events'],
      ['HEAD', '/events'],
      ['GET', '/containers/events/json'],
      ['GET', '/events/'],
      ['GET', '//'],
      ['GET', '//host/events'],
      ['GET', 'http://['],
      ['GET', '*'],
    ] as const) {
      assert.equal(eventsHandlerOf('/nowhere', requestFor(target, method)), undefined, `${method} ${target}`);
    }
    assert.ok(eventsHandlerOf('/nowhere', requestFor('/events?until=')));
    assert.ok(eventsHandlerOf('/nowhere', requestFor('/v1.44/events?since=0')));
  });

  test('a stream of events that Docker refuses', async () => {
    await using bench = await open();
    const [client, engine] = await bench.ask(String(requestFor('/events?filters=x').bytes));
    const refusal = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 17\r\n\r\n{"message":"bad"}';
    engine.say(refusal);
    assert.equal(await client.hear('"bad"}'), refusal);
    client.say(PING);
    await (await bench.engine(1)).hear(PING);
  });

  test('the refusal of a stream while Docker is away', async () => {
    await using bench = await ProxyBench.open({
      isAway: true,
      handlerOf: (engine) => (request) => eventsHandlerOf(engine, request),
    });
    const client = await bench.dial();
    client.say(requestFor(EVENTS).bytes);
    assert.match(await client.ended(), /^HTTP\/1\.1 503 /);
    assert.equal(bench.losses, 1);
  });
});

suite('a client that closes its stream of events', { timeout: 60_000 }, () => {
  test("causes Docker's stream to be closed", async () => {
    await using bench = await open();
    const [client, engine] = await follow(bench, EVENTS);
    client.socket.end();
    await engine.ended();
    await engine.refused();
    await client.closed();
  });

  test('ends the stream while Docker is away', async () => {
    await using bench = await open();
    const [client] = await follow(bench, EVENTS);
    bench.stopEngine();
    await turns();
    client.socket.end();
    await client.closed();
    assert.equal(bench.losses, 0);
  });

  test('ends the stream at the moment at which Docker is reached', async () => {
    await using bench = await ProxyBench.open();
    const gone = new AbortController();
    const exchange: Partial<Exchange> = {
      request: requestFor(EVENTS),
      signal: gone.signal,
      reply: () => Promise.resolve(false),
    };
    const handle = eventsHandlerOf(bench.enginePath, requestFor(EVENTS));
    assert.ok(handle);
    const ended = assert.rejects(handle(exchange as Exchange), Lost);
    gone.abort();
    const engine = await bench.engine();
    engine.say(HEAD);
    await engine.ended();
    await engine.refused();
    await ended;
  });
});

/** The stream on the data channel, over a network that loses, duplicates, delays and reorders messages. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../src/session/agent-message.ts';
import { CLIENT_END, MessageStream, type StreamEnd } from '../../src/session/message-stream.ts';
import { MESSAGE, PAYLOAD } from '../../src/session/payloads.ts';
import { VirtualTimers } from '../support/virtual-timers.ts';

const AGENT_END: StreamEnd = { incoming: CLIENT_END.outgoing, outgoing: CLIENT_END.incoming };

/** The delays in milliseconds after which one transmission arrives, one for each arrival. */
type Fate = readonly number[];

/** Fates from a list. After the list, the network works, so that nothing is lost for ever. */
function fates(list: readonly Fate[]): () => Fate {
  let count = 0;
  return () => list[count++] ?? [1];
}

class Peer {
  readonly got: string[] = [];
  readonly stream: MessageStream;
  readonly sent: Buffer[] = [];
  reason: string | undefined;
  isLost = false;
  other: Peer | undefined;

  constructor(clock: VirtualTimers, end: StreamEnd, fate: () => Fate = () => [1]) {
    this.stream = new MessageStream({
      ...end,
      timers: clock,
      transmit: (bytes) => {
        this.sent.push(bytes);
        for (const delay of fate()) clock.schedule(delay, () => this.other?.stream.receive(bytes));
      },
      deliver: (type, payload) => this.got.push(`${type} ${Buffer.from(payload).toString()}`),
      closed: (reason) => {
        this.reason = reason;
      },
      lost: () => {
        this.isLost = true;
      },
    });
  }
}

function pair(clock: VirtualTimers, there?: () => Fate, back?: () => Fate): [Peer, Peer] {
  const [client, agent] = [new Peer(clock, CLIENT_END, there), new Peer(clock, AGENT_END, back)];
  [client.other, agent.other] = [agent, client];
  return [client, agent];
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `${PAYLOAD.output} ${i}`);

function sendNumbers(peer: Peer, count: number): void {
  for (let i = 0; i < count; i++) void peer.stream.send(PAYLOAD.output, Buffer.from(String(i)));
}

test('under loss, duplication and reordering, each side gets each message once and in order', () => {
  const fate = fc.array(fc.nat({ max: 400 }), { maxLength: 3 });
  const list = fc.array(fate, { maxLength: 500, size: 'max' });
  fc.assert(
    fc.property(list, list, fc.nat({ max: 60 }), fc.nat({ max: 60 }), (there, back, inputs, outputs) => {
      const clock = new VirtualTimers();
      const [client, agent] = pair(clock, fates(there), fates(back));
      sendNumbers(client, inputs);
      sendNumbers(agent, outputs);
      const isQuiet = () => client.stream.unacknowledged + agent.stream.unacknowledged === 0;
      clock.runUntil(isQuiet);
      assert.ok(isQuiet() && !client.isLost && !agent.isLost);
      assert.deepEqual(agent.got, numbered(inputs));
      assert.deepEqual(client.got, numbered(outputs));
    }),
    { numRuns: 200 },
  );
});

test('an unacknowledged message is resent with increasing delays, and abandoned after five minutes', () => {
  const clock = new VirtualTimers();
  const times: number[] = [];
  const [client] = pair(clock, () => {
    times.push(clock.now());
    return [];
  });
  sendNumbers(client, 1);
  clock.runUntil(() => client.isLost);
  const pauses = times.slice(1).map((time, i) => time - (times[i] as number));
  assert.ok(pauses.every((pause, i) => i === 0 || pause >= (pauses[i - 1] as number)));
  assert.ok((pauses[0] as number) <= 200 && pauses.at(-1) === 5_000, String(pauses));
  assert.ok(clock.now() > 300_000 && clock.now() < 310_000);
});

test('a lost acknowledgement is sent again', () => {
  const clock = new VirtualTimers();
  let acknowledgements = 0;
  const [client, agent] = pair(clock, undefined, () => (++acknowledgements === 1 ? [] : [1]));
  sendNumbers(client, 1);
  clock.runUntil(() => client.stream.unacknowledged === 0);
  assert.equal(acknowledgements, 2);
  assert.deepEqual(agent.got, numbered(1));
});

test('while publication is paused, only acknowledgements are sent, and everything else afterwards', () => {
  const clock = new VirtualTimers();
  const [client, agent] = pair(clock);
  const tell = (type: string) =>
    client.stream.receive(encodeMessage({ ...decodeMessage(agent.sent[0] as Buffer), type }));
  sendNumbers(agent, 1);
  tell(MESSAGE.pause);
  sendNumbers(client, 3);
  clock.runUntil(() => agent.stream.unacknowledged === 0);
  assert.deepEqual(
    client.sent.map((bytes) => decodeMessage(bytes).type),
    [MESSAGE.acknowledge],
  );
  assert.ok(!clock.step(), 'no timer runs');
  tell(MESSAGE.start);
  clock.runUntil(() => client.stream.unacknowledged === 0);
  assert.deepEqual(agent.got, numbered(3));
});

test('messages that were sent without a socket arrive over the next one', () => {
  const clock = new VirtualTimers();
  const [client, agent] = pair(clock);
  sendNumbers(client, 2);
  client.stream.disconnected();
  void client.stream.send(PAYLOAD.output, Buffer.from('2'));
  client.stream.connected();
  clock.runUntil(() => client.stream.unacknowledged === 0);
  assert.deepEqual(agent.got, numbered(3));
});

test('a sender waits while 64 messages are unacknowledged', async () => {
  const clock = new VirtualTimers();
  const [client, agent] = pair(clock);
  let finished = 0;
  const sending = (async () => {
    for (let i = 0; i < 100; i++) {
      await client.stream.send(PAYLOAD.output, Buffer.from(String(i)));
      finished += 1;
    }
  })();
  await new Promise(setImmediate);
  assert.equal(finished, 63);
  while (finished < 100) {
    clock.step();
    await new Promise(setImmediate);
  }
  await sending;
  const flushed = client.stream.flushed();
  clock.runUntil(() => client.stream.unacknowledged === 0);
  await flushed;
  assert.deepEqual(agent.got, numbered(100));
});

test('up to 10,000 messages that arrive early are kept, and further ones are not acknowledged', () => {
  const clock = new VirtualTimers();
  const client = new Peer(clock, CLIENT_END);
  const [first] = [
    encodeMessage({
      type: MESSAGE.output,
      createdAt: 1,
      sequence: 0,
      flags: 1,
      id: ID,
      payloadType: 1,
      payload: Buffer.from('0'),
    }),
  ];
  for (let sequence = 1; sequence <= 10_001; sequence++)
    client.stream.receive(encodeMessage({ ...decodeMessage(first), sequence }));
  assert.equal(client.sent.length, 10_000);
  client.stream.receive(first);
  assert.equal(client.got.length, 10_001);
});

const ID = 'dd01e56b-ff48-483e-a508-b5f073f31b16';

test('the error for a closed channel contains the reason', () => {
  const client = new Peer(new VirtualTimers(), CLIENT_END);
  const payload = Buffer.from(JSON.stringify({ SessionId: 's', Output: 'Session timed out.' }));
  client.stream.receive(
    encodeMessage({
      type: MESSAGE.closed,
      createdAt: 1,
      sequence: 0,
      flags: 0,
      id: ID,
      payloadType: 0,
      payload,
    }),
  );
  assert.equal(client.reason, 'Session timed out.');
});

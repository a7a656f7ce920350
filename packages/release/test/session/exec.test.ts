/** ECS Exec with a simulated service, whose agent runs real programs on a real terminal. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { PAYLOAD } from '../../src/session/payloads.ts';
import { exec, service } from '../support/exec-world.ts';
import { pipes, Terminal } from '../support/session-streams.ts';

/** A network that loses a tenth of the messages, duplicates a tenth, and delays some. */
function badNetwork(): () => readonly number[] {
  let count = 0;
  return () => {
    count += 1;
    const kind = (count * 7) % 10;
    if (kind === 3) return [];
    if (kind === 6) return [0, 30];
    return kind === 9 ? [25] : [0];
  };
}

test('a command without a terminal returns its output unchanged, and its exit code', async () => {
  await using there = await service();
  const streams = pipes();
  const code = await exec(there, ['sh', '-c', 'echo "a  b"; echo error >&2; exit 7'], streams);
  assert.equal(code, 7);
  assert.equal(streams.stdout.text, 'a  b\nerror\n');
  const [call] = there.calls.filter(({ action }) => action === 'ExecuteCommand');
  assert.equal(call?.body.interactive, true);
  assert.equal(call?.body.container, 'app');
});

test('a single argument with spaces is run as a line of shell', async () => {
  await using there = await service();
  const streams = pipes();
  assert.equal(await exec(there, [`printf '%s\\n' "it's" $((1 + 1)); false`], streams), 1);
  assert.equal(streams.stdout.text, "it's\n2\n");
});

test('input of any bytes arrives unchanged, and so does its end', async () => {
  await using there = await service();
  const input = Buffer.concat([randomBytes(100_001), Buffer.from([4, 3, 26, 13, 10])]);
  const streams = pipes(input);
  assert.equal(await exec(there, ['sha256sum'], streams), 0);
  assert.equal(streams.stdout.text, `${createHash('sha256').update(input).digest('hex')}  -\n`);
});

test('large output arrives complete over a network that loses, repeats and reorders messages, even with a slow reader', async () => {
  await using there = await service();
  there.fate = badNetwork();
  const streams = pipes('');
  streams.stdout.slowness = 1;
  assert.equal(await exec(there, ['seq', '20000'], streams), 0);
  const isWhole = streams.stdout.text === Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
  assert.ok(isWhole, `${streams.stdout.text.length} characters came`);
});

test('on a terminal, all keys including Ctrl-C and each new size reach the program, and the terminal is restored afterwards', async () => {
  await using there = await service();
  const terminal = new Terminal();
  terminal.stdout.columns = 101;
  const session = exec(
    there,
    ['trap "echo caught" INT; echo ready; while :; do read line || continue; eval "$line"; done'],
    terminal,
  );
  await terminal.stdout.until(/ready/);
  terminal.keys.write('stty size\r');
  await terminal.stdout.until(/24 101/);
  assert.deepEqual(terminal.raw, [true]);
  terminal.keys.write('\x03');
  await terminal.stdout.until(/caught/);
  terminal.resize(132, 50);
  terminal.keys.write('stty size\r');
  await terminal.stdout.until(/50 132/);
  terminal.keys.write('exit 5\r');
  assert.equal(await session, 5);
  assert.deepEqual(terminal.raw, [true, false]);
  assert.ok(!terminal.stdout.text.includes('\x1e'), 'no mark is shown');
});

test('a lost connection is resumed with a new token, and nothing is lost or repeated', async () => {
  await using there = await service();
  const streams = pipes('');
  const session = exec(
    there,
    ['sh', '-c', 'for i in $(seq 60); do echo $i; sleep 0.02; done; exit 3'],
    streams,
  );
  await streams.stdout.until(/^20$/m);
  there.cut();
  await streams.stdout.until(/^40$/m);
  there.cut();
  assert.equal(await session, 3);
  assert.equal(streams.stdout.text, Array.from({ length: 60 }, (_, i) => `${i + 1}\n`).join(''));
  assert.equal(there.opened.length, 3);
  assert.match(String(there.opened[2]?.TokenValue), /^next token/);
});

test('if an agent reports the exit code and stderr separately, they are used', async () => {
  await using there = await service();
  there.agent = () => ({
    sessionType: 'NonInteractiveCommands',
    start: (agent) => {
      agent.output(PAYLOAD.stderr, Buffer.from('to stderr\n'));
      agent.output(PAYLOAD.exitCode, Buffer.from('EXIT_CODE: 42'));
      return { input: () => {}, stop: () => {} };
    },
  });
  const streams = pipes('');
  assert.equal(await exec(there, ['x'], streams, { hasShell: false }), 42);
  assert.equal(streams.stderr.text, 'to stderr\n');
});

test('an agent that sends no handshake is supported', async () => {
  await using there = await service();
  const choose = there.agent;
  there.agent = (call) => ({ ...choose(call), hasHandshake: false });
  const streams = pipes('');
  assert.equal(await exec(there, ['sh', '-c', 'echo old; exit 4'], streams), 4);
  assert.equal(streams.stdout.text, 'old\n');
});

test('a session that KMS encrypts sends nothing as plain text', async () => {
  await using there = await service();
  const choose = there.agent;
  there.agent = (call) => ({ ...choose(call), key: there.key });
  const seen: Buffer[] = [];
  there.observe = (bytes) => seen.push(bytes);
  const { ecs, ssm, kms } = there;
  const streams = pipes('the input');
  const clients = { ecs, ssm, kms: async () => kms };
  assert.equal(await exec(there, ['sh', '-c', 'cat; echo " and output"; exit 3'], streams, { clients }), 3);
  assert.equal(streams.stdout.text, 'the input and output\n');
  const wire = Buffer.concat(seen).toString('latin1');
  assert.ok(!wire.includes('and output') && !wire.includes(Buffer.from('the input').toString('base64')));
  const call = there.calls.find(({ action }) => action === 'GenerateDataKey');
  assert.deepEqual(call?.body.EncryptionContext, {
    'aws:ssm:SessionId': 'session-1',
    'aws:ssm:TargetId': 'ecs:c_1111aaaa_app-1',
  });
  const { ProcessedClientActions: [, action] = [] } = (there.agents[0]?.response ?? {}) as Record<
    string,
    { ActionResult: object }[]
  >;
  assert.deepEqual(action?.ActionResult, { KMSCipherTextKey: Buffer.from('ciphertext').toString('base64') });
});

test('input waits while the service pauses publication', async () => {
  await using there = await service();
  const terminal = new Terminal();
  const session = exec(there, ['sh', '-c', 'echo ready; read line; echo "got $line"'], terminal);
  await terminal.stdout.until(/ready/);
  const [agent] = there.agents;
  await agent?.flushed();
  agent?.control('pause_publication');
  // Messages of a socket arrive in order, so a client that shows this text has received the pause.
  agent?.output(PAYLOAD.output, Buffer.from('paused'));
  await terminal.stdout.until(/paused/);
  const before = agent?.inputs.length;
  terminal.keys.write('hello\r');
  for (const word of ['still', 'waiting']) {
    agent?.output(PAYLOAD.output, Buffer.from(word));
    await terminal.stdout.until(new RegExp(word));
  }
  await agent?.flushed();
  assert.equal(agent?.inputs.length, before);
  agent?.control('start_publication');
  assert.equal(await session, 0);
  assert.match(terminal.stdout.text, /got hello/);
});

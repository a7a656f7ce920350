/** ECS Exec against a stand-in of the service, with an agent that runs real programs on a real terminal. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type ExecOptions, execInTask } from '../../src/session/exec.ts';
import { PAYLOAD } from '../../src/session/payloads.ts';
import { SessionService } from '../support/session-service.ts';
import { pipes, Terminal } from '../support/session-streams.ts';

const never = new AbortController().signal;

function task(id: string, containers: readonly object[] = [container('app')]): object {
  return {
    taskArn: `arn:aws:ecs:us-east-1:1:task/c/${id}`,
    taskDefinitionArn: 'arn:aws:ecs:us-east-1:1:task-definition/app:7',
    lastStatus: 'RUNNING',
    enableExecuteCommand: true,
    containers,
  };
}

function container(name: string): object {
  const managedAgents = [{ name: 'ExecuteCommandAgent', lastStatus: 'RUNNING' }];
  return { name, lastStatus: 'RUNNING', runtimeId: `${name}-1`, managedAgents };
}

async function service(): Promise<SessionService> {
  const started = await SessionService.start();
  started.tasks = [task('1111aaaa')];
  return started;
}

function exec(
  { ecs, ssm }: SessionService,
  words: readonly string[],
  streams: ExecOptions['streams'],
  more: Partial<ExecOptions> = {},
): Promise<number> {
  const scope = { cluster: 'c' };
  const defaults = { clients: { ecs, ssm }, scope, wish: {}, isInteractive: true, signal: never };
  return execInTask({ ...defaults, words, streams, ...more });
}

/** A network that loses a tenth, repeats a tenth, and delays some. */
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

test('a command without a terminal gives its output as it is, and its exit code', async () => {
  await using there = await service();
  const streams = pipes();
  const code = await exec(there, ['sh', '-c', 'echo "a  b"; echo error >&2; exit 7'], streams);
  assert.equal(code, 7);
  assert.equal(streams.stdout.text, 'a  b\nerror\n');
  const [call] = there.calls.filter(({ action }) => action === 'ExecuteCommand');
  assert.equal(call?.body.interactive, true);
  assert.equal(call?.body.container, 'app');
});

test('one word with blanks is a line for the shell', async () => {
  await using there = await service();
  const streams = pipes();
  assert.equal(await exec(there, [`printf '%s\\n' "it's" $((1 + 1)); false`], streams), 1);
  assert.equal(streams.stdout.text, "it's\n2\n");
});

test('input of any bytes arrives unchanged, and its end too', async () => {
  await using there = await service();
  const input = Buffer.concat([randomBytes(100_001), Buffer.from([4, 3, 26, 13, 10])]);
  const streams = pipes(input);
  assert.equal(await exec(there, ['sha256sum'], streams), 0);
  const { createHash } = await import('node:crypto');
  assert.equal(streams.stdout.text, `${createHash('sha256').update(input).digest('hex')}  -\n`);
});

test('much output arrives whole over a network that loses, repeats and reorders, through a slow reader', async () => {
  await using there = await service();
  there.fate = badNetwork();
  const streams = pipes('');
  streams.stdout.slowness = 1;
  assert.equal(await exec(there, ['seq', '20000'], streams), 0);
  const isWhole = streams.stdout.text === Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
  assert.ok(isWhole, `${streams.stdout.text.length} characters came`);
});

test('on a terminal keys go to the program, Ctrl-C and the size too, and the terminal is as it was afterwards', async () => {
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

test('a lost connection is resumed with a new token, and nothing is lost or doubled', async () => {
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

test('a session that is over cannot be resumed, and that is told', async () => {
  await using there = await service();
  const streams = pipes('');
  const session = exec(there, ['sh', '-c', 'echo ready; sleep 100'], streams);
  await streams.stdout.until(/ready/);
  there.fail = (action) => (action === 'ResumeSession' ? 'DoesNotExistException' : undefined);
  there.cut();
  await assert.rejects(session, { problem: 'closed', message: /the session is over/ });
});

test('a session that the service closes tells its reason', async () => {
  await using there = await service();
  const terminal = new Terminal();
  const session = exec(there, ['cat'], terminal);
  await terminal.stdout.until(/^/);
  while (there.agents[0]?.response === undefined) await new Promise(setImmediate);
  terminal.keys.write('x\r');
  await terminal.stdout.until(/x/);
  there.agents[0]?.close('Session timed out after 20 minutes of inactivity.');
  await assert.rejects(session, {
    problem: 'closed',
    message: /ended before the command did: Session timed out after 20 min/,
  });
  assert.deepEqual(terminal.raw, [true, false]);
});

test('an image without a shell is told, and runs a command without one', async () => {
  await using there = await service();
  there.agent = () => ({
    sessionType: 'InteractiveCommands',
    start: (agent) => {
      agent.output(
        PAYLOAD.output,
        Buffer.from('Unable to start command: exec: "sh": executable file not found in $PATH\r\n'),
      );
      void agent.flushed().then(() => agent.close(''));
      return { input: () => {}, stop: () => {} };
    },
  });
  await assert.rejects(exec(there, ['/app'], pipes('')), {
    message: /did not start: Unable to start command.*without a shell/,
  });
  assert.equal(await exec(there, ['/app', '--version'], pipes(''), { hasShell: false }), 0);
  assert.equal(there.calls.at(-1)?.body.command, '/app --version');
});

test('an agent that tells exit code and stderr apart is believed', async () => {
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

test('an agent without a handshake is understood', async () => {
  await using there = await service();
  const choose = there.agent;
  there.agent = (call) => ({ ...choose(call), hasHandshake: false });
  const streams = pipes('');
  assert.equal(await exec(there, ['sh', '-c', 'echo old; exit 4'], streams), 4);
  assert.equal(streams.stdout.text, 'old\n');
});

test('a session that KMS encrypts carries nothing in the clear', async () => {
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

test('when KMS gives no key, the session ends with what to do', async () => {
  await using there = await service();
  const choose = there.agent;
  there.agent = (call) => ({ ...choose(call), key: there.key });
  there.fail = (action) => (action === 'GenerateDataKey' ? 'AccessDeniedException' : undefined);
  const { ecs, ssm, kms } = there;
  const session = exec(there, ['true'], pipes(''), { clients: { ecs, ssm, kms: async () => kms } });
  await assert.rejects(session, {
    problem: 'unsupported',
    message: /you need kms:GenerateDataKey on key\/1/,
  });
  const { ProcessedClientActions: [, action] = [] } = (there.agents[0]?.response ?? {}) as Record<
    string,
    { ActionStatus: number }[]
  >;
  assert.equal(action?.ActionStatus, 2);
});

test('while the service pauses the publication, input waits', async () => {
  await using there = await service();
  const terminal = new Terminal();
  const session = exec(there, ['sh', '-c', 'echo ready; read line; echo "got $line"'], terminal);
  await terminal.stdout.until(/ready/);
  const [agent] = there.agents;
  await agent?.flushed();
  agent?.control('pause_publication');
  const before = agent?.inputs.length;
  await new Promise((resolve) => there.agents[0] && setTimeout(resolve, 50));
  terminal.keys.write('hello\r');
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(agent?.inputs.length, before);
  agent?.control('start_publication');
  assert.equal(await session, 0);
  assert.match(terminal.stdout.text, /got hello/);
});

test('an abort ends the session at the service too, and restores the terminal', async () => {
  await using there = await service();
  const terminal = new Terminal();
  const stop = new AbortController();
  const session = exec(there, ['sh', '-c', 'echo ready; sleep 100'], terminal, { signal: stop.signal });
  await terminal.stdout.until(/ready/);
  stop.abort(new Error('stopped by the test'));
  await assert.rejects(session, /stopped by the test/);
  assert.equal(there.calls.at(-1)?.action, 'TerminateSession');
  assert.deepEqual(terminal.raw, [true, false]);
});

test('a refusal of ExecuteCommand is told with its cause', async () => {
  await using there = await service();
  there.fail = (action) => (action === 'ExecuteCommand' ? 'TargetNotConnectedException' : undefined);
  await assert.rejects(exec(there, ['true'], pipes('')), {
    problem: 'setup',
    message: /task role allows ssmmessages:CreateControlChannel/,
  });
  there.fail = (action) => (action === 'ExecuteCommand' ? 'AccessDeniedException' : undefined);
  await assert.rejects(exec(there, ['true'], pipes('')), {
    problem: 'setup',
    message: /you need ecs:ExecuteCommand/,
  });
});

test('who may not open a data channel by name opens it by its token alone', async () => {
  await using there = await service();
  there.refuse = ({ authorization }) => (authorization === undefined ? undefined : 403);
  const { signedHeaders } = await import('../../src/session/sign-request.ts');
  const headers = signedHeaders('us-east-1', async () => ({
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'x',
  }));
  const { ecs, ssm } = there;
  assert.equal(await exec(there, ['sh', '-c', 'exit 9'], pipes(''), { clients: { ecs, ssm, headers } }), 9);
  assert.match(
    there.requests[0]?.authorization ?? '',
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/ssmmessages/,
  );
  there.refuse = () => 403;
  await assert.rejects(exec(there, ['true'], pipes('')), {
    problem: 'connection',
    message: /status 403.*ssmmessages:OpenDataChannel/,
  });
});

test('where several containers fit, a person is asked and a script is not', async () => {
  await using there = await service();
  there.tasks = [task('1111aaaa', [container('app'), container('proxy')])];
  await assert.rejects(exec(there, ['true'], pipes('')), { problem: 'target', message: /1111aaaa {2}proxy/ });
  const terminal = new Terminal();
  const session = exec(there, ['sh', '-c', 'exit 6'], terminal);
  await terminal.stderr.until(/Which one/);
  terminal.keys.write('2\r');
  assert.equal(await session, 6);
  assert.equal(there.calls.find(({ action }) => action === 'ExecuteCommand')?.body.container, 'proxy');
});

/** Failures of commands in containers, and the ends of their sessions. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAYLOAD } from '../../src/session/payloads.ts';
import { signedHeaders } from '../../src/session/sign-request.ts';
import { container, exec, service, task } from '../support/exec-world.ts';
import { pipes, Terminal } from '../support/session-streams.ts';

test('the error for a session that has ended says that it cannot be resumed', async () => {
  await using there = await service();
  const streams = pipes('');
  const session = exec(there, ['sh', '-c', 'echo ready; sleep 100'], streams);
  await streams.stdout.until(/ready/);
  there.fail = (action) => (action === 'ResumeSession' ? 'DoesNotExistException' : undefined);
  there.cut();
  await assert.rejects(session, { problem: 'closed', message: /the session has ended/ });
});

test("if the service closes a session, the error contains the service's reason", async () => {
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

test('the error for an image without a shell says how to run a command without one', async () => {
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

test('if KMS provides no key, the session ends with an error that says what to do', async () => {
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

test('an abort terminates the session at the service too, and restores the terminal', async () => {
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

test('if ECS refuses ExecuteCommand, the error names the cause', async () => {
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

test("a caller without the right to open a data channel opens it with the session's token alone", async () => {
  await using there = await service();
  there.refuse = ({ authorization }) => (authorization === undefined ? undefined : 403);
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

test('if several containers match, a person on a terminal is asked, and a script gets an error', async () => {
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

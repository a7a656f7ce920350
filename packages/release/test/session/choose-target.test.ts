/** The choice of a container, and the reasons why ECS Exec cannot run in it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseTarget, execProblem, type Target } from '../../src/session/choose-target.ts';

function target(taskId: string, container = 'app', more: Partial<Target> = {}): Target {
  return {
    cluster: 'c',
    taskArn: `arn:aws:ecs:us-east-1:1:task/c/${taskId}`,
    taskId,
    definition: 'app:7',
    startedAt: undefined,
    container,
    runtimeId: 'r',
    isExecEnabled: true,
    agent: { status: 'RUNNING', reason: undefined },
    ...more,
  };
}

const all = [
  target('1111aaaa'),
  target('1111aaaa', 'proxy'),
  target('2222bbbb'),
  target('2222bbbb', 'proxy'),
];

test('a container is chosen only if it is the only one that matches', () => {
  const one = chooseTarget([target('1111aaaa')], {});
  assert.deepEqual(one, { kind: 'one', target: target('1111aaaa') });
  assert.deepEqual(chooseTarget(all, { task: '2222', container: 'proxy' }), { kind: 'one', target: all[3] });
  assert.deepEqual(chooseTarget(all, { task: all[0]?.taskArn, container: 'app' }), {
    kind: 'one',
    target: all[0],
  });
  assert.deepEqual(chooseTarget(all, { container: 'app' }), { kind: 'several', targets: [all[0], all[2]] });
});

test('if no container matches, the error lists the running ones', () => {
  assert.throws(() => chooseTarget([], {}), /no task is running/);
  assert.throws(
    () => chooseTarget(all, { task: '3333' }),
    /no running task has the id 3333.*1111aaaa {2}app/s,
  );
  assert.throws(() => chooseTarget(all, { task: '2' }), /no running task has the id 2;/);
  assert.throws(
    () => chooseTarget(all, { container: 'db' }),
    /no running task has a container db.*2222bbbb {2}proxy/s,
  );
});

test('if ECS Exec cannot reach a container, the error says why and what to do', () => {
  assert.equal(execProblem(target('1')), undefined);
  assert.match(execProblem(target('1', 'app', { isExecEnabled: false })) ?? '', /set enableExecuteCommand/);
  assert.match(execProblem(target('1', 'app', { agent: undefined })) ?? '', /no ExecuteCommandAgent/);
  const agent = { status: 'STOPPED', reason: 'no rights' };
  assert.match(
    execProblem(target('1', 'app', { agent })) ?? '',
    /STOPPED \(no rights\).*ssmmessages:CreateControlChannel/,
  );
  assert.match(
    execProblem(target('1', 'app', { agent: { ...agent, status: 'PENDING' } })) ?? '',
    /still starting/,
  );
});

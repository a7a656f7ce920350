/** Builds in CodeBuild, with a simulated API. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { Clients } from '../src/aws/clients.ts';
import { buildRemotely, remoteBuildOf } from '../src/images/remote-build.ts';
import { UNLOCKED } from '../src/release/work.ts';
import { JsonAws } from './support/json-aws.ts';
import { hurriedClock, LogStore } from './support/log-store.ts';

const logs = { groupName: '/build', streamName: 'one' };

/** A build that has these states one after another, and keeps the last one. */
async function world(states: readonly object[]) {
  const [aws, store, stop] = [await JsonAws.start(), new LogStore(), new AbortController()];
  const told: string[] = [];
  let looks = 0;
  aws.actions = {
    GetLogEvents: store.getLogEvents,
    StartBuild: () => ({ build: { id: 'images:1' } }),
    BatchGetBuilds: () => {
      store.add('one', `line ${looks}`);
      return { builds: [states[Math.min(looks++, states.length - 1)]] };
    },
  };
  const codebuild = new CodeBuildClient(aws.settings);
  const clients = { codebuild: async () => codebuild, logs: async () => aws.logs } as unknown as Clients;
  const work = {
    ...{ clock: hurriedClock(), held: UNLOCKED, signal: stop.signal },
    timing: { timeout: 60_000, poll: 2000, failures: 2 },
    tell: ({ text }: { readonly text: string }) => void told.push(text),
  };
  const image = { repository: 'portal', remote: { project: 'images', environment: { BUILD_PATH: 'src' } } };
  const build = remoteBuildOf(image, 'blue', 'c0ffee', { environment: { IMAGE_TAG: 'green' } });
  const dispose = async () => {
    codebuild.destroy();
    await aws[Symbol.asyncDispose]();
  };
  const run = () => buildRemotely(clients, work, 'portal', build, 'once');
  return { aws, told, stop, run, [Symbol.asyncDispose]: dispose };
}

test('a remote build gets the commit and its overrides, and prints its phases and its log', async () => {
  await using there = await world([
    { currentPhase: 'PROVISIONING', buildStatus: 'IN_PROGRESS' },
    { currentPhase: 'BUILD', buildStatus: 'IN_PROGRESS', logs },
    { currentPhase: 'COMPLETED', buildStatus: 'SUCCEEDED', logs },
  ]);
  assert.equal(await there.run(), 'images:1');
  const { body } = there.aws.calls.find(({ action }) => action === 'StartBuild') ?? { body: {} };
  assert.deepEqual(body, {
    ...{ projectName: 'images', idempotencyToken: 'once', sourceVersion: 'c0ffee' },
    environmentVariablesOverride: [
      { name: 'IMAGE_REPO_NAME', value: 'portal', type: 'PLAINTEXT' },
      { name: 'IMAGE_TAG', value: 'green', type: 'PLAINTEXT' },
      { name: 'BUILD_PATH', value: 'src', type: 'PLAINTEXT' },
    ],
  });
  for (const text of ['portal: PROVISIONING', 'portal: BUILD', 'portal: line 0', 'portal: line 2'])
    assert.ok(there.told.includes(text), `${text} in ${there.told.join()}`);
});

test('the error for a failed remote build shows its phase, its reason and its last lines', async () => {
  const contexts = [{ message: 'Error while executing command: docker build. Reason: exit status 1' }];
  const phases = [
    { phaseType: 'INSTALL', phaseStatus: 'SUCCEEDED' },
    { phaseType: 'BUILD', phaseStatus: 'FAILED', contexts },
    { phaseType: 'COMPLETED' },
  ];
  await using there = await world([{ currentPhase: 'COMPLETED', buildStatus: 'FAILED', phases, logs }]);
  await assert.rejects(
    there.run(),
    /build images:1 of portal ended with FAILED in BUILD: Error while executing command: docker build\. Reason: exit status 1$/,
  );
  assert.ok(there.told.includes('portal: line 0'));
});

test('an abort stops the remote build', async () => {
  await using there = await world([{ currentPhase: 'BUILD', buildStatus: 'IN_PROGRESS', logs }]);
  const { BatchGetBuilds = () => ({}) } = there.aws.actions;
  there.aws.actions = {
    ...there.aws.actions,
    BatchGetBuilds: (body) => {
      there.stop.abort();
      return BatchGetBuilds(body);
    },
  };
  await assert.rejects(there.run());
  assert.deepEqual(there.aws.calls.at(-1), { action: 'StopBuild', body: { id: 'images:1' } });
});

/** The hand-over of a node: its old container runs until the new one has written a file. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf } from '../../managed-nodes/docker/labels.ts';
import { Looking } from '../../managed-nodes/docker/look.ts';
import { decide } from '../../managed-nodes/plan/decide.ts';
import { plan } from '../../managed-nodes/plan/plan.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { whyUnusable } from '../../managed-nodes/spec/unusable.ts';
import type { Conduct } from '../support/conduct.ts';
import { ModelDocker, wantedOf } from '../support/nodes-model.ts';

const OLD: NodeSpec = { name: 'web', image: 'app:1' };
const NEW: NodeSpec = { ...OLD, image: 'app:2', update: { order: 'hand-over', deadline: 60 } };
const FILE = '/tmp/hand-over-complete';

/** In the model, only a container with a health check writes the file, after five seconds. */
function replacing(conduct: Conduct) {
  const docker = new ModelDocker(wantedOf([NEW]), new Map([['app:2', conduct]]));
  docker.put(OLD, 'healthy');
  const begin = () => {
    while (docker.round());
    return decide(docker.world, 'web');
  };
  return { docker, begin };
}

function stepsOf({ steps }: ModelDocker): string {
  return steps.map((step) => step.do).join(' ');
}

test('in a hand-over, the old container runs until the new one has written its file', () => {
  const { docker, begin } = replacing('healthy');
  const { state, cause } = begin() ?? {};
  assert.deepEqual([state, cause], ['checking', `the old container runs until the new one writes ${FILE}`]);
  assert.equal(stepsOf(docker), 'pull create start');
  const started = docker.now;
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep stop remove promote');
  assert.ok(docker.now - started < 10_000, 'it does not wait for the deadline');
  assert.equal(decide(docker.world, 'web')?.state, 'running');
});

test('a new container that writes no file replaces the old one at the deadline', () => {
  const { docker, begin } = replacing('runs');
  begin();
  const started = docker.now;
  docker.settle();
  assert.equal(stepsOf(docker), 'pull create start keep stop remove promote');
  assert.ok(docker.now - started >= 60_000);
});

test('a new container that fails before it writes its file is rejected, and the old one keeps running', () => {
  for (const conduct of ['exits', 'unhealthy'] as const) {
    const { docker } = replacing(conduct);
    docker.settle();
    assert.equal(stepsOf(docker).includes('keep'), false);
    assert.deepEqual(
      [...docker.containers.values()].map(({ rank, state }) => [rank, state]),
      [['current', 'running']],
    );
    assert.equal(decide(docker.world, 'web')?.state, 'reverted');
  }
});

test('if no old container runs, the service does not wait for the file', () => {
  const docker = new ModelDocker(wantedOf([NEW]), new Map([['app:2', 'runs']]));
  const begin = docker.now;
  docker.settle();
  assert.equal(decide(docker.world, 'web')?.state, 'running');
  assert.ok(docker.now - begin < 20_000);
});

test('the plan of a hand-over contains one wait', () => {
  const { docker } = replacing('healthy');
  const steps = plan(docker.world).map((step) => step.do);
  assert.deepEqual(steps, ['pull', 'create', 'start', 'wait', 'keep', 'stop', 'remove', 'promote']);
});

test('a node with a fixed host port cannot use hand-over', () => {
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  assert.match(String(whyUnusable({ ...NEW, ports })), /^update\.order must not be hand-over/);
  assert.equal(whyUnusable({ ...NEW, ports: [{ containerPort: 80 }] }), undefined);
  const handOverFile = 'relative';
  assert.match(String(whyUnusable({ ...NEW, update: { order: 'hand-over', handOverFile } })), /pattern/);
});

/** A candidate in a hand-over, and an Engine that answers whether its file exists. */
function lookingAt(answer: () => Promise<unknown>) {
  const owner = { hostId: 'h', app: 'demo' };
  const labelled = { node: 'web', hash: 'a', digest: 'd', ports: [], labelId: 'one', handOverFile: FILE };
  const listed = {
    ...{ Id: 'id', Names: ['/web.next'], ImageID: 'i', State: 'running', Status: 'Up', Ports: [] },
    Labels: labelsOf(owner, labelled),
  };
  const State = { StartedAt: '', FinishedAt: '', ExitCode: 0, Status: 'running' };
  const asked: string[] = [];
  const api = {
    listContainers: async () => [listed],
    getContainer: () => ({
      inspect: async () => ({ State, HostConfig: {} }),
      infoArchive: ({ path }: { readonly path: string }) => {
        asked.push(path);
        return answer();
      },
    }),
  };
  const docker = {
    call: (_: string, __: number, work: (signal: AbortSignal, given: object) => unknown) =>
      work(new AbortController().signal, api),
    labelsOfImage: async () => ({}),
  };
  return { looking: new Looking(docker as never, owner), asked };
}

test('the service looks for the hand-over file in the new container, and an error counts as a missing file', async () => {
  const destroyed: string[] = [];
  const headers = { 'x-docker-container-path-stat': 'e30=' };
  const answer = { headers, destroy: () => void destroyed.push(FILE) };
  const found = lookingAt(async () => answer);
  const handOver = async ({ looking }: typeof found) => (await looking.look()).of('web')[0]?.handOver;
  assert.deepEqual(await handOver(found), { file: FILE, isComplete: true });
  assert.deepEqual([found.asked, destroyed], [[FILE], [FILE]]);
  for (const error of [new Error('no answer'), Object.assign(new Error('not there'), { statusCode: 404 })]) {
    const failing = lookingAt(() => Promise.reject(error));
    assert.deepEqual(await handOver(failing), { file: FILE, isComplete: false });
  }
});

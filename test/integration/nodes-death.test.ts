/**
 * Kills the service at each step of a replacement, after which the next service continues. Also tests the commands
 * about nodes.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite, RUNS } from '../support/node-site.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');

const { host, registry } = await hostForNodes();

test('if a service is killed at any step of a replacement, the next service completes it', async () => {
  const site = new NodeSite(host);
  const web = (round: number): NodeSpec => ({
    name: 'web',
    image: registry.addScript('mortal', `${RUNS} # ${round}`, undefined, `v${round}`),
    environment: { ROUND: String(round) },
    ports: [{ containerPort: 80, hostPort: 18_082 }],
    update: { healthyAfter: 0.2 },
  });
  site.write([web(0)]);
  let service = await site.start();
  await site.until('web', 'running');
  for (const [i, step] of ['pull', 'create', 'stop', 'start', 'keep', 'remove', 'promote'].entries()) {
    const { Id } = await site.inspect('web');
    site.write([web(i + 1)]);
    await service.line(
      ({ msg, step: found }) => msg === 'a step of a node' && (found as { do: string }).do === step,
    );
    assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
    service = await site.start();
    await site.until('web', 'running', /^as wanted$/);
    const { Id: now, Config } = await site.inspect('web');
    assert.notEqual(now, Id, step);
    assert.ok(Config.Env.includes(`ROUND=${i + 1}`), step);
    assert.deepEqual(await site.names(), ['web'], step);
  }
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('what a service that was killed had begun to write is removed by the next one', async () => {
  const site = new NodeSite(host);
  site.write([]);
  const state = join(site.root, 'var/lib/ecs-host-service/nodes');
  mkdirSync(join(state, 'receipts'), { recursive: true, mode: 0o700 });
  const drafts = ['.images.json', 'receipts/.web.0123456789ab.json'].map((name) =>
    join(state, `${name}.${randomUUID()}.tmp`),
  );
  for (const draft of drafts) writeFileSync(draft, '{');
  const service = await site.start();
  await service.line(({ msg }) => msg === 'the feed wants these nodes');
  for (const draft of drafts) assert.equal(existsSync(draft), false, draft);
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('the nodes commands list nodes, print their output and run programs in them', async () => {
  const site = new NodeSite(host);
  site.write([{ name: 'web', image: registry.addScript('typed', RUNS), update: { healthyAfter: 0.2 } }]);
  const service = await site.start();
  await site.until('web', 'running');
  const run = (...words: string[]) => {
    const env = { PATH: process.env.PATH, ROOT: site.root };
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'nodes', ...words], {
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  assert.match(run('list').stdout, /^NODE +STATE .*\nweb +running .* as wanted\n$/);
  assert.equal(run('plan').stdout, 'There is nothing to do.\n');
  assert.match(run('explain', 'web').stdout, /^state +running since /m);
  assert.deepEqual(run('logs', 'web'), { status: 0, stdout: 'began\n', stderr: '' });
  const typed = run('exec', 'web', '/bin/busybox', 'sh', '-c', 'echo in $HOSTNAME; exit 5');
  assert.deepEqual([typed.status, typed.stdout.trim()], [5, 'in web']);
  const unknown = run('explain', 'nobody');
  assert.equal(unknown.status, 1);
  assert.match(
    unknown.stderr,
    /there is no node nobody here; list the nodes with "ecs-host-service nodes list"/,
  );
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

/** An operator follows the output of a managed node, and works in it, from the command line. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { NodeSite } from '../support/node-site.ts';
import { Person } from '../support/person.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');
const QUICK = { healthyAfter: 0.2 };
/** A shell that prints a line at its start, and one at its end. */
const SCRIPT =
  '/bin/busybox ln -s busybox /bin/sh; trap "echo last; exit 0" TERM; echo began; while :; do /bin/busybox sleep 1; done';

const { host, registry } = await hostForNodes();

function at(root: string, ...words: readonly string[]): Person {
  const env = { PATH: process.env.PATH as string, ROOT: root };
  return new Person(process.execPath, [...NODE_FLAGS, PROGRAM, 'nodes', ...words], { env });
}

test("an operator follows a node's output to its end, and works in a terminal in it", async () => {
  const site = new NodeSite(host);
  const web = { name: 'web', image: registry.addScript('manned', SCRIPT), update: QUICK };
  site.write([web]);
  const service = await site.start();
  await site.until('web', 'running');
  const follower = at(site.root, 'logs', '-f', 'web');
  await follower.sees(/^began\r\n/);
  const person = at(site.root, 'exec', '-it', 'web');
  await person.sees(/# /);
  person.type('echo $HOSTNAME $((6 * 7)); /bin/busybox stty size\r');
  await person.sees(/\nweb 42\r\n24 80\r\n/);
  person.resize(100, 30);
  person.type('until [ "$(/bin/busybox stty size)" = "30 100" ]; do /bin/busybox sleep 0.1; done; ');
  person.type('echo sa""id > /proc/1/fd/1\r');
  await follower.sees(/^said\r\n/);
  person.type('exit 7\r');
  assert.equal(await person.ended(), 7);
  const cut = at(site.root, 'exec', '-it', 'web', 'sh');
  await cut.sees(/# /);
  site.write([{ ...web, stopped: true }]);
  await follower.sees(/^last\r\n$/);
  assert.equal(await follower.ended(), 0);
  assert.notEqual(await cut.ended(), 0, 'a terminal ends with its node');
  await site.until('web', 'stopped');
  assert.deepEqual((await site.operator.get('/v1/terminals')).body.terminals, []);
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0);
  await site.clear();
});

test('in an upgrade of the service, a program in a terminal of a node keeps running, and its client attaches again', async () => {
  const site = new NodeSite(host);
  site.write([{ name: 'web', image: registry.addScript('upgraded', SCRIPT), update: QUICK }]);
  const service = await site.start({}, []);
  await site.until('web', 'running');
  const { container } = await site.view('web');
  const person = at(site.root, 'exec', '-it', 'web');
  await person.sees(/# /);
  person.type('stayed=here; echo re""ady\r');
  await person.sees(/ready\r\n.*# /);
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  person.type('echo "still $stayed"; exit 7\r');
  await person.sees(/still here\r\n/);
  assert.equal(await person.ended(), 7);
  assert.equal((await site.until('web', 'running')).container, container, 'it is the same container');
  site.write([]);
  await site.until('web', 'unknown');
  assert.equal(await service.stop(), 0, service.log());
  await site.clear();
});

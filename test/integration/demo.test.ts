import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { TestHost } from '../support/test-host.ts';

test('the demo starts Docker if it is not running, and shows two containers from start to end', async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /container A: ready\. Its program found tty 10, port 32262, DPI 96, timeout 60 s/);
  assert.match(stdout, /container B: ready\. Its program found tty 11, port \d+, DPI 192, timeout 60 s/);
  assert.match(
    stdout,
    /container B: its program tried to open its own console: opened; another container's console: operation not permitted/,
  );
  assert.match(stdout, /container A: the service has released everything that it held/);
  assert.match(stdout, /the service has exited with code 0/);
  assert.match(stdout, /^(\d{2}) resources were allotted, and \1 were released: nothing is left\.$/m);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

test('the demo of user configs shows files that outlive their container and an outage of S3', async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo-configs.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /container A: its user config is new; marks that earlier containers left in it: 0/);
  assert.match(stdout, /S3 becomes unreachable/);
  assert.match(
    stdout,
    /container B: its user config is restored; marks that earlier containers left in it: 1/,
  );
  assert.match(
    stdout,
    /container C: its user config is restored; marks that earlier containers left in it: 2/,
  );
  assert.match(stdout, /the service has exited with code 0\. The bucket contains:/);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

test("the demo of the bridge shows Docker's command line making a container that a label makes interactive", async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo-bridge.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /\$ docker run .*--label ecs-host-service\.interactive=true .*\n[0-9a-f]{64}\n/);
  assert.match(stdout, /32262\/tcp -> 0\.0\.0\.0:\d+/);
  assert.match(stdout, /the container is ready: tty 10, DPI 96;\n.* its own console: opened;/);
  assert.match(stdout, /another container's console: operation not permitted/);
  assert.match(stdout, /docker exec returned exit code 7/);
  assert.match(stdout, /cannot be restarted/);
  assert.match(stdout, /role docker, app demo; it ended with code 0/);
  const [, allotted, gone] = /(\d+) resources were allotted, and (\d+) were released\./.exec(stdout) ?? [];
  assert.ok(Number(allotted) >= 10, 'ports, a console and directories');
  assert.equal(gone, allotted);
  assert.match(stdout, /the service has exited with code 0/);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

test('the demo of the command line shows containers being created, listed, watched, stopped and reviewed', async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo-operator.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  const [first, second] = [...stdout.matchAll(/^([0-9a-f]{12}) +[0-9a-f]{12} +running .* demo /gm)].map(
    ([, id]) => id,
  );
  assert.match(stdout, new RegExp(`\\$ ecs-host-service ps\n(.*\n)*${first} .* ready .*\n`));
  assert.match(stdout, /\$ ecs-host-service capacity\n(.*\n)*Room for \d+ more containers/);
  assert.match(stdout, /^\/dev\/pts\/\d+\r\n(.*\r\n)*DPI: \d+\r\n(.*\r\n)*tty: \d+\r$/m);
  const looksBack = (id = '', why = '') =>
    new RegExp(`^${id}[0-9a-f]{48} \\(demo\\)\n( {2}.*\n)* {2}ended .*: ${why}$`, 'm');
  assert.match(stdout, looksBack(first, 'an operator stopped it'));
  assert.match(stdout, looksBack(second, 'it ended with code 137'));
  // Its port's health, if it ran long enough for a check.
  const codesOf = (id = '') =>
    [...stdout.matchAll(new RegExp(`^\\[events\\] .* ${id} .* {2}([a-z-]+) {2}`, 'gm'))]
      .map(([, code]) => code)
      .filter((code) => !code?.startsWith('port-'));
  assert.deepEqual(codesOf(first), ['created', 'started', 'assigned', 'furnished', 'operator', 'released']);
  assert.deepEqual(codesOf(second), ['begun', 'created', 'started', 'exited', 'released']);
  assert.match(stdout, /the service has exited with code 0/);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

test('the demo of nodes shows an edit, a rollback, a restart of the service, and an unmanaged container', async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo-nodes.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^web +running .*demo\/good +as wanted\nworker +running /m);
  assert.match(stdout, /^rejected +\S+: it exited with code 7\n {2}\| cannot find my config$/m);
  assert.match(stdout, /the restart of the service did not affect them/);
  assert.match(
    stdout,
    /^other +blocked .*the name other belongs to a container that this service did not make/m,
  );
  assert.match(stdout, /the service left that container alone/);
  assert.match(stdout, /^STEP +NODE +DO +REJECTED\n1 +w\w+ +pull$/m);
  assert.match(stdout, /^ +web +it exited with code 7$/m);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

test('the demo of the web console shows a host at an address that works once, until Ctrl-C', async () => {
  const host = new TestHost();
  const program = join(import.meta.dirname, '../../scripts/demo-console.ts');
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    url = /(http:\/\/127\.0\.0\.1:\d+\/console\/open\?\S+)/.exec(line)?.[1];
    if (url) break;
  }
  assert.ok(url, 'the demo prints an address');
  const open = () => fetch(url, { redirect: 'manual' }).then(({ status }) => status);
  assert.deepEqual([await open(), await open()], [303, 403]);
  child.kill('SIGINT');
  assert.equal((await once(child, 'exit'))[0], 0);
  assert.equal(await host.dockerAnswers(), false, 'Docker was stopped again');
});

/** What happens to terminals when something else ends: the container, the service, its process, its place. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TERMINAL } from '../../docker-engine/terminal-processes.ts';
import { hasVariable, type ProcessIdentity, processesThat } from '../../host/processes.ts';
import { claim } from '../support/callers.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { Operator } from '../support/operator.ts';
import { containerOn, importShellImage } from '../support/shell-image.ts';
import { TerminalClient } from '../support/terminal-client.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** Processes of terminals, anywhere. */
function processesIn(terminal: string): Promise<ProcessIdentity[]> {
  return processesThat((pid) => hasVariable(pid, `${TERMINAL}=${terminal}`));
}

async function isInATerminal(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).includes(`${TERMINAL}=`);
}

async function begin(env: Record<string, string> = {}) {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ...env } }).ready();
  const id = await containerOn(root);
  return { root, service, id, operator: new Operator(root) };
}

/** With a program in it that a hang-up alone does not end. */
async function openTerminal(root: string, id: string): Promise<TerminalClient> {
  const client = await TerminalClient.open(root, `/containers/${id}/terminal`);
  client.type('trap "" HUP; (trap "" HUP; sleep 1000) & echo read$((1 + 1))\r');
  await client.sees('read2');
  assert.ok((await processesIn(client.terminal)).length >= 2);
  return client;
}

test('when a container dies, its terminals end, and their clients are told', async () => {
  const { root, service, id, operator } = await begin();
  using client = await openTerminal(root, id);
  await host.docker.getContainer((await operator.get(`/v1/containers/${id}`)).body.docker).kill();
  const { type } = (await client.ended()) ?? {};
  assert.equal(type, 'ended');
  assert.deepEqual(await processesIn(client.terminal), []);
  await service.gone(id);
  const { resources } = (await operator.get(`/v1/containers/${id}/receipt`)).body;
  const receipted = resources.find(({ kind }: { kind: string }) => kind === 'terminal');
  assert.equal(receipted.what, client.terminal);
  assert.match(receipted.seen, /none of its processes runs|it ended with code 137/);
  assert.equal(await service.stop(), 0, service.log());
});

test('when the service is asked to stop, terminals end with their containers, and their clients are told', async () => {
  const { root, service, id } = await begin();
  using client = await openTerminal(root, id);
  assert.equal(await service.stop(), 0, service.log());
  assert.equal((await client.ended())?.type, 'ended');
  assert.deepEqual(await processesIn(client.terminal), []);
});

test('ending a terminal also ends programs that survive a hang-up', async () => {
  const { root, service, id, operator } = await begin();
  using client = await openTerminal(root, id);
  assert.equal((await operator.ask('POST', `/v1/terminals/${client.terminal}/end`)).status, 200);
  await client.ended();
  assert.deepEqual(await processesIn(client.terminal), []);
  assert.equal((await operator.ask('POST', `/v1/terminals/${client.terminal}/end`)).status, 404);
  assert.equal((await operator.get(`/v1/containers/${id}`)).body.state, 'running');
  assert.equal(await service.stop(), 0, service.log());
});

test('a killed service leaves no terminal behind, and the container in use keeps running', async () => {
  const { root, service, id } = await begin();
  const { port } = (await new Operator(root).get(`/v1/containers/${id}`)).body;
  await claim(service, port);
  using client = await openTerminal(root, id);
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  await client.until(() => client.isClosed);
  assert.ok((await processesIn(client.terminal)).length >= 2, 'Docker has ended them by itself');
  const next = await host.start({ env: { ROOT: root } }).ready();
  assert.deepEqual(await processesIn(client.terminal), []);
  assert.equal((await new Operator(root).get(`/v1/containers/${id}`)).body.state, 'ready');
  assert.deepEqual((await new Operator(root).get('/v1/terminals')).body, { terminals: [] });
  using again = await openTerminal(root, id);
  assert.equal(await next.stop(), 0, next.log());
  await again.ended();
});

test('an unused terminal ends, and its container keeps running', async () => {
  const { root, service, id, operator } = await begin({ TERMINAL_IDLE_SECONDS: '1' });
  // The shell may start more slowly than the terminal becomes unused.
  using client = await TerminalClient.open(root, `/containers/${id}/terminal`);
  assert.equal((await client.ended())?.type, 'ended');
  assert.deepEqual(await processesIn(client.terminal), []);
  assert.equal((await operator.get(`/v1/containers/${id}`)).body.state, 'running');
  assert.equal(await service.stop(), 0, service.log());
});

test('a container counts as in use while a client is at one of its terminals, and as idle after that', async () => {
  const { root, service, id, operator } = await begin({ IDLE_SECONDS: '1' });
  using events = await operator.follow();
  // Before the claim, after which it may be idle.
  using client = await openTerminal(root, id);
  await claim(service, (await operator.get(`/v1/containers/${id}`)).body.port);
  client.type("sleep 3; echo a''wake\r");
  await client.sees('awake');
  assert.equal((await operator.get(`/v1/containers/${id}`)).body.state, 'ready');
  client.socket.terminate();
  const last = (await events.until(({ container }) => container.state === 'gone')).find(
    ({ container }) => container.state === 'ending',
  );
  assert.equal(last?.code, 'idle');
  assert.equal(await service.stop(), 0, service.log());
});

test('a terminal that cannot be opened is answered with a problem, and acquires nothing', async () => {
  const { root, service, id, operator } = await begin({ TERMINALS_PER_CONTAINER: '1' });
  const refused = async (path: string, status: number) => {
    await assert.rejects(
      TerminalClient.open(root, path),
      new RegExp(`Unexpected server response: ${status}`),
      path,
    );
  };
  await refused('/containers/abcdef/terminal', 404);
  await refused(`/containers/${id}/terminal?columns=0`, 400);
  await refused(`/containers/${id}/terminal?user=a%20b`, 400);
  await refused(`/containers/${id}/terminal?unknown=1`, 400);
  await refused('/terminals/0123456789abcdef/attach', 404);
  await refused('/nothing', 404);
  assert.equal((await operator.get(`/v1/containers/${id}/terminal`)).status, 426);
  assert.equal((await operator.ask('POST', `/v1/containers/${id}/terminal`)).status, 405);
  using client = await openTerminal(root, id);
  await refused(`/containers/${id}/terminal`, 409);
  await refused(`/terminals/${client.terminal}/attach`, 409);
  await operator.ask('POST', `/v1/containers/${id}/stop`);
  await refused(`/containers/${id}/terminal`, 404);
  assert.equal(await service.stop(), 0, service.log());
});

test('a program that Docker started without being able to report it is ended too', async () => {
  // The faulty engine breaks a connection whose protocol changes, and Docker continues.
  await using engine = await FaultyEngine.open();
  const { root, service, id, operator } = await begin(engine.settings);
  const { docker: dockerId } = (await operator.get(`/v1/containers/${id}`)).body;
  const filters = { container: [dockerId], event: ['exec_start'] };
  const events = await host.docker.getEvents({ filters });
  const started = once(events, 'data', { signal: AbortSignal.timeout(60_000) });
  const before = await processesThat(isInATerminal);
  const command = 'command=sleep&command=1000';
  await assert.rejects(TerminalClient.open(root, `/containers/${id}/terminal?${command}`), /response: 50\d/);
  const [event] = await started;
  events.removeAllListeners().on('error', () => {});
  (events as Readable).destroy();
  const exec = host.docker.getExec(JSON.parse(event).Actor.Attributes.execID);
  while ((await exec.inspect()).Running) await pause(20);
  assert.deepEqual(await processesThat(isInATerminal), before);
  assert.deepEqual((await operator.get('/v1/terminals')).body, { terminals: [] });
  assert.equal(await service.stop(), 0, service.log());
});

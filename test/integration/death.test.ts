import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer, spinUp, startValues, token } from '../support/callers.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { START_STEPS } from '../support/start-steps.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

function startDying(...words: string[]): ServiceProcess {
  return host.start({ entry: 'dying-service.ts', arguments: words });
}

/** One unclaimed container and one in use. */
async function hostTwo(service: ServiceProcess): Promise<void> {
  await hostContainer(service);
  const port = await host.hostPort(await hostContainer(service));
  await startValues(service, port);
  await token(service, port);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`C32: on ${signal}, containers are ended, everything is released, and the exit code is 0`, async () => {
    const service = await host.start().ready();
    await hostTwo(service);
    assert.equal(await service.stop(signal), 0);
    const ended = service.lines.filter(({ msg }) => msg === 'container is gone');
    assert.equal(ended.length, 2);
    assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
  });
}

for (const [fault, words] of [
  ['throw', 'thrown on purpose'],
  ['rejection', 'rejected on purpose'],
] as const) {
  test(`C19, C23: after a ${fault} that nothing catches, everything is released, and the exit code is not 0`, async () => {
    const service = await startDying(fault).ready();
    await hostContainer(service);
    assert.equal(await service.stop('SIGURG'), 1);
    const fatal = service.lines.find(({ level }) => level === 'fatal');
    assert.equal(fatal?.msg, words);
    assert.match(JSON.stringify(fatal), /dying-service\.ts:\d+/, 'the log contains the stack');
  });
}

for (const step of START_STEPS) {
  test(`C20, C23: a start that fails at the step "${step}" releases everything that earlier steps acquired, and the exit code is not 0`, async () => {
    const service = startDying('step-fails', step);
    assert.equal(await service.ended(), 1);
    assert.equal(service.lines.find(({ level }) => level === 'fatal')?.msg, `${step} fails on purpose`);
  });

  test(`C22: a signal during the step "${step}" stops the service gracefully with exit code 0`, async () => {
    const service = startDying('step-waits', step);
    await service.waiting();
    service.child.kill('SIGTERM');
    await service.message('asked to stop');
    assert.equal(await service.stop('SIGURG'), 0, service.log());
  });
}

test('a start that waits for an event that can never happen fails like any crash', async () => {
  const service = startDying('stalls', 'https');
  assert.equal(await service.ended(), 1);
  assert.match(String(service.lines.find(({ level }) => level === 'fatal')?.msg), /nothing left to wait for/);
});

for (const kind of ['directory', 'port', 'tty', 'docker container']) {
  test(`C13, C16: a container that cannot get its ${kind} is answered with an error and leaves nothing behind`, async () => {
    const service = await startDying('taking-fails', kind).ready();
    const { status, body } = await spinUp(service);
    assert.deepEqual(
      [status, JSON.parse(body).error],
      [406, 'the service failed while it handled this request; see its log for the cause'],
    );
    assert.deepEqual(await host.docker.listContainers({ all: true }), []);
    assert.deepEqual(service.heldByContainers(), []);
    assert.equal((await service.get('/healthz')).status, 200);
    assert.equal(await service.stop(), 0);
  });
}

test('a container that exits as soon as it starts is answered with an error and leaves nothing behind', async () => {
  await host.importImage('fractal/short:1', ['exit', '3']);
  const service = await host.start().ready();
  const { status, body } = await spinUp(service, { app_image: 'fractal/short:1' });
  if (status === 200) await service.message('container is gone');
  else assert.match(body, /exited right after its start/);
  assert.equal((await startValues(service, 32262)).status, 406);
  assert.equal(await service.stop(), 0);
});

test('C16: a container whose program cannot be started is answered with an error and leaves nothing behind', async () => {
  await host.importImage('fractal/broken:1', [], '/not-there');
  const service = await host.start().ready();
  const { status, body } = await spinUp(service, { app_image: 'fractal/broken:1' });
  assert.equal(status, 406);
  assert.match(body, /Docker could not start the container: .*not-there/);
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  assert.deepEqual(service.heldByContainers(), []);
  assert.equal(await service.stop(), 0);
});

test('C18: during shutdown, calls are answered with 503, and a second signal does not shorten it', async () => {
  const service = await startDying('release-waits', 'tty').ready();
  await hostContainer(service);
  service.child.kill('SIGTERM');
  await service.line(({ msg, kind }) => msg === 'releasing' && kind === 'tty');
  for (const reply of [
    await spinUp(service),
    await startValues(service, 32262),
    await token(service, 32262),
  ]) {
    assert.deepEqual(
      [reply.status, JSON.parse(reply.body).error],
      [503, 'the host is stopping; use another host'],
    );
  }
  assert.equal((await service.get('/healthz')).status, 503);
  service.child.kill('SIGTERM');
  await service.line(
    ({ msg }) => msg === 'asked to stop',
    service.lines.findIndex(({ msg }) => msg === 'asked to stop') + 1,
  );
  assert.equal(await service.stop('SIGURG'), 0);
});

test('C17: a request in progress when the service is asked to stop is answered', async () => {
  const service = await host.start().ready();
  const request = spinUp(service);
  await service.message('taking', service.lines.length);
  service.child.kill('SIGTERM');
  assert.equal((await request).status, 200);
  assert.equal(await service.ended(), 0);
});

test('a handle that would keep the process alive is logged by name and closed, and the exit code is 1', async () => {
  const service = await startDying('handles').ready();
  assert.equal(await service.stop(), 1);
  const names = service.lines.flatMap(({ handle }) => (typeof handle === 'string' ? [handle] : []));
  assert.match(names.join('\n'), /Server .*127\.0\.0\.1/);
  assert.match(names.join('\n'), /Timeout of 60000 ms, leftOnPurpose/);
});

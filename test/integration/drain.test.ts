import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer, OK, spinUp, startValues, token } from '../support/callers.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const DRAINING =
  'the host is draining: it accepts no new containers and stops when its last one has ended; use another host';

async function drain(service: ServiceProcess): Promise<void> {
  const from = service.lines.length;
  service.child.kill('SIGUSR2');
  await service.message('asked to drain', from);
}

async function assertTakesNone(service: ServiceProcess): Promise<void> {
  const { status, body } = await spinUp(service);
  assert.deepEqual([status, JSON.parse(body)], [503, { result: '', error: DRAINING }]);
  const health = await service.get('/healthz');
  assert.deepEqual([health.status, JSON.parse(health.body).title], [503, 'service.draining']);
}

async function makeReady(service: ServiceProcess, port: number): Promise<void> {
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
}

test('a draining service accepts no containers, keeps existing ones working, and exits after the last one', async () => {
  const service = await host.start().ready();
  const [first, second] = [await hostContainer(service), await hostContainer(service)];
  const ids = [await host.containerIdOf(first), await host.containerIdOf(second)] as const;
  const port = await host.hostPort(second);
  await drain(service);
  await assertTakesNone(service);
  await makeReady(service, await host.hostPort(first));
  await host.docker.getContainer(first).kill();
  await service.gone(ids[0]);
  await drain(service);
  await assertTakesNone(service);
  await makeReady(service, port);
  await host.docker.getContainer(second).kill();
  assert.equal(await service.ended(), 0);
  await service.gone(ids[1]);
  const causes = service.lines.flatMap(({ to, cause }) => (to === 'ending' ? [cause] : []));
  assert.deepEqual(causes, Array(2).fill('it ended with code 137'));
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

test('a service without containers exits at once when it is drained', async () => {
  const service = await host.start().ready();
  assert.equal(await service.stop('SIGUSR2'), 0);
});

for (const step of ['lock', 'containers', 'heartbeats']) {
  test(`a service that is drained during the step "${step}" accepts no container, and exits after its start`, async () => {
    const service = host.start({ entry: 'dying-service.ts', arguments: ['step-waits', step] });
    await service.waiting();
    await drain(service);
    // Everything that requests need exists, and the start has not finished.
    if (step === 'heartbeats') await assertTakesNone(service);
    assert.equal(await service.stop('SIGURG'), 0);
    const done = service.lines.filter(({ msg }) => msg === 'step done');
    assert.equal(done.at(-1)?.step, 'heartbeats');
  });
}

test('a draining service stops normally on SIGTERM', async () => {
  const service = await host.start().ready();
  const id = await host.containerIdOf(await hostContainer(service));
  await drain(service);
  assert.equal(await service.stop(), 0);
  await service.gone(id);
  assert.ok(service.lines.some(({ cause }) => cause === 'asked to stop by SIGTERM'));
});

for (const [type, no, yes] of [
  ['string', 'False', 'True'],
  ['boolean', false, true],
] as const) {
  test(`the webserver learns at once that a host drains, as ${type}, and later that it stops`, async (t) => {
    const world = await World.open();
    t.after(() => world.close());
    const env = { ...world.settings, APP_ENV: 'localdev', DYING_HEARTBEAT: type };
    const service = await host.start({ env }).ready();
    const dockerId = await hostContainer(service);
    await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
    await drain(service);
    await world.webserver.request(({ body }) => JSON.parse(body).IsDraining === yes);
    await host.docker.getContainer(dockerId).kill();
    assert.equal(await service.ended(), 0);
    const beats = world.beats.filter(({ call }) => call === 'heartbeat').map(({ fields }) => fields);
    assert.deepEqual(
      beats.map(({ IsDyingHeartbeat, IsDraining }) => [IsDyingHeartbeat, IsDraining]),
      [
        [no, undefined],
        [no, yes],
        [yes, yes],
      ],
    );
  });
}

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { askTcp, host as hostContainer, make, startValues, token } from '../support/callers.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());

test('C1: 54 containers run at once, and the request for a 55th is told that all consoles are in use', async () => {
  const service = await host.start().ready();
  const ids = await Promise.all(Array.from({ length: 54 }, () => hostContainer(service)));
  const ports = await Promise.all(ids.map((id) => host.hostPort(id)));
  assert.equal(new Set(ports).size, 54);

  const { status, body } = await make(service);
  assert.equal(status, 503);
  assert.match(JSON.parse(body).detail, /all 54 virtual consoles .* in use; end a container/);

  const found = await Promise.all(
    ports.map(async (port) => {
      await startValues(service, port);
      await token(service, port);
      return await askTcp(port);
    }),
  );
  assert.deepEqual(
    found.map(({ port }) => Number(port)),
    ports,
  );
  assert.equal(new Set(found.map(({ tty }) => tty)).size, 54);
  assert.ok(
    found.every(({ ownConsole, otherConsole }) => ownConsole === 'opened' && otherConsole !== 'opened'),
  );

  const first = ids[0] as string;
  const id = await host.containerIdOf(first);
  await host.docker.getContainer(first).remove({ force: true });
  await service.gone(id);
  await hostContainer(service);

  assert.equal(await service.stop(), 0);
  await host.finish();
});

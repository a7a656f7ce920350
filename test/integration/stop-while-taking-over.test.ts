/** A service that takes a host over is asked to stop before it has adopted the containers, or just after. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Receiver } from '../support/receiver.ts';
import { hostTwo, running, Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const NOTIFY_SOCKET = '@stop-while-taking-over';
const STARTED_AGAIN = { NOTIFY_SOCKET, RESTART_STATUS: '79', FDSTORE: '512' };
const STOPPED = { SERVICE_RESULT: 'success', EXIT_CODE: 'exited', EXIT_STATUS: '0' };

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('a stop of a service that takes a host over ends all containers and leaves nothing', async (t) => {
  for (const step of ['host', 'nodes']) {
    await t.test(`before the step ${step}`, async () => {
      const site = new Site(host);
      await using _ = await Receiver.open(NOTIFY_SOCKET);
      const old = await site.run([], STARTED_AGAIN).ready();
      await hostTwo(host, old);
      assert.equal(await old.stop('SIGPWR'), 79, old.log());
      const service = host.start({
        entry: 'dying-service.ts',
        arguments: ['step-waits', step],
        env: { ROOT: site.root },
      });
      await service.wroteLike(/^waiting/);
      service.child.kill('SIGTERM');
      await service.line(({ msg }) => msg === 'ending');
      service.child.kill('SIGURG');
      assert.equal(await service.ended(), 0, service.log());
      await site.bury(STOPPED);
      assert.deepEqual(await running(host), []);
      await host.finish();
    });
  }
});

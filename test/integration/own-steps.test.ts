/** A service without containers that dies anywhere between its first and its last step. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** More steps than a service has. */
const MOST_STEPS = 200;

/** @returns how it died, and undefined if it survived */
async function dieAt(site: Site, ownStep: number): Promise<string | undefined> {
  const service = host.start({
    entry: '../chaos/dying.ts',
    arguments: [JSON.stringify({ way: 'SIGKILL', ownStep })],
    env: { ROOT: site.root },
    launcher: [],
  });
  await service.ready().then(
    () => service.child.kill('SIGTERM'),
    () => {},
  );
  await service.ended();
  return service.other.find((line) => line.startsWith('dying '));
}

test('if the service is killed at any step of its start or shutdown, bury leaves nothing behind', async () => {
  const site = new Site(host);
  let died = 0;
  for (let step = 1; step < MOST_STEPS; step++) {
    const what = await dieAt(site, step);
    assert.deepEqual(await host.filesBelow(site.root), [], `after ${what}`);
    if (!what) break;
    died += 1;
  }
  assert.ok(died > 20, `${died} deaths`);
});

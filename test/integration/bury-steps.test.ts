/** Whatever step of a bury run is its last, and however Docker fails, the next run continues. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { end, hostTwo, KILLED, running, Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** More steps than a bury run has. */
const MOST_STEPS = 20;

for (const moment of ['before', 'after'] as const) {
  test(`a bury run that is killed ${moment} any of its calls to Docker is continued by the next run`, async () => {
    await using engine = await FaultyEngine.open();
    const site = new Site(host, engine.settings);
    const service = await site.start();
    const { claimed } = await hostTwo(host, service);
    await site.kill(service);
    let isOver = false;
    let killed = 0;
    for (let last = 1; !isOver && last < MOST_STEPS; last++) {
      const bury = site.run(['bury'], KILLED);
      engine.calls = 0;
      engine[moment] = (call) => {
        if (call === last) bury.child.kill('SIGKILL');
      };
      isOver = (await bury.ended()) === 0;
      if (!isOver) killed++;
    }
    engine[moment] = () => {};
    assert.ok(isOver && killed > 1, `killed ${killed} times`);
    assert.deepEqual(await running(host), [claimed]);
    await site.waits();
    await end(host, claimed);
    await site.over();
  });
}

for (const [fault, told] of [
  ['fails', /Docker could not list the containers: .*failed on purpose/],
  ['hangs', /Docker does not answer at .*list the containers/],
] as const) {
  test(`if Docker ${fault}, bury reports the crash, fails with a message, and is continued by the next run`, async () => {
    await using engine = await FaultyEngine.open();
    const site = new Site(host, engine.settings);
    const service = await site.start();
    const { unclaimed, claimed } = await hostTwo(host, service);
    await site.kill(service);
    engine.fault = fault;
    const bury = site.run(['bury'], KILLED);
    assert.equal(await bury.ended(), 1);
    assert.match(bury.other.join(), told);
    assert.ok(bury.lines.some(({ level, msg }) => level === 'fatal' && /the service died/.test(String(msg))));
    assert.deepEqual(new Set(await running(host)), new Set([unclaimed, claimed]));
    engine.fault = undefined;
    await site.waits();
    assert.deepEqual(await running(host), [claimed]);
    await end(host, claimed);
    await site.over();
  });
}

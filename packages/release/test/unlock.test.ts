/** A lock that is taken from its holder, whether the holder is alive or dead. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf } from '../src/config/read.ts';
import type { Decide } from './support/connection.ts';
import { imagesOn, makeAlone, makeRelease, unlock } from './support/release-process.ts';
import { SimulatedAws } from './support/simulated-aws.ts';
import { randomOf, VirtualTime } from './support/virtual-time.ts';

const config = configOf(
  `
application: shop
stages: { live: { account: '123456789012', region: us-east-1, cluster: c, record: memory } }
images: { app: { repository: app } }
services:
  a: { service: a, gate: true, containers: { app: { image: app } } }
  b: { service: b, containers: { app: { image: app } } }
release: { timeout: 5m, poll: 5s }
`,
  'live',
  {},
  'test',
);

function makeAws(): SimulatedAws {
  const aws = new SimulatedAws(new VirtualTime(randomOf(1)));
  for (const name of ['a', 'b']) aws.addService(name, aws.addDefinition(name, 'old'));
  return aws;
}

const stateOf = (aws: SimulatedAws) => JSON.parse(aws.objects.get('shop/live/stage.json')?.text ?? '{}');
const NEVER: Decide = () => undefined;

test('a running release that is unlocked stops before anybody else gets the lock, and is rolled back', async () => {
  const aws = makeAws();
  let unlocked: Promise<string> | undefined;
  const decide: Decide = (name) => {
    if (name === 'UpdateService') unlocked ??= unlock(aws, 'person', NEVER);
    return undefined;
  };
  assert.equal(await makeAlone(aws, 'holder', { config, image: 'one', decide }), 'superseded');
  assert.equal(await unlocked, 'nothing to do');
  assert.deepEqual(aws.violations, []);
  assert.deepEqual([...imagesOn(aws)], ['one', 'old']);
  assert.deepEqual([stateOf(aws).lock, typeof stateOf(aws).inFlight], [undefined, 'string']);
  assert.equal(await makeAlone(aws, 'next', { config, image: 'two' }), 'deployed');
  assert.deepEqual([...imagesOn(aws)], ['two']);
});

test('unlock takes the lock of a dead process after a whole lease, or at once with --now', async () => {
  for (const isAtOnce of [false, true]) {
    const aws = makeAws();
    const decide: Decide = (name) => (name === 'UpdateService' ? 'die after' : undefined);
    void makeRelease(aws, 'dead', { config, image: 'one', decide });
    await aws.time.run();
    const begun = aws.time.now;
    const unlocked = unlock(aws, 'person', NEVER, isAtOnce);
    await aws.time.run();
    assert.equal(await unlocked, 'nothing to do');
    assert.equal(stateOf(aws).lock, undefined);
    assert.equal(aws.time.now - begun > 60_000, !isAtOnce);
  }
});

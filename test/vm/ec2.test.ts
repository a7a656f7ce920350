import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { isLook } from '../support/metadata.ts';
import { METADATA } from '../support/world.ts';
import { GuestHost } from './guest-host.ts';
import { show } from './unit-service.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('a host that is EC2 by its DMI registers with what the metadata service says, and says goodbye', async () => {
  assert.equal(readFileSync('/sys/class/dmi/id/sys_vendor', 'utf8').trim(), 'Amazon EC2');
  const { world } = host;
  const service = await host.start({ APP_ENV: 'dev' });
  await world.webserver.request(({ path }) => path === '/host_service/heartbeat');
  const [auth, first] = world.beats;
  assert.deepEqual(auth?.fields, {
    InstanceID: METADATA['instance-id'],
    InstanceType: METADATA['instance-type'],
    Region: METADATA['placement/region'],
    AWSAmiID: METADATA['ami-id'],
  });
  assert.equal(first?.fields.HeartbeatNumber, 0);
  assert.ok(Number(first?.fields.TotalRAMinKB) > 1_500_000, 'of the guest');
  const facts = () => world.metadata.requests.filter((request) => !isLook(request));
  const asked = facts().map(({ method, path, headers }) =>
    path === '/latest/api/token' ? method : headers['x-aws-ec2-metadata-token'],
  );
  assert.equal(asked[0], 'PUT', 'a token first');
  // Whoever is not answered in time asks again, with a token of its own.
  assert.deepEqual([...new Set(asked)], ['PUT', 'session-token==']);

  assert.equal(await service.stop(), 0);
  assert.equal(facts().length, asked.length, 'what is known is not asked again');
  const last = world.beats.at(-1);
  assert.deepEqual([last?.call, last?.fields.IsDyingHeartbeat], ['heartbeat', 'True']);
  assert.equal(show('Result'), 'success');
});

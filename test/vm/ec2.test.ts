import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { PATHS } from '../../host/notices.ts';
import { host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { isLook } from '../support/metadata.ts';
import { S3 } from '../support/s3.ts';
import { OWN_SECRET } from '../support/secrets.ts';
import { METADATA } from '../support/world.ts';
import { GuestHost } from './guest-host.ts';
import { show, untilState } from './unit-service.ts';

const host = await GuestHost.open();
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('a host that is EC2 by its DMI data registers with the metadata, and reports its stop', async () => {
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
  assert.equal(asked[0], 'PUT', 'a session token is requested first');
  // A client whose request times out asks again, with a new token.
  assert.deepEqual([...new Set(asked)], ['PUT', 'session-token==']);

  assert.equal(await service.stop(), 0);
  assert.equal(facts().length, asked.length, 'known items are not requested again');
  const last = world.beats.at(-1);
  assert.deepEqual([last?.call, last?.fields.IsDyingHeartbeat], ['heartbeat', 'True']);
  assert.equal(show('Result'), 'success');
});

test("a Spot notice over the real address drains the host, saves its user's files, and stops it ten seconds before its moment", async () => {
  const { world } = host;
  await using s3 = await S3.open();
  const service = await host.start({ APP_ENV: 'dev', ...s3.settings });
  const dockerId = await hostContainer(service);
  const port = await host.hostPort(dockerId);
  assert.deepEqual(await startValues(service, port, { auth_secret: OWN_SECRET }), OK);
  assert.deepEqual(await token(service, port), OK);
  const id = await host.containerIdOf(dockerId);
  writeFileSync(`/fractal/${id}/userConfigs/unpacked_configs/work`, 'of a user');
  const moment = new Date(Date.now() + 75_000);
  world.items[PATHS.spot] = JSON.stringify({ action: 'terminate', time: moment.toISOString() });
  await world.webserver.request(({ body }) => JSON.parse(body).IsDraining === 'True');
  await untilState('inactive');
  assert.equal(await service.stop(), 0);
  const last = world.beats.at(-1);
  assert.equal(last?.fields.IsDyingHeartbeat, 'True');
  assert.ok(last.at < moment.getTime() - 10_000, `${moment.getTime() - last.at} ms before`);
  assert.ok((await s3.keys()).some((key) => key.includes('/versions/')));
  assert.equal(show('Result'), 'success');
  delete world.items[PATHS.spot];
});

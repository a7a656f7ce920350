import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findNotices } from '../../src/notices/notice-checks.ts';
import { Metadata } from '../support/metadata.ts';

const grades = async (settings: Parameters<typeof findNotices>[0]) =>
  (await findNotices(settings)).map(({ check, grade }) => [check, grade]);

test('doctor says whether the service, the ECS agent, both or neither act on a Spot notice', async (t) => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'doctor-'));
  const metadata = await Metadata.open({ address: '127.0.0.1', port: 0 });
  t.after(() => metadata.recorder.close());
  const common = { ROOT: directory.path, AWS_EC2_METADATA_SERVICE_ENDPOINT: new URL(metadata.recorder.url) };
  const ok = ['EC2 notices', 'ok'];
  assert.deepEqual(await grades(common), [ok, ['Spot notices', 'ok']]);
  assert.deepEqual(await grades({ ...common, ON_SPOT_NOTICE: 'tell' }), [ok, ['Spot notices', 'warning']]);
  mkdirSync(join(directory.path, 'etc/ecs'), { recursive: true });
  const config = 'ECS_CLUSTER=hosts\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n';
  writeFileSync(join(directory.path, 'etc/ecs/ecs.config'), config);
  assert.deepEqual(await grades(common), [ok, ['Spot notices', 'warning']]);
  assert.deepEqual(await grades({ ...common, ON_SPOT_NOTICE: 'tell' }), [ok, ['Spot notices', 'ok']]);
  assert.deepEqual(await grades({ ...common, ECS_AGENT: 'none' }), [ok, ['Spot notices', 'ok']]);
});

test('doctor shows what EC2 says about the host', async (t) => {
  const metadata = await Metadata.open({ address: '127.0.0.1', port: 0 });
  t.after(() => metadata.recorder.close());
  const settings = { AWS_EC2_METADATA_SERVICE_ENDPOINT: new URL(metadata.recorder.url) };
  metadata.say('spot', '{"action":"terminate","time":"2026-05-01T10:02:00Z"}');
  metadata.say('scale-in', 'Terminated');
  const [told] = await findNotices(settings);
  assert.equal(told?.grade, 'warning');
  assert.equal(told.found, 'spot: terminate at 2026-05-01T10:02:00.000Z; scale-in: terminate');
  metadata.recorder.fault = '500';
  const [failed] = await findNotices(settings);
  assert.deepEqual([failed?.grade, failed?.found], ['warning', 'api/token returned status 500']);
  assert.deepEqual(
    (await findNotices({ AWS_EC2_METADATA_DISABLED: true })).map(({ grade }) => grade),
    ['ok'],
  );
});

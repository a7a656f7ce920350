import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostConfig } from '../../container/creation/create-body.ts';
import {
  type DefaultLimits,
  limitsOf,
  unkept,
  withDefaultLimits,
} from '../../container/creation/default-limits.ts';
import { amountOrNone } from '../../settings/amount.ts';

const LIMITS: DefaultLimits = {
  pids: 100,
  memory: 1000,
  canLimitSwap: true,
  log: 64,
  logDriver: 'json-file',
};
const SETTINGS = { CONTAINER_PIDS: 4096, CONTAINER_MEMORY: { percent: 50 }, CONTAINER_LOG_SIZE: 64 };
const ENGINE = {
  version: '28.2.2',
  directory: '/var/lib/docker',
  security: [],
  storageDriver: 'overlay2',
  cgroupDriver: 'systemd',
  canLimit: { pids: true, memory: true, swap: true },
  logDriver: 'local',
};

const sized = (driver: string, size: string, files = '2') => ({
  Type: driver,
  Config: { 'max-file': files, 'max-size': size },
});
const DEFAULTS = { PidsLimit: 100, Memory: 1000, MemorySwap: 1000, LogConfig: sized('json-file', '32') };

test('a container gets the default of each limit that its body does not set', () => {
  assert.deepEqual(withDefaultLimits({}, LIMITS), DEFAULTS);
});

test('0, null and other values that mean "no limit" to Docker do not exempt a container from the defaults', () => {
  for (const none of [0, -1, null]) {
    const host = { PidsLimit: none, Memory: none, MemorySwap: none, LogConfig: null };
    assert.deepEqual(withDefaultLimits(host, LIMITS), DEFAULTS);
  }
  const endless = sized('json-file', '-1', '1');
  assert.deepEqual(
    withDefaultLimits({ LogConfig: endless }, LIMITS).LogConfig,
    sized('json-file', '64', '1'),
  );
});

test('a limit in the body is kept, whether it is smaller or larger', () => {
  for (const asked of [1, 1_000_000]) {
    const LogConfig = sized('local', `${asked}m`);
    const host: HostConfig = { PidsLimit: asked, Memory: asked, MemorySwap: 2 * asked, LogConfig };
    assert.deepEqual(withDefaultLimits(host, LIMITS), host);
  }
});

test('the memory reservation of a body is reduced to the limit, because Docker would refuse more', () => {
  const { Memory, MemorySwap } = withDefaultLimits({ MemoryReservation: 5000 }, LIMITS);
  assert.deepEqual([Memory, MemorySwap], [5000, 5000]);
});

test('the log size is not limited for other logging drivers, whether the host or the body names them', () => {
  const awslogs = { Type: 'awslogs', Config: { 'awslogs-group': 'g' } };
  assert.deepEqual(withDefaultLimits({ LogConfig: awslogs }, LIMITS).LogConfig, awslogs);
  assert.equal(withDefaultLimits({}, { ...LIMITS, logDriver: 'journald' }).LogConfig, undefined);
  const here = { Type: '', Config: { labels: 'a' } };
  assert.deepEqual(withDefaultLimits({ LogConfig: here }, { ...LIMITS, logDriver: 'local' }).LogConfig, {
    Type: 'local',
    Config: { labels: 'a', 'max-file': '2', 'max-size': '32' },
  });
});

test('a limit that is switched off, or that the kernel cannot enforce, is not set', () => {
  const none = { CONTAINER_PIDS: undefined, CONTAINER_MEMORY: undefined, CONTAINER_LOG_SIZE: undefined };
  const host = { Memory: 0 };
  assert.deepEqual(withDefaultLimits(host, limitsOf(none, ENGINE, 8000)), host);
  assert.deepEqual(unkept(none, { ...ENGINE, canLimit: { pids: false, memory: false, swap: false } }), []);

  const old = { ...ENGINE, canLimit: { pids: false, memory: false, swap: false } };
  const { PidsLimit, Memory } = withDefaultLimits({}, limitsOf(SETTINGS, old, 8000));
  assert.deepEqual([PidsLimit, Memory], [undefined, undefined]);
  assert.deepEqual(unkept(SETTINGS, old), ['CONTAINER_PIDS', 'CONTAINER_MEMORY']);
});

test('if the kernel does not count swap, Docker is not asked to limit it', () => {
  const limits = limitsOf(SETTINGS, { ...ENGINE, canLimit: { ...ENGINE.canLimit, swap: false } }, 8000);
  const { Memory, MemorySwap } = withDefaultLimits({}, limits);
  assert.deepEqual([Memory, MemorySwap], [4000, -1]);
});

test('an amount is a number of bytes, a share, or none', () => {
  assert.deepEqual(amountOrNone('6GiB'), { bytes: 6 * 2 ** 30 });
  assert.deepEqual(amountOrNone('50%'), { percent: 50 });
  assert.equal(amountOrNone('none'), undefined);
  for (const text of ['0%', '100%', '-5%', '5 %', '0', 'half', ''])
    assert.throws(
      () => amountOrNone(text),
      /must be a number of bytes such as 6GiB, a share such as 50%, or none/,
    );
});

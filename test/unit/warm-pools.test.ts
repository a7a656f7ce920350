import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences, shapeOf } from '../../container/pool/shape.ts';
import { Shortage } from '../../container/pool/shortage.ts';
import { ServiceError } from '../../errors/service-error.ts';

const REQUEST = {
  appImage: 'fractal/demo',
  appName: 'demo',
  mounts: [],
  environment: { A: '1', B: '2' },
  limits: { memory: 2 ** 30, cpus: undefined },
  ports: [{ container: '8080/tcp' }, { container: '53/udp' }],
};

test('two requests have the same shape if they differ only in order and in explicit defaults', () => {
  const other = {
    ...REQUEST,
    environment: { B: '2', A: '1' },
    limits: { memory: 2 ** 30, sharedMemory: 8 * 2 ** 30 },
    ports: REQUEST.ports.toReversed(),
    console: true,
    labels: {},
  };
  assert.deepEqual(differences(shapeOf(REQUEST), shapeOf(other)), []);
});

test('the differences between a request and a pool are named as in the API', () => {
  const mount = { Type: 'bind', Source: '/srv', Target: '/srv' };
  for (const [name, change] of Object.entries({
    image: { appImage: 'other' },
    app: { appName: 'other' },
    environment: { environment: { A: '1' } },
    cpus: { limits: { memory: 2 ** 30, cpus: 1 } },
    memory: { limits: { memory: 2 ** 31 } },
    pids: { limits: { memory: 2 ** 30, pids: 10 } },
    sharedMemory: { limits: { memory: 2 ** 30, sharedMemory: 2 ** 20 } },
    ports: { ports: [{ container: '8080/tcp', host: 8080 }, { container: '53/udp' }] },
    mounts: { mounts: [mount] },
    gpu: { gpu: false },
    console: { console: false },
    labels: { labels: { team: 'a' } },
    timeout: { protocolTimeout: 60 },
    idleTimeout: { idleTimeout: 60 },
  })) {
    assert.deepEqual(differences(shapeOf(REQUEST), shapeOf({ ...REQUEST, ...change })), [name]);
  }
});

const noneFree = () => new ServiceError('tty.none_free', { size: 1 });

test('a caller that lacks a resource gets one that the pools give up, and an error if they have none left', async () => {
  const shortage = new Shortage();
  let [free, warm] = [0, 1];
  const take = async () => {
    if (free === 0) throw noneFree();
    free -= 1;
    return 'a console';
  };
  await assert.rejects(shortage.relieve(take), { code: 'tty.none_free' });
  shortage.answerWith(async () => {
    if (warm === 0) return false;
    [free, warm] = [free + 1, warm - 1];
    return true;
  });
  assert.equal(await shortage.relieve(take), 'a console');
  await assert.rejects(shortage.relieve(take), { code: 'tty.none_free' });
});

test('callers that lack a resource at the same time share what the pools give up', async () => {
  const shortage = new Shortage();
  let [free, given] = [0, 0];
  shortage.answerWith(async () => {
    [free, given] = [free + 2, given + 1];
    return true;
  });
  const take = async () => {
    if (free === 0) throw noneFree();
    free -= 1;
  };
  await Promise.all([shortage.relieve(take), shortage.relieve(take)]);
  assert.deepEqual([free, given], [0, 1]);
});

test('an error other than a shortage costs the pools no container', async () => {
  const shortage = new Shortage();
  shortage.answerWith(async () => assert.fail('a pool was asked'));
  const failing = shortage.relieve(async () => {
    throw new ServiceError('tty.none_exist', {});
  });
  await assert.rejects(failing, { code: 'tty.none_exist' });
});

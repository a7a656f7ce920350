import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CreateBody } from '../../container/creation/create-body.ts';
import { gpusWanted, withGpus } from '../../container/creation/gpu-requests.ts';
import { Gpus } from '../../container/gpus.ts';
import { gpusIn } from '../../host/gpus.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import fc from '../support/properties.ts';

const [A, B] = ['GPU-0a1b2c3d-0000-0000-0000-00000000000a', 'GPU-0a1b2c3d-0000-0000-0000-00000000000b'];
const ANY = { Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] };
const gone = () => 'it does not run';

function bodyOf(DeviceRequests: readonly object[], Env: readonly string[] = []): CreateBody {
  return { Env, HostConfig: { DeviceRequests } };
}

test('the GPU with the fewest containers comes first, and no GPU gets more than its shares', async () => {
  const gpus = new Gpus([A, B], 2, 'nvidia');
  const lifetimes = Array.from({ length: 5 }, (_, i) => new Lifetime(`container ${i}`));
  const [first, second, third, fourth, fifth] = lifetimes as [
    Lifetime,
    Lifetime,
    Lifetime,
    Lifetime,
    Lifetime,
  ];
  assert.deepEqual(await gpus.acquire(first, 1, gone), [A]);
  assert.deepEqual(await Promise.all([second, third].map((one) => gpus.acquire(one, 1, gone))), [[B], [A]]);
  assert.deepEqual(gpus.use, { size: 4, held: 3 });
  await assert.rejects(gpus.acquire(fourth, 2, gone), {
    code: 'gpu.none_free',
    message: /CONTAINERS_PER_GPU/,
  });
  assert.deepEqual(await gpus.acquire(fourth, 1, gone), [B]);
  await assert.rejects(gpus.acquire(fifth, 1, gone), { code: 'gpu.none_free' });
  await second.end();
  assert.deepEqual(await gpus.acquire(fifth, 1, gone), [B]);
  await Promise.all(lifetimes.map((one) => one.end()));
  assert.deepEqual(gpus.use, { size: 4, held: 0 });
});

test('however containers come and go, each one gets a GPU with the fewest containers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 20 }), async (events) => {
      const gpus = new Gpus([A, B, 'GPU-c'], 4, 'nvidia');
      const held: { readonly lifetime: Lifetime; readonly uuid: string }[] = [];
      for (const event of events) {
        if (event > 3) await held.shift()?.lifetime.end();
        else if (held.length < gpus.use.size) {
          const lifetime = new Lifetime('container');
          const counts = [A, B, 'GPU-c'].map((uuid) => held.filter((one) => one.uuid === uuid).length);
          const [uuid = ''] = await gpus.acquire(lifetime, 1, gone);
          assert.equal(held.filter((one) => one.uuid === uuid).length, Math.min(...counts));
          held.push({ lifetime, uuid });
        }
        assert.equal(gpus.use.held, held.length);
      }
    }),
  );
});

test('a GPU stays held while its container may still run', async () => {
  const gpus = new Gpus([A], 1, 'nvidia');
  const lifetime = new Lifetime('container');
  await gpus.acquire(lifetime, 1, () => {
    throw new Error('Docker cannot tell');
  });
  assert.equal((await lifetime.end()).length, 1);
  assert.equal(gpus.use.held, 1);
});

test('an adopted container keeps its GPUs, even one that the host no longer has', async () => {
  const gpus = new Gpus([A, B], 1, 'nvidia');
  const lifetime = new Lifetime('container');
  await gpus.adopt(lifetime, [A, 'GPU-c'], gone);
  assert.deepEqual(await gpus.acquire(lifetime, 1, gone), [B]);
  assert.deepEqual(
    lifetime.holdings.list().map(({ kind, what }) => `${kind} ${what}`),
    [`gpu ${A}`, 'gpu GPU-c', `gpu ${B}`],
  );
  await lifetime.end();
  assert.equal(gpus.use.held, 0);
});

test('a body that asks for GPUs without a name gets named ones, by the nvidia runtime or by CDI', () => {
  const body = bodyOf([ANY], ['X=1', 'NVIDIA_VISIBLE_DEVICES=all']);
  assert.deepEqual(gpusWanted(body), { chosen: [], count: 1 });
  const named = withGpus(body, [A], 'nvidia');
  assert.deepEqual(named.Env, ['X=1', `NVIDIA_VISIBLE_DEVICES=${A}`]);
  assert.deepEqual(named.HostConfig?.DeviceRequests, [{ ...ANY, Count: 0, DeviceIDs: [A] }]);
  const described = withGpus(body, [A, B], 'cdi');
  assert.deepEqual(described.Env, ['X=1', 'NVIDIA_VISIBLE_DEVICES=void']);
  const DeviceIDs = [`nvidia.com/gpu=${A}`, `nvidia.com/gpu=${B}`];
  assert.deepEqual(described.HostConfig?.DeviceRequests, [{ Driver: 'cdi', DeviceIDs }]);
  assert.equal(withGpus(body, [], 'nvidia'), body);
  assert.deepEqual(gpusWanted(bodyOf([{ ...ANY, Count: 2 }])), { chosen: [], count: 2 });
  assert.deepEqual(gpusWanted(bodyOf([{ DeviceIDs: ['all'] }])), { chosen: [], count: 1 });
});

test('GPUs that the creator of a container chose are its own, as requests or as the ECS agent names them', () => {
  const requested = bodyOf([{ Driver: 'nvidia', DeviceIDs: [B] }]);
  assert.deepEqual(gpusWanted(requested), { chosen: [B], count: 0 });
  assert.equal(withGpus(requested, [B], 'nvidia'), requested);
  const task = bodyOf([], ['NVIDIA_VISIBLE_DEVICES=all', `NVIDIA_VISIBLE_DEVICES=${A},${B}`]);
  assert.deepEqual(gpusWanted(task), { chosen: [A, B], count: 0 });
  // Docker would overwrite the variable.
  const both = bodyOf([ANY], [`NVIDIA_VISIBLE_DEVICES=${A}`]);
  assert.deepEqual(gpusWanted(both), { chosen: [A], count: 0 });
  assert.deepEqual(withGpus(both, [A], 'nvidia').HostConfig?.DeviceRequests, [
    { ...ANY, Count: 0, DeviceIDs: [A] },
  ]);
  assert.deepEqual(gpusWanted({ Env: ['NVIDIA_VISIBLE_DEVICES=void'], HostConfig: null }), {
    chosen: [],
    count: 0,
  });
});

test('the GPUs of a host are read from the driver, and are unknown until it knows all of them', async () => {
  using directory = mkdtempDisposableSync('/tmp/gpus-');
  assert.deepEqual(await gpusIn(join(directory.path, 'none')), []);
  const add = (slot: string, uuid: string) => {
    mkdirSync(join(directory.path, slot));
    const text = `Model: \t\t Tesla M60\nIRQ:   \t\t 52\nGPU UUID: \t ${uuid}\nDevice Minor: \t 0\n`;
    writeFileSync(join(directory.path, slot, 'information'), text);
  };
  add('0000:00:1e.0', B);
  add('0000:00:1d.0', A);
  assert.deepEqual(await gpusIn(directory.path), [A, B]);
  const docker = (runtime: boolean) => ({ gpuSupport: async () => ({ runtime, cdi: [B] }) });
  const [byRuntime, byCdi] = await Promise.all(
    [true, false].map((has) => Gpus.ofThisHost(docker(has), 3, directory.path)),
  );
  assert.deepEqual(
    [byRuntime?.access, byRuntime?.use.size, byCdi?.access, byCdi?.use.size],
    ['nvidia', 6, 'cdi', 3],
  );
  add('0000:00:1f.0', 'GPU-????????-????-????-????-????????????');
  assert.deepEqual(await gpusIn(directory.path), []);
});

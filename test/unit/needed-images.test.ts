/** The images that are pulled for a new container, and their registries, with a simulated Engine. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ImagePulls, type PullNews } from '../../docker-engine/image-pulls.ts';
import { NeededImages, type PullPolicy } from '../../docker-engine/needed-images.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { DIGEST, PullingEngine } from '../support/pulling-engine.ts';

async function open(t: TestContext, more: { defaultRegistry?: string; longest?: number } = {}) {
  const engine = await PullingEngine.open(t);
  const lifetime = new Lifetime('service');
  t.after(() => lifetime.end());
  const log = createLogger({ level: 'error', stream: { write: () => {} } });
  const { docker } = engine;
  const pulls = new ImagePulls(docker, lifetime, log);
  const images = new NeededImages({ docker, pulls, defaultRegistry: undefined, ...more });
  const asked = () => engine.pulls.map(({ asked }) => `${asked.get('fromImage')}:${asked.get('tag')}`);
  const find = (image: string, policy: PullPolicy = 'missing', news: PullNews[] = []) =>
    images.find(image, policy, (one) => news.push(one));
  return { engine, images, find, asked };
}

/** It has each image that is requested. */
async function serve(engine: PullingEngine): Promise<void> {
  for (let number = 0; ; number += 1) {
    const pull = await engine.pull(number);
    engine.images.add(`${pull.asked.get('fromImage')}@${DIGEST}`);
    pull.layer('abcdef012345', 'Pulling fs layer');
    pull.finish();
  }
}

test('a missing image is pulled if its name includes a registry, and any other name is local', async (t) => {
  const { engine, find, asked } = await open(t);
  void serve(engine);
  const news: PullNews[] = [];
  assert.equal(await find('ghcr.io/fractal/demo:1', 'missing', news), 'ghcr.io/fractal/demo:1');
  assert.deepEqual([news[0]?.event, news.at(-1)?.event], ['progress', 'pulled']);
  assert.equal(await find('localhost:5000/demo'), 'localhost:5000/demo:latest');
  assert.deepEqual(asked(), ['ghcr.io/fractal/demo:1', 'localhost:5000/demo:latest']);
  for (const name of ['fractal/demo:current-build', 'demo', 'local/host/demo']) {
    await assert.rejects(find(name), { code: 'image.missing' });
    await assert.rejects(find(name, 'always'), { code: 'image.no_registry' });
  }
  await assert.rejects(find('not an image'), { code: 'image.bad_reference' });
  for (const name of ['fractal/demo:1', 'ghcr.io/fractal/here', 'sha256:abc']) {
    engine.images.add(name);
    assert.equal(await find(name), name);
  }
  assert.equal(asked().length, 2);
});

test('with a default registry, a name that is not on this host belongs to that registry', async (t) => {
  const { engine, find, asked } = await open(t, { defaultRegistry: 'registry.example.com/us' });
  void serve(engine);
  engine.images.add('fractal/here');
  assert.equal(await find('fractal/here'), 'fractal/here');
  const there = 'registry.example.com/us/fractal/demo:latest';
  assert.equal(await find('fractal/demo'), there);
  engine.images.add(there);
  assert.equal(await find('fractal/demo'), there);
  assert.deepEqual(asked(), [there]);
  await find('fractal/here', 'always');
  await find('ghcr.io/fractal/demo');
  assert.deepEqual(asked().slice(1), [
    'registry.example.com/us/fractal/here:latest',
    'ghcr.io/fractal/demo:latest',
  ]);
});

test('an image is pulled always or never if the request says so', async (t) => {
  const { engine, find, asked } = await open(t);
  void serve(engine);
  engine.images.add('ghcr.io/fractal/demo:1');
  await find('ghcr.io/fractal/demo:1', 'always');
  assert.deepEqual(asked(), ['ghcr.io/fractal/demo:1']);
  assert.equal(await find('ghcr.io/fractal/other:1', 'never'), 'ghcr.io/fractal/other:1');
  assert.equal(asked().length, 1);
});

test('a failed pull reports the reason, and one that takes too long is aborted', async (t) => {
  const { engine, images } = await open(t, { longest: 0.05 });
  const refused = images.find('ghcr.io/fractal/none', 'missing');
  (await engine.pull(0)).refuse(404, 'manifest unknown');
  await assert.rejects(refused, { code: 'image.not_found' });
  await assert.rejects(images.find('ghcr.io/fractal/demo', 'missing'), { code: 'image.too_slow' });
  await (await engine.pull(1)).closed;
});

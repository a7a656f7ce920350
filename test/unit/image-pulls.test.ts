/** Pulls that are shared, abandoned, truncated, refused or corrupted, with a simulated Engine. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ImagePulls, type PullNews } from '../../docker-engine/image-pulls.ts';
import { referenceOf } from '../../docker-engine/image-reference.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { DIGEST, type PlayedPull, PullingEngine } from '../support/pulling-engine.ts';
import { REGISTRY_PASSWORD } from '../support/secrets.ts';

const LAYER = 'abcdef012345';
const BEGIN = { id: 'latest', status: 'Pulling from fractal/demo' };
const registryAuth = { username: 'user', password: REGISTRY_PASSWORD };
const AUTH = Buffer.from(`user:${REGISTRY_PASSWORD}`).toString('base64');

async function open(t: TestContext) {
  const engine = await PullingEngine.open(t);
  engine.images.add(`fractal/demo@${DIGEST}`);
  const lifetime = new Lifetime('service');
  t.after(() => lifetime.end());
  const logged: string[] = [];
  const log = createLogger({ level: 'debug', stream: { write: (line: string) => logged.push(line) } });
  const pulls = new ImagePulls(engine.docker, lifetime, log);
  const follow = (more: object = {}, leave = new AbortController()) => {
    const news = pulls.follow({ reference: referenceOf('fractal/demo'), ...more }, leave.signal);
    news.catch(() => {});
    return {
      news,
      leave: () => leave.abort(),
      all: () => all(news),
      next: async () => await one(await news),
    };
  };
  return { engine, lifetime, follow, log: () => logged.join('') };
}

async function all(news: Promise<AsyncGenerator<PullNews>>): Promise<PullNews[]> {
  return await Array.fromAsync(await news);
}

async function one(news: AsyncGenerator<PullNews>): Promise<PullNews | undefined> {
  const { value, done } = await news.next();
  return done ? undefined : value;
}

function failureIn(news: readonly PullNews[]) {
  const last = news.at(-1);
  assert.ok(last?.event === 'failed', JSON.stringify(last));
  return last.data;
}

const PULLED = {
  event: 'pulled',
  data: { image: 'fractal/demo:latest', digest: DIGEST, id: 'sha256:abc', size: 4096 },
} as const;

test('all requests for an image share one pull, and each gets its progress and its end', async (t) => {
  const { engine, follow } = await open(t);
  const first = follow();
  const pull = await engine.pull(0);
  assert.deepEqual(Object.fromEntries(pull.asked), { fromImage: 'fractal/demo', tag: 'latest' });
  pull.say(BEGIN);
  pull.layer(LAYER, 'Downloading', 10, 40);
  for (let state = await first.next(); ; state = await first.next()) {
    assert.ok(state?.event === 'progress');
    if (state.data.bytes.current === 10) break;
  }
  // No more progress follows, so this client receives the current one.
  const second = follow();
  const layers = [{ id: LAYER, status: 'Downloading', current: 10, total: 40 }];
  assert.deepEqual(await second.next(), {
    event: 'progress',
    data: { layers, bytes: { current: 10, total: 40 } },
  });
  pull.layer(LAYER, 'Pull complete');
  pull.finish();
  for (const follower of [first, second]) {
    const heard = await follower.all();
    assert.deepEqual(heard.at(-1), PULLED);
    assert.deepEqual(heard.filter(({ event }) => event !== 'progress').length, 1);
    assert.deepEqual(heard.at(-2)?.event, 'progress');
  }
  assert.equal(engine.pulls.length, 1);
  // A later client causes a new check.
  const third = follow();
  (await engine.pull(1)).finish();
  assert.deepEqual((await third.all()).at(-1), PULLED);
});

test('requests with other credentials or another platform never share a pull', async (t) => {
  const { engine, follow } = await open(t);
  const others = [
    {},
    { registryAuth },
    { registryAuth: { ...registryAuth, password: 'another' } },
    { registryAuth: { ...registryAuth, username: 'another' } },
    { platform: 'linux/arm64' },
    { reference: referenceOf('fractal/demo:other') },
  ];
  const followers = [...others, ...others].map((more) => follow(more));
  for (const [number] of others.entries()) (await engine.pull(number)).finish();
  await Promise.all(followers.map(({ all }) => all()));
  assert.equal(engine.pulls.length, others.length);
  assert.deepEqual(new Set(engine.pulls.map(({ auth }) => JSON.stringify(auth))).size, 4);
  assert.ok(engine.pulls.some(({ asked }) => asked.get('platform') === 'linux/arm64'));
});

test('a pull is cancelled when its last client disconnects, and the next request starts a new one', async (t) => {
  const { engine, follow } = await open(t);
  const [first, second] = [follow(), follow()];
  const pull = await engine.pull(0);
  pull.say(BEGIN);
  assert.equal((await first.next())?.event, 'progress');
  first.leave();
  assert.equal(await first.next(), undefined);
  // It continues for the other client.
  pull.layer(LAYER, 'Downloading', 1, 2);
  assert.equal((await second.next())?.event, 'progress');
  second.leave();
  const third = follow();
  await pull.closed;
  (await engine.pull(1)).finish();
  assert.deepEqual((await third.all()).at(-1), PULLED);
  assert.equal(engine.pulls.length, 2);
  // Docker executed the request.
  assert.ok(!engine.calls.some(({ isFailed }) => isFailed));
});

test('a client that disconnects before Docker has answered also cancels its pull', async (t) => {
  const { engine, follow } = await open(t);
  const follower = follow();
  const pull = await engine.pull(0);
  follower.leave();
  assert.deepEqual(await follower.all(), []);
  await pull.closed;
  const gone = new AbortController();
  gone.abort();
  assert.deepEqual(await follow({}, gone).all(), []);
});

test('the end of the service cancels a pull and notifies its clients', async (t) => {
  const { engine, follow, lifetime } = await open(t);
  const [begun, waiting] = [follow(), follow({ platform: 'linux/arm64' })];
  const [pull] = [await engine.pull(0), await engine.pull(1)];
  pull?.say(BEGIN);
  assert.equal((await begun.next())?.event, 'progress');
  assert.deepEqual(await lifetime.end(), []);
  assert.equal(failureIn(await begun.all()).code, 'service.stopping');
  await assert.rejects(waiting.news, { code: 'service.stopping' });
  await Promise.all(engine.pulls.map(({ closed }) => closed));
});

test('a slow client skips progress, uses no memory, and delays no other client', async (t) => {
  const { engine, follow } = await open(t);
  const [slow, quick] = [follow(), follow()];
  const pull = await engine.pull(0);
  pull.say(BEGIN);
  assert.equal((await slow.next())?.event, 'progress');
  const heard = quick.all();
  const MANY = 3000;
  for (let n = 1; n <= MANY; n++) {
    pull.layer(LAYER, 'Downloading', n, MANY);
    if (n % 100 === 0) await turn();
  }
  pull.finish();
  assert.deepEqual((await heard).at(-1), PULLED);
  const [state, end, ...more] = await slow.all();
  assert.ok(state?.event === 'progress' && state.data.bytes.current === MANY);
  assert.deepEqual([end, more], [PULLED, []]);
});

test('a refusal by Docker is an error with its reason and what to do, before and within the answer', async (t) => {
  const { engine, follow, log } = await open(t);
  const echo = `denied: "${REGISTRY_PASSWORD}" with Basic ${AUTH}, "${JSON.stringify(REGISTRY_PASSWORD)}"`;
  for (const [number, [status, message, code]] of (
    [
      [404, 'manifest unknown', 'image.not_found'],
      [400, 'invalid reference format', 'image.bad_reference'],
      [500, 'dial tcp: lookup registry: no such host', 'image.not_pulled'],
      [500, `${echo} ${'x'.repeat(20_000)}`, 'image.not_pulled'],
    ] as const
  ).entries()) {
    const refused = follow({ registryAuth });
    (await engine.pull(2 * number)).refuse(status, message);
    const error: unknown = await refused.news.catch((reason) => reason);
    assert.ok(error instanceof ServiceError && error.code === code);
    const within = follow({ registryAuth });
    const pull = await engine.pull(2 * number + 1);
    pull.say(BEGIN);
    assert.equal((await within.next())?.event, 'progress');
    pull.say({ errorDetail: { message }, error: message });
    pull.end();
    const failure = failureIn(await within.all());
    assert.equal(failure.code, 'image.not_pulled');
    for (const { message: text, cause } of [error, failure]) {
      if (message.includes('denied')) assert.match(text, /denied: "\[secret\]" with Basic \[secret\]/);
      else assert.ok(text.includes(`: ${message}`) && !text.includes('HTTP code'), text);
      assert.ok(text.length < 2000 && cause === undefined);
    }
  }
  assert.ok(log().includes('could not pull an image'));
  for (const secret of [REGISTRY_PASSWORD, AUTH]) assert.ok(!log().includes(secret));
});

test('a truncated answer is a failure, even if an image of that name exists', async (t) => {
  const { engine, follow } = await open(t);
  engine.images.add('fractal/demo:latest');
  const silent = follow();
  (await engine.pull(0)).cut();
  await assert.rejects(silent.news, { code: 'docker.unavailable' });
  const cut = follow();
  const pull = await engine.pull(1);
  pull.say(BEGIN);
  assert.equal((await cut.next())?.event, 'progress');
  pull.cut();
  const failure = failureIn(await cut.all());
  assert.equal(failure.code, 'docker.unavailable');
  assert.match(failure.message, /pull the image/);
  const short = follow();
  const ended = await engine.pull(2);
  ended.say(BEGIN);
  ended.end();
  assert.match(failureIn(await short.all()).message, /Docker ended its answer without it/);
  engine.images.clear();
  const gone = follow();
  (await engine.pull(3)).finish();
  assert.match(failureIn(await gone.all()).message, /Docker ended its answer without it/);
});

test('very long lines, and lines that are not JSON, use no memory and do not fail a pull', async (t) => {
  const { engine, follow } = await open(t);
  const follower = follow();
  const pull = await engine.pull(0);
  const MIB = 'x'.repeat(2 ** 20);
  pull.say(BEGIN, 'no JSON\n', '\u0000\u001b[2J\n', '\n\n\r\n', `{"status":"`);
  const before = await heapUsed(pull);
  for (let n = 0; n < 64; n++) {
    pull.say(MIB);
    await pull.said();
  }
  const grown = (await heapUsed(pull)) - before;
  assert.ok(grown < 16 * 2 ** 20, `${grown} bytes more`);
  pull.say('","id":"x"}\n', `{"id":"${LAYER}","status":"\\u001b[2J${MIB}"}\n`);
  pull.layer(LAYER, 'Pull complete');
  pull.finish();
  assert.deepEqual((await follower.all()).at(-1), PULLED);
});

/** The used heap without garbage, once everything is sent. */
async function heapUsed(pull: PlayedPull): Promise<number> {
  await pull.said();
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

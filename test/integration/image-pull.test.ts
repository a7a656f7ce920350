/** Images that the real Docker pulls through the service, from the test's own registry. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { spinUp } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { Pulling, type Told } from '../support/pulling.ts';
import { basicOf, Registry } from '../support/registry.ts';
import { REGISTRY_PASSWORD } from '../support/secrets.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const USER = { username: 'puller', password: REGISTRY_PASSWORD };

async function start() {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  return { root, service, pull: (body: object) => Pulling.open(root, body) };
}

const PLATFORM = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;

/** Some bytes of each layer are present, and not all. */
const isHalf = ({ data: { layers } }: Told) =>
  layers.length === 2 && layers.every(({ current = 0, total = 0 }) => current > 0 && current < total);

test('all requests for an image share one pull and see its progress, and a container can use the image afterwards', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/pulled');
  const { root, service, pull } = await start();
  const operator = new Operator(root);
  const make = () => operator.ask('POST', '/v1/containers', { image, app: 'demo' });
  const { status, body } = await operator.ask('POST', '/v1/containers', {
    image,
    app: 'demo',
    pull: 'never',
  });
  assert.deepEqual([status, body.title], [404, 'image.missing']);
  assert.ok(body.detail.includes(`run "ecs-host-service pull ${image}"`));
  const release = registry.hold();
  using first = await pull({ image });
  const { data } = await first.until(isHalf);
  assert.ok(data.bytes.current > 0 && data.bytes.total > 4 * 2 ** 20, JSON.stringify(data));
  // Both layers are held back, so the second client first receives the current progress.
  using second = await pull({ image: `${image}:latest` });
  await second.until(isHalf);
  // This one does not read.
  using _deaf = await pull({ image });
  release();
  const end = await first.end();
  assert.deepEqual(await second.end(), end);
  const { Id, Size, RepoDigests } = await host.docker.getImage(image).inspect();
  assert.equal(end.event, 'pulled');
  assert.deepEqual([end.data.image, end.data.id, end.data.size], [`${image}:latest`, Id, Size]);
  assert.deepEqual(RepoDigests, [`${image}@${end.data.digest}`]);
  assert.equal(registry.layersAsked.length, 2);
  assert.equal((await make()).status, 201);
  // The image is already present, and by its digest too.
  for (const name of [image, `${image}@${end.data.digest}`]) {
    using again = await pull({ image: name });
    assert.equal((await again.end()).data.id, Id);
  }
  assert.equal(registry.layersAsked.length, 2);
  assert.equal(await service.stop(), 0);
});

/** Docker's message: it does not wait for a registry that sends nothing. */
const pullsGivenUp = () => readFileSync('/run/test/dockerd.log', 'utf8').split('context canceled').length - 1;

test('a pull is cancelled in Docker when its last client disconnects or the service stops', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/left');
  const { service, pull } = await start();
  registry.hold();
  const [first, second] = [await pull({ image }), await pull({ image })];
  await first.until(isHalf);
  first[Symbol.dispose]();
  await second.until(isHalf);
  assert.equal(pullsGivenUp(), 0);
  second[Symbol.dispose]();
  while (pullsGivenUp() < 1) await pause(20);
  using third = await pull({ image });
  await third.until(isHalf);
  const stopped = service.stop();
  const { event, data } = await third.end();
  assert.deepEqual([event, data.title], ['failed', 'service.stopping']);
  while (pullsGivenUp() < 2) await pause(20);
  assert.equal(await stopped, 0);
});

test('credentials are used for one pull, which is not shared without them, and are in no log, error or argument', async () => {
  await using registry = await Registry.open(USER);
  const image = registry.add('fractal/guarded');
  const { root, service, pull } = await start();
  const release = registry.hold();
  using allowed = await pull({ image, registryAuth: USER });
  await allowed.until(isHalf);
  const wrong = { username: USER.username, password: 'another-password' };
  for (const body of [{ image }, { image, registryAuth: wrong }]) {
    using refused = await pull(body);
    const { title, detail } = await refused.problem();
    assert.equal(title, 'image.not_pulled');
    assert.ok(!detail.includes('another-password') && !detail.includes(basicOf(wrong)), detail);
  }
  const file = join(mkdtempSync('/run/test/registry-'), 'password');
  writeFileSync(file, `${USER.password}\n`, { mode: 0o600 });
  const command = host.start({
    env: { ROOT: root, APP_ENV: '', REGISTRY_PASSWORD_FILE: file },
    arguments: ['pull', image, '--registry-user', USER.username, '--json'],
  });
  await command.line((line) => line.event === 'progress');
  const words = readFileSync(`/proc/${command.child.pid}/cmdline`, 'utf8');
  release();
  assert.equal((await allowed.end()).event, 'pulled');
  assert.equal(await command.ended(), 0);
  assert.equal(registry.layersAsked.length, 2);
  assert.equal(await service.stop(), 0);
  for (const text of [service.log(), command.log(), words]) {
    assert.ok(!text.includes(USER.password) && !text.includes(basicOf(USER)));
    assert.ok(!text.includes('another-password'));
  }
});

test('a failed pull is answered with what to do, and a failure during the pull is its last event', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/spoiled', { spoiled: true });
  const { service, pull } = await start();
  for (const [body, status, title] of [
    [{ image: `${image}:none` }, 404, 'image.not_found'],
    [{ image: '127.0.0.1:1/a' }, 502, 'image.not_pulled'],
    [{ image: 'Not an image' }, 422, 'image.bad_reference'],
    [{ image: `${image}:` }, 422, 'image.bad_reference'],
    [{ image: 'f'.repeat(64) }, 422, 'image.bad_reference'],
    [{}, 400, 'request.invalid'],
    [{ image, platform: '../..' }, 400, 'request.invalid'],
    [{ image, registryAuth: { username: 'user' } }, 400, 'request.invalid'],
    [{ image, all: true }, 400, 'request.invalid'],
    [7, 400, 'request.invalid'],
  ] as const) {
    using refused = await pull(body as object);
    const problem = await refused.problem();
    assert.deepEqual([problem.status, problem.title], [status, title], problem.detail);
  }
  using spoiled = await pull({ image });
  const { event, data } = await spoiled.end();
  assert.deepEqual([event, data.title, data.status], ['failed', 'image.not_pulled', 502]);
  assert.match(data.detail, /verification failed|digest/);
  assert.equal(await service.stop(), 0);
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
});

test('pull shows progress step by step or as JSON, and fails with the reason', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/shown');
  const { root, service } = await start();
  const say = async (...words: string[]) => {
    const command = host.start({ env: { ROOT: root, APP_ENV: '' }, arguments: ['pull', ...words] });
    return { code: await command.ended(), text: command.log(), lines: command.lines };
  };
  const shown = await say(image);
  assert.equal(shown.code, 0, shown.text);
  const lines = shown.text.trimEnd().split('\n');
  assert.match(
    lines.at(-1) ?? '',
    new RegExp(`^${image}:latest is on this host: sha256:\\w+, \\d+\\.\\d MiB$`),
  );
  assert.equal(lines.filter((line) => /^[0-9a-f]{12}: Pull complete$/.test(line)).length, 2);
  assert.equal(new Set(lines).size, lines.length, shown.text);
  const asJson = await say(image, '--json', '--platform', PLATFORM);
  assert.equal(asJson.code, 0, asJson.text);
  assert.deepEqual(asJson.lines.at(-1)?.event, 'pulled');
  const missing = await say(`${image}:none`);
  assert.equal(missing.code, 1);
  assert.match(
    missing.text,
    /^image\.not_found: the registry has no image .*:none, or does not show it: .*; check its name/,
  );
  const nobody = await say(image, '--registry-user', 'somebody');
  assert.deepEqual([nobody.code, /REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE/.test(nobody.text)], [1, true]);
  for (const words of [[], [image, 'more'], [image, '--app', 'x']])
    assert.equal((await say(...words)).code, 2);
  assert.equal(await service.stop(), 0);
});

test('a container with a missing image waits for the pull, and events and the command line report its progress', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/created');
  const { root, service } = await start();
  const release = registry.hold();
  using making = await Pulling.open(root, { image, app: 'demo' }, '/v1/containers');
  await making.until(isHalf);
  release();
  const pulled = await making.until(({ event }) => event === 'pulled');
  const made = await making.end();
  assert.deepEqual(
    [pulled.data.image, made.event, made.data.state],
    [`${image}:latest`, 'created', 'running'],
  );
  const { Config } = await host.docker.getContainer(made.data.docker).inspect();
  assert.equal(Config.Image, `${image}:latest`);

  const say = async (...words: string[]) => {
    const command = host.start({
      env: { ROOT: root, APP_ENV: '' },
      arguments: ['create', '--app', 'demo', ...words],
    });
    return { code: await command.ended(), text: command.log(), lines: command.lines };
  };
  const other = registry.add('fractal/by-command');
  const shown = await say(other);
  assert.equal(shown.code, 0, shown.text);
  assert.match(shown.text, /^[0-9a-f]{12}: Pull complete$/m);
  assert.match(shown.text, new RegExp(`^${other}:latest is on this host: sha256:`, 'm'));
  assert.match(shown.text, /running/);
  const asJson = await say(registry.add('fractal/as-json'), '--json');
  assert.deepEqual([asJson.code, JSON.parse(asJson.text).state], [0, 'running'], asJson.text);
  const pulls = registry.layersAsked.length;
  const local = await say('fractal/elsewhere');
  assert.deepEqual([local.code, /^image\.missing: /m.test(local.text)], [1, true], local.text);
  const always = await say('fractal/elsewhere', '--pull', 'always');
  assert.match(always.text, /^image\.no_registry: .*DEFAULT_REGISTRY/m);
  assert.match((await say(`${image}:none`)).text, /^image\.not_found: /m);
  assert.equal(registry.layersAsked.length, pulls);
  assert.equal(await service.stop(), 0);
});

test('a container is not made if its client disconnects during the pull of its image', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/given-up');
  const { root, service } = await start();
  registry.hold();
  const making = await Pulling.open(root, { image, app: 'demo' }, '/v1/containers');
  await making.until(isHalf);
  making[Symbol.dispose]();
  const line = await service.message('could not pull an image');
  assert.equal(line.image, `${image}:latest`);
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  assert.equal(await service.stop(), 0);
});

test('the predecessor’s spin-up pulls a missing image if its name includes a registry', async () => {
  await using registry = await Registry.open();
  const image = registry.add('fractal/qualified');
  const other = registry.add('fractal/elsewhere');
  const refused = await spunUp({}, 'fractal/elsewhere');
  assert.match(
    refused.body,
    /"error":"image fractal\/elsewhere is not on this host; run \\"ecs-host-service pull/,
  );
  assert.equal((await spunUp({}, image)).image, `${image}:latest`);
  const DEFAULT_REGISTRY = other.replace(/\/.*/, '');
  assert.equal((await spunUp({ DEFAULT_REGISTRY }, 'fractal/elsewhere')).image, `${other}:latest`);
});

/**
 * Makes a separate service spin up a container.
 * @returns the answer, and the container's image
 */
async function spunUp(env: Readonly<Record<string, string>>, app_image: string) {
  const service = await host.start({ env: { ROOT: host.newRoot(), ...env } }).ready();
  const { status, body } = await spinUp(service, { app_image });
  assert.equal(status, body.includes('"error"') ? 406 : 200);
  const { result } = JSON.parse(body);
  const image = result && (await host.docker.getContainer(result).inspect()).Config.Image;
  assert.equal(await service.stop(), 0);
  return { body, image };
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { Docker } from '../../docker-engine/docker.ts';
import { type HeartbeatOptions, Heartbeats, type Outcome } from '../../host/heartbeats.ts';
import { Metadata } from '../../host/metadata.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { Metrics } from '../../src/metrics/metrics.ts';
import { ConfigHost } from '../support/config-host.ts';
import { NOTHING, numberOf, numbersOf, parse } from '../support/metrics.ts';
import { S3 } from '../support/s3.ts';
import { FACTS } from '../support/world.ts';

suite('calls to Docker', () => {
  /** An Engine whose server is `listener`, with metrics. */
  async function watched(t: TestContext, listener: RequestListener) {
    const directory = await mkdtempDisposable(join(tmpdir(), 'engine-'));
    const server = createServer(listener);
    const path = join(directory.path, 'docker.sock');
    await once(server.listen(path), 'listening');
    t.after(async () => {
      server.closeAllConnections();
      server.close();
      await directory.remove();
    });
    const metrics = new Metrics(NOTHING);
    return { metrics, docker: await Docker.open(path, metrics.dockerCall) };
  }

  const errors = (metrics: Metrics, call: string) => numberOf(metrics, 'docker_call_errors_total', { call });
  const count = (metrics: Metrics, call: string) => numberOf(metrics, 'docker_call_seconds_count', { call });

  test('are timed, and count as errors if they fail', async (t) => {
    let status = 200;
    const { metrics, docker } = await watched(t, (_, response) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end('{"Version":"29.0.0","ApiVersion":"1.52"}');
    });
    const before = performance.now();
    await docker.version();
    status = 500;
    await assert.rejects(docker.version(), { code: 'docker.failed' });
    const most = (performance.now() - before) / 1000;
    assert.deepEqual([await count(metrics, 'version'), await errors(metrics, 'version')], [2, 1]);
    const sum = (await numberOf(metrics, 'docker_call_seconds_sum', { call: 'version' })) ?? 0;
    assert.ok(sum > 0 && sum <= most, `${sum} s`);
    assert.deepEqual([await count(metrics, 'ping'), await errors(metrics, 'ping')], [0, 0]);
  });

  test('do not count as failed if they find nothing', async (t) => {
    const { metrics, docker } = await watched(t, (_, response) => response.writeHead(404).end('{}'));
    assert.equal(await docker.inspect('unknown'), undefined);
    assert.deepEqual([await count(metrics, 'inspect'), await errors(metrics, 'inspect')], [1, 0]);
  });

  test('do not count against Docker if they are aborted', async (t) => {
    const asked = Promise.withResolvers<void>();
    const { metrics, docker } = await watched(t, () => asked.resolve());
    const giveUp = new AbortController();
    const failed = assert.rejects(docker.ping(giveUp.signal));
    await asked.promise;
    giveUp.abort();
    await failed;
    assert.deepEqual([await count(metrics, 'ping'), await errors(metrics, 'ping')], [0, 0]);
  });
});

test('heartbeats are counted by their result, except one that the end cuts short', async () => {
  const lifetime = new Lifetime('host');
  const outcomes: Outcome[] = [];
  const ended = Promise.withResolvers<void>();
  const answers = [true, new Error('no answer'), true, ended.promise];
  const webserver = {
    handshake: async () => 'a token',
    heartbeat: async (_: unknown, signal: AbortSignal) => {
      const answer = answers.shift();
      if (answer === ended.promise) {
        ended.resolve();
        await once(signal, 'abort');
        signal.throwIfAborted();
      }
      if (answer instanceof Error) throw answer;
      return true;
    },
  };
  new Heartbeats(lifetime, {
    webserver: webserver as unknown as HeartbeatOptions['webserver'],
    metadata: new Metadata(async () => FACTS),
    kept: {
      exists: async () => false,
      read: async () => undefined,
      write: async () => {},
      forget: async () => {},
    },
    log: createLogger({ level: 'fatal', stream: { write: () => {} } }),
    onRegistration: () => {},
    onBeat: (outcome) => outcomes.push(outcome),
    pause: async () => {},
  });
  await ended.promise;
  await lifetime.end();
  assert.deepEqual(outcomes, ['ok', 'failed', 'ok']);
});

test('bytes of user configs are counted when they are stored, and while they wait for S3', async () => {
  await using s3 = await S3.open();
  const counted = { saved: 0, restored: 0 };
  await using host = await ConfigHost.open(s3, {
    onBytes: (direction, bytes) => {
      counted[direction] += bytes;
    },
  });
  const metrics = new Metrics({ ...NOTHING, userConfigs: host.configs });
  const spooled = async () => [
    await numberOf(metrics, 'config_spool_files'),
    await numberOf(metrics, 'config_spool_bytes'),
  ];
  assert.deepEqual(await spooled(), [0, 0]);
  const signal = AbortSignal.timeout(60_000);
  const first = await host.begin();
  assert.deepEqual(counted, { saved: 0, restored: 0 });
  await s3.turn('away');
  first.write({ file: 'of the user' });
  await first.session.checkpoint(signal);
  first.write({ file: 'changed', more: 'and more' });
  await host.tick();
  await first.session.save(signal);
  const [files, bytes = 0] = await spooled();
  assert.ok(files && files > 0 && bytes > 0 && bytes <= counted.saved, `${files} files, ${bytes} bytes`);
  await s3.turn('none');
  await host.configs.uploaded();
  assert.deepEqual(await spooled(), [0, 0]);
  const stored = (await s3.read((await s3.keys()).find((key) => key.endsWith('.age')) as string)).length;
  await host.begin();
  assert.equal(counted.restored, stored);
});

test('the delay of the event loop is reported', async () => {
  const metrics = new Metrics(NOTHING);
  await metrics.text();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const until = performance.now() + 400;
  while (performance.now() < until);
  const lag = await numbersOf(metrics, 'event_loop_lag_seconds', 'quantile');
  assert.deepEqual(Object.keys(lag).sort(), ['0.5', '0.99', '1']);
  const most = lag['1'] ?? 0;
  assert.ok(most >= 0.25 && most < 60, `${most} s`);
});

test('the metrics of the process have the usual names', async () => {
  const families = parse(await new Metrics(NOTHING).text());
  const value = (name: string) => families.get(name)?.samples[0]?.value ?? Number.NaN;
  assert.ok(Math.abs(value('process_start_time_seconds') * 1000 - performance.timeOrigin) <= 1000);
  const { user, system } = process.cpuUsage();
  const cpu = value('process_cpu_seconds_total');
  assert.ok(cpu > 0 && cpu <= (user + system) / 1e6, `${cpu} s`);
  assert.ok(value('process_resident_memory_bytes') > 10_000_000);
  assert.ok(value('nodejs_heap_size_used_bytes') > 1_000_000);
  assert.ok(value('nodejs_external_memory_bytes') > 0);
  const open = value('process_open_fds');
  assert.ok(open >= 3 && open <= value('process_max_fds'), `${open} descriptors`);
});

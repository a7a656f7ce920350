import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { fastify } from 'fastify';
import { Gpus } from '../../container/gpus.ts';
import { HostPorts } from '../../container/network/host-ports.ts';
import { WARM } from '../../container/pool/pool-spec.ts';
import { CAUSE_CODES, STATES, type State } from '../../container/state.ts';
import { CALLS } from '../../docker-engine/calls.ts';
import { addMetricsRoute } from '../../httpserver/metrics-route.ts';
import type { Page } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { Meters } from '../../src/metrics/definitions.ts';
import { Metrics, type Watched } from '../../src/metrics/metrics.ts';
import { SERVICE_PAGE } from '../../src/observe.ts';
import { Ttys } from '../../ttys/ttys.ts';
import { type Family, NOTHING, numberOf, numbersOf, PREFIX, parse } from '../support/metrics.ts';

function hosting(states: readonly State[], ttys = new Ttys([]), ports = new HostPorts([])): Watched {
  const list = () => states.map((state) => ({ view: { state } }));
  const gpus = new Gpus([], 1, 'nvidia');
  return { ...NOTHING, hosting: { tracker: { host: { ttys, ports, gpus }, list } } };
}

const isOurs = ({ name }: Family) => name.startsWith(PREFIX) && !name.endsWith('event_loop_lag_seconds');

suite('metrics before any event', () => {
  test('have a name, a unit and a description each, in the right format', async () => {
    const families = [...parse(await new Metrics(NOTHING).text()).values()];
    assert.deepEqual(
      families.map(({ name, type }) => `${type} ${name.replace(PREFIX, '…')}`),
      [
        'counter …container_ends_total',
        'histogram …container_step_seconds',
        'histogram …docker_call_seconds',
        'counter …docker_call_errors_total',
        'counter …pool_claims_total',
        'counter …heartbeats_total',
        'counter …config_bytes_total',
        'counter …config_alarms_total',
        'counter …releases_failed_total',
        'gauge …containers',
        'gauge …nodes',
        'gauge …containers_health',
        'gauge …pool_size',
        'gauge …pool_held',
        'gauge …config_spool_bytes',
        'gauge …config_spool_files',
        'gauge …predecessor_died',
        'gauge …ec2_notices',
        'gauge …ec2_notice_timestamp_seconds',
        'gauge …event_loop_lag_seconds',
        'counter process_cpu_seconds_total',
        'gauge process_start_time_seconds',
        'gauge process_resident_memory_bytes',
        'gauge process_open_fds',
        'gauge process_max_fds',
        'gauge nodejs_heap_size_used_bytes',
        'gauge nodejs_external_memory_bytes',
      ],
    );
    for (const { name, help } of families) assert.match(help, /^[A-Z1].*\.$/, name);
  });

  test('have all values of a label, at 0', async () => {
    const metrics = new Metrics(NOTHING);
    const zeros = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 0]));
    assert.deepEqual(await numbersOf(metrics, 'containers', 'state'), zeros([...STATES, WARM]));
    assert.deepEqual(await numbersOf(metrics, 'docker_call_errors_total', 'call'), zeros(Object.keys(CALLS)));
    assert.deepEqual(await numbersOf(metrics, 'heartbeats_total', 'outcome'), zeros(['ok', 'failed']));
    assert.deepEqual(
      await numbersOf(metrics, 'config_bytes_total', 'direction'),
      zeros(['saved', 'restored']),
    );
    for (const step of STATES.filter((state) => state !== 'gone')) {
      assert.equal(await numberOf(metrics, 'container_step_seconds_count', { step }), 0);
    }
    for (const call of Object.keys(CALLS)) {
      assert.equal(await numberOf(metrics, 'docker_call_seconds_count', { call }), 0);
    }
    assert.equal(await numberOf(metrics, 'releases_failed_total'), 0);
    assert.equal(await numberOf(metrics, 'predecessor_died'), 0);
  });

  test('have all causes of an end at 0, and no others', async () => {
    // They are listed between the causes of the start and those of the end.
    const ends = CAUSE_CODES.slice(CAUSE_CODES.indexOf('exited'), CAUSE_CODES.indexOf('released'));
    const values = await numbersOf(new Metrics(NOTHING), 'container_ends_total', 'code');
    assert.deepEqual(values, Object.fromEntries(ends.map((code) => [code, 0])));
  });

  test('have no value for what is not known or not kept', async () => {
    const families = parse(await new Metrics(NOTHING).text());
    for (const name of ['pool_size', 'pool_held', 'config_spool_bytes', 'config_spool_files']) {
      assert.deepEqual(families.get(PREFIX + name)?.samples, [], name);
    }
  });

  test('are the same for two requests', async () => {
    const metrics = new Metrics(hosting(['ready', 'ready', 'ending']));
    const ours = async () => [...parse(await metrics.text()).values()].filter(isOurs);
    assert.deepEqual(await ours(), await ours());
  });
});

suite('events before a request', () => {
  test('are included, however many there are', async () => {
    const metrics = new Metrics(NOTHING);
    for (let i = 0; i < 2500; i++) {
      metrics.configBytes('saved', 2);
      if (i % 900 === 0) await allElseHasRun();
    }
    assert.deepEqual(await numbersOf(metrics, 'config_bytes_total', 'direction'), {
      saved: 5000,
      restored: 0,
    });
    metrics.configBytes('restored', 7);
    assert.deepEqual(await numbersOf(metrics, 'config_bytes_total', 'direction'), {
      saved: 5000,
      restored: 7,
    });
  });

  test('are counted once for several concurrent requests', async () => {
    const metrics = new Metrics(NOTHING);
    metrics.heartbeat('failed');
    const texts = await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
    for (const text of texts)
      assert.match(text, /^ecs_host_service_heartbeats_total\{outcome="failed"\} 1$/m);
  });
});

test('pools have their current size and use', async (t) => {
  const lifetime = new Lifetime('container');
  t.after(() => lifetime.end());
  const ttys = new Ttys([10, 11, 12], async () => true);
  const ports = new HostPorts([2000, 2001], async () => true);
  const metrics = new Metrics(hosting([], ttys, ports));
  await ttys.acquire(lifetime, () => 'seen');
  await ttys.acquire(lifetime, () => 'seen');
  await ports.acquire(lifetime, 'udp');
  assert.deepEqual(await numbersOf(metrics, 'pool_size', 'pool'), {
    consoles: 3,
    tcp_ports: 2,
    udp_ports: 2,
  });
  assert.deepEqual(await numbersOf(metrics, 'pool_held', 'pool'), {
    consoles: 2,
    tcp_ports: 0,
    udp_ports: 1,
  });
});

test('a resource that could not be released is counted once, however often the release is retried', async () => {
  const metrics = new Metrics(NOTHING);
  const holding = {
    kind: 'directory',
    what: '/a/path',
    owner: { kind: 'container', id: 'the owner' },
    lifetime: 'the lifetime',
  };
  const error = new Error('busy');
  metrics.holding({ step: 'taking', holding });
  metrics.holding({ step: 'not taken', holding: { ...holding }, error });
  for (let i = 0; i < 3; i++) metrics.holding({ step: 'failed', holding, error });
  metrics.holding({ step: 'failed', holding: { ...holding }, error });
  metrics.holding({ step: 'gone', holding, seen: 'not there' });
  assert.equal(await numberOf(metrics, 'releases_failed_total'), 2);
  assert.doesNotMatch(await metrics.text(), /the owner|the lifetime|a\/path|directory/);
});

test('a predecessor counts as crashed if it left something behind and was not asked to stop', async () => {
  const died = async (name: string, facts: unknown) => {
    const left: Page[] = [{ name, entries: [], facts }];
    return await numberOf(new Metrics({ ...NOTHING, presence: { left } }), 'predecessor_died');
  };
  assert.equal(await died(SERVICE_PAGE, { pid: 1, wasRunning: true, isReported: true }), 1);
  assert.equal(await died(SERVICE_PAGE, { pid: 1 }), 1);
  assert.equal(await died(SERVICE_PAGE, undefined), 1);
  assert.equal(await died(SERVICE_PAGE, { pid: 1, wasRunning: false, isReported: true }), 0);
  assert.equal(await died('another page', { pid: 1 }), 0);
});

test('metrics do not keep the process alive, neither before nor after the first request', async () => {
  const keeping = () => process.getActiveResourcesInfo().filter((name) => name.includes('Histogram'));
  const meters = new Meters({
    states: () => [],
    healths: () => [],
    nodes: () => [],
    pools: () => [],
    spool: () => undefined,
    predecessorDied: () => false,
    notices: () => [],
  });
  assert.deepEqual(keeping(), []);
  await meters.text();
  assert.deepEqual(keeping(), []);
});

test('Prometheus gets the metrics only with GET, in its format', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  addMetricsRoute(app, new Metrics(NOTHING));
  const answer = await app.inject('/metrics');
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(parse(answer.body).get(`${PREFIX}containers`)?.samples.length, STATES.length + 1);
  assert.equal((await app.inject({ method: 'HEAD', url: '/metrics' })).statusCode, 404);
});

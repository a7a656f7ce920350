/** Releases that change only a part of the configuration. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forced, scaled, withVariables } from '../src/cli/partial.ts';
import { configOf } from '../src/config/read.ts';

const config = configOf(
  `
application: shop
stages: { live: { account: '123456789012', region: eu-west-1, cluster: c, record: r } }
images: { web: { repository: web } }
kinds: { portal: { count: 4, container: app } }
services:
  portal: { service: portal, kind: portal, containers: { app: { image: web }, proxy: {} } }
  worker: { service: worker, containers: { app: { image: web, environment: { A: a } } } }
scheduled:
  nightly: { families: job, schedule: rate(1 day), count: 2, containers: { app: { image: web } } }
tasks: { before: [{ name: migrate, family: portal }] }
`,
  'live',
  {},
  'the file',
);

test('restart replaces the tasks of the named services, or of all services, even if nothing changed', () => {
  const { services } = forced(config, ['worker']);
  assert.equal(services?.worker?.forceNewDeployment, true);
  assert.equal(services?.portal?.forceNewDeployment, undefined);
  assert.throws(() => forced(config, ['wroker']), /has no "wroker"\. It has: portal, worker\./);
});

test('scaling a service changes its count and nothing else', () => {
  const { services, scheduled, tasks } = scaled(config, 'portal', 0);
  assert.deepEqual(services, { portal: { service: 'portal', containers: {}, count: 0 } });
  assert.deepEqual([scheduled, tasks], [undefined, undefined]);
});

test('variables are set and removed only in containers with an image, and counts and schedules do not change', () => {
  const { services, scheduled, tasks } = withVariables(config, ['LEVEL=a=b', 'OLD='], []);
  const containers = { app: { environment: { LEVEL: 'a=b', OLD: null } } };
  assert.deepEqual(services, {
    portal: { service: 'portal', containers },
    worker: { service: 'worker', containers },
  });
  assert.deepEqual(scheduled, { nightly: { families: 'job', containers } });
  assert.equal(tasks, undefined);
  assert.deepEqual(Object.keys(withVariables(config, ['A=1'], ['nightly']).services ?? {}), []);
  assert.throws(() => withVariables(config, ['LEVEL'], []), /A variable must be NAME=VALUE/);
});

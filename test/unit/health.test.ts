/** The reports of a container's health, and Docker's view of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Events, isOfHealth } from '../../container/events.ts';
import { Health, type HealthChange, type HealthView } from '../../container/health.ts';
import { BEGUN } from '../../container/state.ts';
import type { ContainerView } from '../../container/view.ts';
import { healthIn } from '../../docker-engine/answers.ts';

test('only changes are reported, each with the result of the other check', () => {
  const told: HealthChange['code'][] = [];
  const health: Health = new Health(({ code }) => told.push(code));
  for (const docker of [undefined, 'starting', 'starting', 'unhealthy', undefined] as const)
    health.check(docker);
  for (const port of ['closed', 'closed', 'open'] as const) health.port(port);
  assert.deepEqual(told, ['starting', 'unhealthy', 'port-closed', 'port-open']);
  const { docker, port } = health.view as HealthView;
  assert.deepEqual([docker, port], ['unhealthy', 'open']);
});

test("Docker's check is found only at the end of a container's status", () => {
  const cases = [
    ['Up 3 minutes (healthy)', 'healthy'],
    ['Up 2 hours (unhealthy)', 'unhealthy'],
    ['Up 1 second (health: starting)', 'starting'],
    ['Up 3 minutes', undefined],
    ['Up 3 minutes (Paused)', undefined],
    ['Exited (0) 3 seconds ago', undefined],
    ['', undefined],
  ] as const;
  for (const [status, health] of cases) assert.equal(healthIn(status), health, status);
});

test('a change of health is an event in order with the others, and distinguishable from them', async () => {
  const [events, { signal }] = [new Events(), new AbortController()];
  const view = { state: 'ready' } as ContainerView;
  const following = events.follow(undefined, signal);
  events.tell(view, BEGUN);
  events.tell(view, { code: 'unhealthy', cause: 'a cause' });
  const read = [await following.next(), await following.next()].map(({ value }) => value);
  assert.deepEqual(read.map(isOfHealth), [false, true]);
  const { code, cause, container, from } = read[1];
  assert.deepEqual([code, cause, container, from], ['unhealthy', 'a cause', view, undefined]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerFacts } from '../../container/facts.ts';
import type { ContainerId } from '../../container/identity.ts';
import { LastView, type Viewed, viewOf } from '../../container/view.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';

const FACTS: ContainerFacts = {
  role: 'spin-up',
  appName: 'demo',
  ports: { '32262/tcp': 4000 },
  tty: 10,
  devices: [],
};

test('a view stays the same object until its container changes', () => {
  const last = new LastView();
  let viewed: Viewed = {
    id: 'a'.repeat(60) as ContainerId,
    docker: undefined,
    purpose: { role: 'spin-up', appName: 'demo' },
    state: 'preparing',
    began: new Date(1),
    since: new Date(1),
    facts: undefined,
    port: undefined,
  };
  let before = last.of(viewed);
  const values = { dpi: 96, containerArn: '', userId: '', clientAppAuthSecret: 'x' };
  for (const change of [
    { port: 4000 },
    { facts: FACTS },
    { docker: 'b'.repeat(64) as DockerId },
    { state: 'running' },
    { since: new Date(2) },
    { facts: { ...FACTS, startValues: values } },
  ] satisfies Partial<Viewed>[]) {
    assert.equal(last.of({ ...viewed }), before);
    viewed = { ...viewed, ...change };
    const view = last.of(viewed);
    assert.notEqual(view, before, Object.keys(change).join());
    assert.deepEqual(view, viewOf(viewed));
    before = view;
  }
});

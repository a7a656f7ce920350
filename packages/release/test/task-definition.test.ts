import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from '../src/release/difference.ts';
import { type Live, render } from '../src/release/task-definition.ts';

const DIGEST = `registry/web@sha256:${'a'.repeat(64)}`;

const live: Live = {
  definition: {
    taskDefinitionArn: 'arn:aws:ecs:r:1:task-definition/app:7',
    family: 'app',
    revision: 7,
    status: 'ACTIVE',
    requiresAttributes: [{ name: 'x' }],
    compatibilities: ['FARGATE'],
    registeredAt: new Date(0),
    registeredBy: 'somebody',
    deregisteredAt: new Date(0),
    cpu: '256',
    memory: '512',
    enableFaultInjection: false,
    volumes: [{ name: 'conf' }],
    containerDefinitions: [
      {
        name: 'proxy',
        image: 'registry/proxy:latest',
        dependsOn: [{ containerName: 'app', condition: 'START' }],
      },
      {
        name: 'app',
        image: 'registry/web:old',
        environment: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
        secrets: [{ name: 'PASSWORD', valueFrom: 'arn:x:PASSWORD::' }],
      },
    ],
  },
  tags: [{ key: 'team', value: 'shop' }],
};
const images = new Map([['web', DIGEST]]);

test('a new revision changes only the named container, keeps tags, and omits fields that ECS refuses', () => {
  const containers = { app: { image: 'web', environment: { B: '3', C: '4', A: null } } };
  const { containerDefinitions = [], ...rest } = render(live, { what: 'it', containers, images });
  assert.deepEqual(rest, {
    family: 'app',
    cpu: '256',
    memory: '512',
    enableFaultInjection: false,
    volumes: [{ name: 'conf' }],
    tags: [{ key: 'team', value: 'shop' }],
  });
  assert.deepEqual(containerDefinitions[0], live.definition.containerDefinitions?.[0]);
  assert.equal(containerDefinitions[1]?.image, DIGEST);
  assert.deepEqual(containerDefinitions[1]?.environment, [
    { name: 'B', value: '3' },
    { name: 'C', value: '4' },
  ]);
});

test('the listed keys of one secret become secrets of the container and replace variables of the same name', () => {
  const from = 'arn:aws:secretsmanager:r:1:secret:config';
  const containers = { app: { secrets: { from, keys: ['A', 'PASSWORD'] } } };
  const [, app] = render(live, { what: 'it', containers, images }).containerDefinitions ?? [];
  assert.deepEqual(app?.environment, [{ name: 'B', value: '2' }]);
  assert.deepEqual(app?.secrets, [
    { name: 'PASSWORD', valueFrom: `${from}:PASSWORD::` },
    { name: 'A', valueFrom: `${from}:A::` },
  ]);
});

test('a kind sets the size of its task definition and passes its name as application_type', () => {
  const kind = { name: 'indexer', kind: { vcpu: 0.5, memory: 1024 } };
  const rendered = render(live, { what: 'it', containers: { app: { image: 'web' } }, kind, images });
  assert.deepEqual([rendered.cpu, rendered.memory], ['512', '1024']);
  assert.deepEqual(rendered.containerDefinitions?.[1]?.environment?.at(-1), {
    name: 'application_type',
    value: 'indexer',
  });
});

test('the error for an unknown container lists the existing ones', () => {
  assert.throws(
    () => render(live, { what: 'The service portal', containers: { ap: {} }, images }),
    /The service portal has no container "ap" in app:7\. It has proxy, app\./,
  );
});

test('differences are listed by container, without the values of variables', () => {
  const containers = { app: { image: 'web', environment: { B: 'hunter2' } } };
  const changes = differences(live.definition, render(live, { what: 'it', containers, images }));
  assert.deepEqual(changes, [
    { container: 'app', field: 'image', from: 'registry/web:old', to: DIGEST },
    { container: 'app', field: 'environment B' },
  ]);
});

test('a revision that changes nothing has no differences', () => {
  const containers = { app: { environment: { A: '1' } }, proxy: {} };
  assert.deepEqual(differences(live.definition, render(live, { what: 'it', containers, images })), []);
});

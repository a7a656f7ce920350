import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { type Choice, chooseMode } from '../../ecs-agent-bridge/agent/choose.ts';
import { Introspection } from '../../ecs-agent-bridge/agent/introspection.ts';
import type { UnitState } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { pathsBelow } from '../../host/paths.ts';
import { describeAgent } from '../../src/describe-agent.ts';

interface There {
  readonly systemd?: true;
  readonly unit?: true;
  readonly image?: true;
  readonly archive?: true;
  readonly program?: true;
}

function hostWith(t: TestContext, there: There, wanted: Choice['wanted'] = 'auto'): Choice {
  const root = mkdtempSync(join(tmpdir(), 'choice-'));
  t.after(() => rmSync(root, { recursive: true }));
  const { agent: paths } = pathsBelow(root);
  const program = join(root, 'agent');
  if (there.systemd) mkdirSync(paths.systemd, { recursive: true });
  if (there.archive) {
    mkdirSync(paths.cache, { recursive: true });
    writeFileSync(join(paths.cache, 'ecs-agent.tar'), '');
  }
  if (there.program) writeFileSync(program, '', { mode: 0o755 });
  return {
    wanted,
    program,
    image: 'some/agent',
    paths,
    systemctl: { state: async () => ({ isLoaded: there.unit === true }) as UnitState },
    api: { hasImage: async () => there.image === true },
  };
}

suite('the way to run an agent', () => {
  test('is the unit if possible, otherwise the container, otherwise the program', async (t) => {
    const program = { program: true } as const;
    const image = { image: true, ...program } as const;
    const choose = (there: There) => chooseMode(hostWith(t, there));
    assert.equal(await choose({ systemd: true, unit: true, ...image }), 'unit');
    assert.equal(await choose({ unit: true, ...image }), 'container');
    assert.equal(await choose({ systemd: true, ...image }), 'container');
    assert.equal(await choose({ archive: true, ...program }), 'container');
    assert.equal(await choose({ systemd: true, ...program }), 'binary');
  });

  test('is the configured one, or none', async (t) => {
    const all = { systemd: true, unit: true, image: true, program: true } as const;
    for (const mode of ['unit', 'container', 'binary'] as const)
      assert.equal(await chooseMode(hostWith(t, all, mode)), mode);
    assert.equal(await chooseMode(hostWith(t, all, 'none')), undefined);
  });

  test('is refused if it is not available, with what was looked for', async (t) => {
    const refused = (there: There, why: RegExp, wanted?: Choice['wanted']) =>
      assert.rejects(chooseMode(hostWith(t, there, wanted)), { code: 'agent.not_found', message: why });
    await refused({}, /systemd does not run, Docker has no image some\/agent.*, there is no program/);
    await refused({ systemd: true }, /systemd has no ecs\.service/, 'unit');
    await refused({ program: true }, /Docker has no image .*ecs-agent\.tar/, 'container');
    await refused({ image: true }, /there is no program .*; install/, 'binary');
  });

  test('is not the program if that cannot be run', async (t) => {
    const host = hostWith(t, { program: true }, 'binary');
    chmodSync(host.program, 0o644);
    await assert.rejects(chooseMode(host), { code: 'agent.not_found' });
    rmSync(host.program);
    mkdirSync(host.program);
    await assert.rejects(chooseMode(host), { code: 'agent.not_found', message: /is not a file/ });
  });
});

suite("the agent's answer about itself", () => {
  async function serve(t: TestContext, status: number, body: string): Promise<Introspection> {
    const server = createServer((_, response) => response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    return new Introspection(new URL(`http://127.0.0.1:${port}`));
  }

  test('contains its cluster, container instance, version and tasks', async (t) => {
    const metadata = { Cluster: 'live', ContainerInstanceArn: 'arn', Version: 'v', More: 1 };
    const agent = await serve(t, 200, JSON.stringify({ ...metadata, Tasks: null }));
    assert.deepEqual(await agent.metadata(), { cluster: 'live', containerInstance: 'arn', version: 'v' });
    assert.deepEqual(await agent.tasks(), []);
  });

  test('is what the doctor shows, with the tasks', async (t) => {
    const task = {
      Arn: 'arn:task',
      Family: 'demo',
      Version: '3',
      DesiredStatus: 'STOPPED',
      KnownStatus: 'RUNNING',
      Containers: [
        { DockerId: 'abc', Name: 'main', Ports: [{ ContainerPort: 1, Protocol: 'tcp', HostPort: 2 }] },
      ],
    };
    const metadata = { Cluster: 'live', ContainerInstanceArn: 'arn', Version: 'v1' };
    const agent = await serve(t, 200, JSON.stringify({ ...metadata, Tasks: [task] }));
    assert.deepEqual(await describeAgent(agent), [
      'ECS agent:          v1',
      'cluster:            live',
      'container instance: arn',
      'task arn:task: demo:3, RUNNING, to be STOPPED',
      '  main abc 1/tcp → 2',
    ]);
    const nobody = new Introspection(new URL('http://127.0.0.1:1'));
    assert.match(String(await describeAgent(nobody)), /^the ECS agent does not answer at .*: none runs, or/);
  });

  test('lists each port once, although the agent has it for IPv4 and for IPv6', async (t) => {
    const port = (ContainerPort: number, HostPort: number, Protocol = 'tcp') => ({
      ContainerPort,
      HostPort,
      Protocol,
    });
    const Ports = [port(1, 2), port(1, 2), port(1, 3), port(1, 2, 'udp')];
    const Containers = [{ DockerId: 'd', Name: 'n', Ports }];
    const task = { Arn: 'a', Family: 'f', Version: '1', KnownStatus: 'RUNNING', Containers };
    const agent = await serve(t, 200, JSON.stringify({ Tasks: [task] }));
    const [found] = await agent.tasks();
    assert.deepEqual(found?.containers[0]?.ports, ['1/tcp → 2', '1/tcp → 3', '1/udp → 2']);
  });

  test('may lack fields that a task does not have yet', async (t) => {
    const task = { Arn: 'a', Family: 'f', Version: '1', DesiredStatus: '', KnownStatus: 'NONE' };
    const containers = [{ DockerId: 'd', Name: 'n' }];
    const agent = await serve(
      t,
      200,
      JSON.stringify({
        Tasks: [
          { ...task, Containers: null },
          { ...task, Containers: containers },
        ],
      }),
    );
    assert.deepEqual(
      (await agent.tasks()).map((one) => [one.desiredStatus, one.containers]),
      [
        [undefined, []],
        [undefined, [{ name: 'n', dockerId: 'd', ports: [] }]],
      ],
    );
  });

  test('is understood for full hosts too', async (t) => {
    const task = {
      Arn: 'a',
      Family: 'f'.repeat(10_000),
      Version: '1',
      KnownStatus: 'RUNNING',
      Containers: [],
    };
    const agent = await serve(t, 200, JSON.stringify({ Tasks: Array(54).fill(task) }));
    assert.equal((await agent.tasks()).length, 54);
  });

  test("is refused if it does not have the form of an agent's answer", async (t) => {
    for (const [status, body, why] of [
      [500, '{}', /status 500/],
      [200, '{}', /not an ECS agent's/],
      [200, 'hello', /JSON/],
      [200, JSON.stringify({ Tasks: 'x'.repeat(5_000_000) }), /does not answer at http/],
    ] as const) {
      const agent = await serve(t, status, body);
      await assert.rejects(agent.tasks(), why);
    }
  });

  test('is awaited for at most two seconds, or for less if its caller says so', async (t) => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.closeAllConnections());
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const agent = new Introspection(new URL(`http://127.0.0.1:${port}`));
    await assert.rejects(agent.metadata(), /within 2000 ms/);
    await assert.rejects(agent.metadata(undefined, 10), /within 10 ms/);
    await assert.rejects(agent.tasks(AbortSignal.abort(new Error('enough'))), /enough/);
  });
});

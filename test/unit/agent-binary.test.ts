import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { AGENT_PAGE, stopLeftAgent } from '../../ecs-agent-bridge/agent/left-agent.ts';
import { end, findProcesses, identify, isRunning, kill, type ProcessIdentity } from '../../host/processes.ts';
import { AgentSite } from '../support/fake-agent-site.ts';
import { until } from '../support/site.ts';

const KILLED = /^the ECS agent did not exit when asked/;
const FAST = { timing: { restart: { shortest: 10, longest: 20 }, look: { shortest: 10, longest: 10 } } };

test('an agent runs as a process, registers, and is stopped without leaving anything behind', async () => {
  await using site = await AgentSite.open();
  const agent = await site.begin(FAST);
  await site.registers();
  const [{ pid, environment } = assert.fail()] = site.starts;
  assert.equal(environment.DOCKER_HOST, `unix://${site.socket}`);
  assert.equal(environment.ECS_RESERVED_PORTS, '[22,2375,2376,51678,51679,4678]');
  const [page] = site.ledger.open().filter(({ name }) => name === AGENT_PAGE);
  assert.deepEqual(page?.facts, identify(pid));
  assert.deepEqual(page?.entries, [ENTRY]);
  await Promise.all([agent.stop(), agent.stop()]);
  assert.equal(identify(pid), undefined);
  assert.ok(!site.ledger.open().some(({ name }) => name === AGENT_PAGE));
  await site.says('Agent received termination signal');
  assert.ok(!site.lines.some(({ level }) => level === 'warn'));
});

test("the agent's log lines appear in the service's log, in either format", async () => {
  await using site = await AgentSite.open({ plan: [{ exit: 1 }, {}] });
  await site.begin(FAST);
  await site.registers();
  for (const [times, level] of [
    [1, 'info'],
    [2, 'info'],
  ] as const) {
    const line = await site.says('Docker answers with 200', times);
    assert.equal(line.level, level);
    assert.equal((line.agent as Record<string, unknown>).module, 'fake.go');
  }
  assert.equal((await site.says('Ends with 1 on purpose')).level, 'error');
});

test('secrets from ecs.config are not logged, even if the agent logs them', async () => {
  await using site = await AgentSite.open({ config: 'AWS_SECRET_ACCESS_KEY=hush-hush-hush' });
  await site.begin(FAST);
  await site.registers();
  await site.tell('log', 'level=error time=t msg="the key is hush-hush-hush" module=x.go key=hush-hush-hush');
  await site.says('the key is [secret]');
  assert.equal(site.starts[0]?.environment.AWS_SECRET_ACCESS_KEY, 'hush-hush-hush');
  assert.doesNotMatch(JSON.stringify(site.lines), /hush/);
});

test('no setting or secret of the service reaches the agent', async () => {
  await using site = await AgentSite.open();
  const environment = { PATH: process.env.PATH, WEBSERVER_AUTH_SECRET: 'hush', ECS_AGENT: 'binary' };
  await site.begin({ ...FAST, environment });
  await site.registers();
  const seen = site.starts[0]?.environment ?? {};
  assert.equal(seen.WEBSERVER_AUTH_SECRET, undefined);
  assert.equal(seen.ECS_AGENT, undefined);
});

test('an agent that exits is restarted, and one that exits with code 5 is not, and the host drains', async () => {
  await using site = await AgentSite.open({ plan: [{ exit: 1 }, { exit: 2 }, {}, { exit: 5 }] });
  await site.begin(FAST);
  await site.registers();
  await site.tell('exit', '0');
  await site.says('Ends with 5 on purpose');
  await until('it has ended', () => site.drained === 1);
  assert.equal(site.starts.length, 4);
  const final = await site.says(/exit code 5/);
  assert.deepEqual((final.lastLines as string[]).at(-1), 'Ends with 5 on purpose');
});

test('an agent that ignores SIGTERM is killed after its grace period, with a warning', async (t) => {
  await using site = await AgentSite.open({ plan: [{ isDeaf: true }] });
  const agent = await site.begin(FAST);
  await site.registers();
  const { pid } = site.starts[0] ?? assert.fail();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const stopped = agent.stop();
  await new Promise((resolve) => setImmediate(resolve));
  await site.says('Agent does not hear');
  assert.ok(identify(pid));
  t.mock.timers.tick(10_000);
  await stopped;
  assert.equal(identify(pid), undefined);
  assert.equal((await site.says(KILLED)).level, 'warn');
});

test('an agent that is starting when Docker goes away is killed, and started again when Docker is back', async () => {
  await using site = await AgentSite.open({ plan: [{ hangs: true }, {}] });
  const agent = await site.begin(FAST);
  await site.says('Docker answers with 200');
  const { pid } = site.starts[0] ?? assert.fail();
  site.dockerAnswers = false;
  await agent.dockerLost();
  assert.equal(identify(pid), undefined);
  site.dockerAnswers = true;
  await site.registers();
  assert.equal(site.starts.length, 2);
});

test('the start of a program that cannot be run is retried and logged', async () => {
  await using site = await AgentSite.open();
  writeFileSync(site.program, '#!/nowhere\n');
  await site.begin(FAST);
  const ended = /^the ECS agent exited with exit code 12[67]/;
  assert.equal((await site.says(ended)).level, 'error');
  assert.equal((await site.says(ended, 2)).level, 'warn');
});

test('without an agent the service does not start, unless it is configured to have none', async () => {
  await using site = await AgentSite.open();
  const settings = { ...site.options().settings, ECS_AGENT_BINARY: join(site.paths.root, 'none') };
  await assert.rejects(site.begin({ settings }), {
    code: 'agent.not_found',
    message: /there is no program .*\/none; install .* or set ECS_AGENT=none/,
  });
  await assert.rejects(site.begin({ settings: { ...settings, ECS_AGENT: 'none' } }), /there is no agent/);
});

test('invalid settings of the agent fail the start, and nothing is held', async () => {
  await using site = await AgentSite.open({ config: 'nonsense' });
  await assert.rejects(site.begin(), { code: 'agent.config', message: /line 4/ });
  assert.deepEqual(site.lifetime.holdings.list(), []);
});

test("the agent's directories are created", async () => {
  await using site = await AgentSite.open();
  await site.begin(FAST);
  for (const path of ['var/lib/ecs/data', 'var/log/ecs'])
    assert.ok(existsSync(join(site.paths.root, path)), path);
});

suite('tasks', () => {
  const task = (dockerId: string, KnownStatus: string) => ({
    Arn: `arn:task/${dockerId}`,
    Family: 'demo',
    Version: '3',
    DesiredStatus: 'STOPPED',
    KnownStatus,
    Containers: [
      { DockerId: dockerId, Name: 'main', Ports: [{ ContainerPort: 1, Protocol: 'tcp', HostPort: 2 }] },
    ],
  });

  test('are settled once the agent knows that all tasks with these containers have ended', async () => {
    await using site = await AgentSite.open();
    const agent = await site.begin(FAST);
    await site.registers();
    const never = new AbortController();
    assert.equal(await agent.settled(['unknown'], never.signal), true);
    await site.tell('tasks', JSON.stringify({ Tasks: [task('a', 'RUNNING'), task('b', 'RUNNING')] }));
    let isSettled = false;
    const settled = agent.settled(['a'], never.signal).then((is) => {
      isSettled = true;
      return is;
    });
    const late = agent.settled(['b'], AbortSignal.timeout(100));
    assert.equal(await late, false);
    assert.equal(isSettled, false);
    await site.tell('tasks', JSON.stringify({ Tasks: [task('a', 'STOPPED'), task('b', 'RUNNING')] }));
    assert.equal(await settled, true);
  });

  test('are not waited for if no agent runs that could report to ECS', async () => {
    await using site = await AgentSite.open({ plan: [{ hangs: true }] });
    const agent = await site.begin(FAST);
    assert.equal(await agent.settled(['a'], new AbortController().signal), false);
  });
});

async function sleeper(...words: string[]): Promise<ProcessIdentity & AsyncDisposable> {
  const child = spawn('sh', ['-c', ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const identity = identify(child.pid as number) ?? assert.fail();
  return { ...identity, [Symbol.asyncDispose]: async () => void child.kill('SIGKILL') };
}

suite('processes', () => {
  test('are identified by their pid and start time', async () => {
    await using one = await sleeper('echo; read x');
    assert.equal(isRunning(one), true);
    assert.equal(isRunning({ ...one, startTime: '1' }), false);
    await end([{ ...one, startTime: '1' }], 0);
    assert.equal(isRunning(one), true, 'another process with that pid is left alone');
    await end([one], 10_000);
    assert.equal(isRunning(one), false);
    await end([one], 10_000);
  });

  test('that ignore SIGTERM are killed', async () => {
    await using one = await sleeper('trap "" TERM; echo; while :; do read x; done');
    assert.equal(await end([one], 50), true);
    assert.equal(isRunning(one), false);
    assert.equal(await end([one], 50), false);
  });

  test('that cannot be killed are not waited for without limit', async (t) => {
    await using one = await sleeper('echo; read x');
    await using bin = await mkdtempDisposable(join(tmpdir(), 'agent-'));
    writeFileSync(join(bin.path, 'sh'), '#!/bin/sh\n', { mode: 0o755 });
    const { PATH } = process.env;
    t.after(() => {
      process.env.PATH = PATH;
    });
    process.env.PATH = bin.path;
    let now = 0;
    t.mock.method(performance, 'now', () => (now += 1000));
    await assert.rejects(kill(one), {
      code: 'still.there',
      message: /^process \d+ is still there: it was killed/,
    });
    assert.ok(isRunning(one));
  });

  test('in their own network namespace are not found, whatever they claim', async (t) => {
    const variable = `AGENT_OF=${process.pid}`;
    const begin = async (program: string, ...words: string[]) => {
      const env = { PATH: process.env.PATH, AGENT_OF: String(process.pid) };
      const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], env });
      t.after(() => child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      return identify(child.pid as number);
    };
    const shell = ['sh', '-c', 'echo; read x', '/agent'] as const;
    const ours = await begin(...shell);
    await begin('unshare', '--net', ...shell);
    assert.deepEqual(await findProcesses(variable), [ours]);
    assert.deepEqual(await findProcesses(variable, '/agent'), [ours]);
    assert.deepEqual(await findProcesses(variable, '/another'), []);
  });

  test('that do not exist have no identity', () => {
    assert.equal(identify(0), undefined);
    assert.equal(identify(2 ** 22), undefined);
    assert.equal(identify(process.pid)?.pid, process.pid);
  });
});

const ENTRY = {
  kind: 'ecs agent',
  what: 'binary',
  owner: { kind: AGENT_PAGE },
  lifetime: 'ecs agent',
};

suite('an agent that a dead service left behind', () => {
  test('is stopped only if its pid and start time match, and stopping it again does no harm', async () => {
    await using site = await AgentSite.open();
    await using one = await sleeper('echo; read x');
    const pageWith = (facts: unknown) => ({
      name: AGENT_PAGE,
      entries: [ENTRY],
      facts,
    });
    await stopLeftAgent([pageWith({ ...one, startTime: '1' })], site.options());
    assert.ok(isRunning(one));
    await stopLeftAgent([pageWith(undefined)], site.options());
    assert.ok(isRunning(one));
    await stopLeftAgent([], site.options());
    for (let i = 0; i < 2; i++) await stopLeftAgent([pageWith(one)], site.options());
    assert.equal(isRunning(one), false);
  });

  test('is killed with a warning if it ignores SIGTERM', async (t) => {
    await using site = await AgentSite.open();
    await using one = await sleeper('trap "" TERM; echo; while :; do read x; done');
    let now = 0;
    t.mock.method(performance, 'now', () => (now += 1000));
    await stopLeftAgent([{ name: AGENT_PAGE, entries: [ENTRY], facts: one }], site.options());
    assert.equal(isRunning(one), false);
    assert.equal((await site.says(KILLED)).level, 'warn');
  });

  test('has its page removed from the ledger', async () => {
    await using site = await AgentSite.open();
    site.ledger.note(AGENT_PAGE, { pid: 2 ** 22, startTime: '1' });
    assert.ok(readdirSync(site.paths.ledger).includes(AGENT_PAGE));
    await stopLeftAgent(site.ledger.open(), site.options());
    assert.ok(!existsSync(site.paths.ledger) || !readdirSync(site.paths.ledger).includes(AGENT_PAGE));
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import type { EcsAgentOptions } from '../../ecs-agent-bridge/agent/ecs-agent.ts';
import { AGENT_PAGE, stopLeftAgent } from '../../ecs-agent-bridge/agent/left-agent.ts';
import { Systemctl } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { Unit } from '../../ecs-agent-bridge/agent/unit.ts';
import { findProcesses } from '../../host/processes.ts';
import { AgentSite, type AgentSiteOptions } from '../support/fake-agent-site.ts';
import { until } from '../support/site.ts';

const FAST = { timing: { restart: { shortest: 10, longest: 20 }, look: { shortest: 10, longest: 10 } } };

/** A host with systemd and ecs.service on it. */
class UnitSite implements AsyncDisposable {
  readonly site: AgentSite;
  readonly #fake: string;

  static async open(options: AgentSiteOptions = {}): Promise<UnitSite> {
    return new UnitSite(await AgentSite.open(options));
  }

  private constructor(site: AgentSite) {
    this.site = site;
    const bin = join(site.paths.root, 'bin');
    this.#fake = join(bin, 'unit');
    mkdirSync(this.#fake, { recursive: true });
    mkdirSync(site.paths.agent.systemd, { recursive: true });
    copyFileSync(join(import.meta.dirname, '../support/fake-agent-systemctl.sh'), join(bin, 'systemctl'));
    this.set('load', 'loaded');
    this.set('active', 'inactive');
    this.set('settings', site.paths.agent.packagedConfig);
  }

  get options(): EcsAgentOptions {
    const { paths } = this.site;
    return this.site.options({
      ...FAST,
      environment: { PATH: `${join(paths.root, 'bin')}:${process.env.PATH}` },
      // The layout of a service's host whose root is /.
      proxySocket: `/run/ecs-host-service/${process.pid}.sock`,
      settings: { ...this.site.options().settings, ECS_AGENT: 'auto' },
    });
  }

  get line(): string {
    return `DOCKER_HOST=unix:///var/run/ecs-host-service/${process.pid}.sock`;
  }

  get dropIn(): string {
    return join(this.site.paths.agent.systemd, 'ecs.service.d/ecs-host-service.conf');
  }

  get settings(): string | undefined {
    const { packagedConfig } = this.site.paths.agent;
    return existsSync(packagedConfig) ? readFileSync(packagedConfig, 'utf8') : undefined;
  }

  set(name: string, text: string): void {
    writeFileSync(join(this.#fake, name), text);
  }

  unset(name: string): void {
    rmSync(join(this.#fake, name));
  }

  /** The calls to systemd. */
  get calls(): string[] {
    return this.#calls.filter((call) => !call.startsWith('show'));
  }

  get #calls(): string[] {
    return readFileSync(join(this.#fake, 'calls'), 'utf8').trim().split('\n');
  }

  /** The number of checks. */
  get looks(): number {
    return this.#calls.filter((call) => call.startsWith('show')).length;
  }

  /** Resolves after so many more checks, the last one from start to end. */
  async looked(times: number): Promise<void> {
    const before = this.looks;
    await until('the unit is checked', () => this.looks > before + times);
  }

  /** Whether the last call was a check. */
  get wasLookedAt(): boolean {
    return this.#calls.at(-1)?.startsWith('show') === true;
  }

  async agents(): Promise<number> {
    return (await findProcesses(this.line, '/agent')).length;
  }

  /** The unit exits by itself, with its agent. */
  ends(code: number, status = `Result=exit-code\nExecMainCode=1\nExecMainStatus=${code}\n`): void {
    this.set('status', status);
    this.set('active', code === 0 ? 'inactive' : 'failed');
  }

  /** Resolves when systemd has started it so many times. */
  async started(times: number): Promise<void> {
    await this.site.says('started the ECS agent', times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    assert.equal(await this.agents(), 0);
  }
}

test('the unit of the agent is started with a drop-in and one line of configuration, which are removed again', async () => {
  await using unit = await UnitSite.open();
  const { site } = unit;
  const agent = await site.begin(unit.options);
  await unit.started(1);
  assert.equal((await site.says('started the ECS agent')).mode, 'unit');
  assert.deepEqual(unit.calls, ['daemon-reload', 'start --no-block ecs.service']);
  assert.match(readFileSync(unit.dropIn, 'utf8'), /^\[Service\]\nUnsetEnvironment=DOCKER_HOST\nRestart=no$/m);
  assert.equal(unit.settings, `${unit.line}\n`);
  await until('its agent runs', async () => (await unit.agents()) === 1);
  await agent.stop();
  assert.equal(await unit.agents(), 0);
  assert.deepEqual(unit.calls.slice(2), ['stop --no-block ecs.service', 'daemon-reload']);
  assert.deepEqual([existsSync(unit.dropIn), unit.settings], [false, undefined]);
  assert.ok(!site.ledger.open().some(({ name }) => name === AGENT_PAGE));
});

test('other settings of the packages stay, and the service adds one line', async () => {
  await using unit = await UnitSite.open();
  const { site } = unit;
  const { packagedConfig } = site.paths.agent;
  mkdirSync(site.paths.agent.state, { recursive: true });
  const others = '# theirs\nDOCKER_HOST=unix:///var/run/docker.sock\nECS_X=1';
  writeFileSync(packagedConfig, `DOCKER_HOST=unix:///var/run/ecs-host-service/old.sock\n${others}`, {
    mode: 0o600,
  });
  const agent = await site.begin(unit.options);
  await unit.started(1);
  assert.equal(unit.settings, `${others}\n${unit.line}\n`);
  await agent.stop();
  assert.equal(unit.settings, `${others}\n`);
  assert.equal(statSync(packagedConfig).mode & 0o777, 0o600);
});

test('a unit that is already running is stopped first', async () => {
  await using unit = await UnitSite.open();
  unit.set('active', 'active');
  unit.set('agent', String(2 ** 22));
  await unit.site.begin(unit.options);
  await unit.started(1);
  assert.deepEqual(unit.calls, [
    'daemon-reload',
    'stop --no-block ecs.service',
    'start --no-block ecs.service',
  ]);
});

suite('a unit that exits', () => {
  for (const [how, code, status] of [
    ['exit code 1', 1, undefined],
    ['exit code 0', 0, 'Result=success\nExecMainCode=1\nExecMainStatus=0\n'],
    ['signal 9', 1, 'Result=signal\nExecMainCode=2\nExecMainStatus=9\n'],
    ['exit code 1', 1, 'Result=exit-code\nExecMainCode=0\nExecMainStatus=0\n'],
  ] as const) {
    test(`with ${how} (${status?.split('\n')[1] ?? 'by itself'}) is restarted`, async () => {
      await using unit = await UnitSite.open();
      await unit.site.begin(unit.options);
      await unit.started(1);
      unit.ends(code, status);
      await unit.started(2);
      await unit.site.says(
        `the ECS agent exited with ${how}, and the service restarts it; the last lines of its output say why`,
      );
    });
  }

  test('with code 5 is not restarted', async () => {
    await using unit = await UnitSite.open();
    await unit.site.begin(unit.options);
    await unit.started(1);
    unit.ends(5);
    await unit.site.says(/exit code 5/);
    assert.equal(unit.site.drained, 1);
  });

  test('and that someone else starts is restarted by the service', async () => {
    await using unit = await UnitSite.open();
    await unit.site.begin(unit.options);
    await unit.started(1);
    await unit.looked(2);
    unit.set('invocation', 'another');
    await unit.started(2);
    assert.ok(unit.calls.includes('stop --no-block ecs.service'));
  });
});

test('a unit that has not started yet has not exited', async () => {
  await using unit = await UnitSite.open();
  await unit.site.begin(unit.options);
  await unit.started(1);
  unit.set('job', '77');
  unit.set('active', 'inactive');
  await unit.looked(2);
  assert.ok(!unit.site.lines.some(({ msg }) => /ended with/.test(String(msg))));
  unit.set('job', '0');
  await unit.started(2);
});

test('the start of a unit that cannot be started is retried and logged with what to do', async () => {
  await using unit = await UnitSite.open();
  unit.set('start-fails', '');
  await unit.site.begin(unit.options);
  const { msg } = await unit.site.says(/^"systemctl start/);
  assert.match(String(msg), /failed: it is masked; see "journalctl --unit=ecs"/);
  unit.unset('start-fails');
  await unit.site.says('started the ECS agent');
});

test('a unit that does not stop within 10 s is killed', async (t) => {
  await using unit = await UnitSite.open();
  const agent = await unit.site.begin(unit.options);
  await unit.started(1);
  unit.set('deaf', '');
  // The clock jumps when the grace period has begun.
  const now = performance.now.bind(performance);
  const isAsked = () => unit.calls.includes('stop --no-block ecs.service');
  t.mock.method(performance, 'now', () => now() + (isAsked() && unit.wasLookedAt ? 10_001 : 0));
  await agent.stop();
  assert.ok(unit.calls.includes('kill --signal=SIGKILL ecs.service'));
  assert.equal(await unit.agents(), 0);
  assert.equal((await unit.site.says(/^the ECS agent did not exit when asked/)).level, 'warn');
});

test('if Docker is lost while the agent starts, the unit and the agent that it leaves behind are killed', async () => {
  await using unit = await UnitSite.open();
  const agent = await unit.site.begin(unit.options);
  await unit.started(1);
  await until('its agent runs', async () => (await unit.agents()) === 1);
  unit.set('deaf', '');
  await agent.dockerLost();
  assert.equal(await unit.agents(), 0);
  assert.ok(unit.calls.includes('kill --signal=SIGKILL ecs.service'));
  await unit.started(2);
});

test("the agent's log is read from its file", async () => {
  await using unit = await UnitSite.open();
  const file = join(unit.site.paths.agent.log, 'ecs-agent.log');
  mkdirSync(unit.site.paths.agent.log, { recursive: true });
  writeFileSync(file, 'level=info time=t msg="of another time"\n');
  await unit.site.begin(unit.options);
  await unit.site.says('started the ECS agent');
  appendFileSync(file, 'level=error time=t msg="of now"\n');
  assert.equal((await unit.site.says('of now')).level, 'error');
  assert.ok(!unit.site.lines.some(({ msg }) => msg === 'of another time'));
});

test('DOCKER_HOST in ecs.config is refused because the unit would prefer it', async () => {
  await using unit = await UnitSite.open({ config: 'DOCKER_HOST=unix:///x' });
  await assert.rejects(unit.site.begin(unit.options), {
    code: 'agent.config',
    message: /DOCKER_HOST must go/,
  });
  assert.equal(existsSync(unit.dropIn), false);
});

test("a socket that the unit's container cannot see is refused", async () => {
  await using unit = await UnitSite.open();
  const proxySocket = '/tmp/agent.sock';
  await assert.rejects(unit.site.begin({ ...unit.options, proxySocket }), { code: 'agent.socket' });
});

test("if ECS could place a task on the service's port, a warning says so", async () => {
  await using unit = await UnitSite.open();
  await unit.site.begin(unit.options);
  await unit.site.says(/add 4678 to ECS_RESERVED_PORTS/);
});

test('while ecs.service runs, no other agent is started beside it', async () => {
  await using unit = await UnitSite.open();
  unit.set('active', 'active');
  const { options } = unit;
  await assert.rejects(
    unit.site.begin({ ...options, settings: { ...options.settings, ECS_AGENT: 'binary' } }),
    {
      code: 'agent.unit_runs',
    },
  );
});

test("a dead service's unit is stopped, and the changes to it are undone", async () => {
  await using unit = await UnitSite.open();
  const { site, options } = unit;
  const timing = { restart: { shortest: 60_000, longest: 60_000 } };
  const agent = await site.begin({ ...options, timing });
  await until('its agent runs', async () => (await unit.agents()) === 1);
  const pages = site.ledger.open();
  const changed = [unit.dropIn, site.paths.agent.packagedConfig];
  // It died while it wrote them.
  for (const path of changed)
    writeFileSync(join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`), '');
  for (let i = 0; i < 2; i++) await stopLeftAgent(pages, options);
  assert.equal(await unit.agents(), 0);
  assert.deepEqual([existsSync(dirname(unit.dropIn)), unit.settings], [false, undefined]);
  assert.deepEqual(readdirSync(site.paths.agent.state), ['data']);
  await agent.stop();
});

test('the end of an earlier attempt to run a unit does not affect the unit of a later attempt', async () => {
  await using unit = await UnitSite.open();
  const { site, options } = unit;
  const { proxySocket: socket, environment } = options;
  const reports = { line: () => {}, note: () => {}, killed: () => {} };
  mkdirSync(site.paths.agent.log, { recursive: true });
  mkdirSync(site.paths.agent.state, { recursive: true });
  const way = new Unit({ systemctl: new Systemctl(environment), paths: site.paths.agent, socket, reports });
  await way.prepare(site.lifetime);
  const { signal } = site.lifetime;
  const first = await way.start(signal);
  unit.ends(1);
  await first.ended;
  const second = await way.start(signal);
  await until('its agent runs', async () => (await unit.agents()) === 1);
  await first.stop(10_000);
  await first.kill();
  await first.seenGone();
  assert.equal(await unit.agents(), 1);
  assert.deepEqual(unit.calls, [
    'daemon-reload',
    'start --no-block ecs.service',
    'start --no-block ecs.service',
  ]);
  await second.stop(10_000);
});

test('a change of the unit that could not be undone is reported, and undone by the next attempt', async () => {
  await using unit = await UnitSite.open();
  const { site } = unit;
  const agent = await site.begin(unit.options);
  await unit.started(1);
  unit.set('revive', unit.dropIn);
  await agent.stop();
  await site.says('could not be ended');
  assert.deepEqual(
    site.lifetime.holdings
      .list()
      .map(({ what }) => what)
      .filter((what) => what === unit.dropIn),
    [unit.dropIn],
  );
  unit.unset('revive');
  await site.lifetime.holdings.retry();
  assert.equal(existsSync(unit.dropIn), false);
});

test('systemd is asked about a running unit when its process is gone, and at intervals', async (t) => {
  await using unit = await UnitSite.open();
  const main = spawn('sleep', ['3600'], { stdio: 'ignore' });
  t.after(() => main.kill());
  await once(main, 'spawn');
  unit.set('main', String(main.pid));
  await unit.site.begin(unit.options);
  await unit.started(1);
  const now = performance.now.bind(performance);
  let looks = 0;
  let hours = 0;
  t.mock.method(performance, 'now', () => {
    looks += 1;
    return now() + 3_600_000 * hours;
  });
  await until('the process is checked', () => looks >= 3);
  const asked = unit.looks;
  await until('the process is checked again', () => looks >= 6);
  assert.equal(unit.looks, asked);
  hours = 1;
  await unit.looked(0);
  main.kill();
  unit.unset('main');
  unit.ends(1);
  await unit.started(2);
});

/** The supervision of an ECS agent with a real Docker Engine: as a process and as a container, and after a crash. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, afterEach, before, suite, test } from 'node:test';
import { pathsBelow } from '../../host/paths.ts';
import { identify, isRunning, kill } from '../../host/processes.ts';
import type { FakeStart } from '../support/fake-agent.ts';
import { furnish } from '../support/fake-agent-site.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const IMAGE = 'fake/ecs-agent:latest';
const REGISTERED = 'the ECS agent has registered this host';

let host: TestHost;
before(async () => {
  host = new TestHost();
  await host.startDocker();
  await importAgent();
});
after(() => host[Symbol.asyncDispose]());

const running: ServiceProcess[] = [];
afterEach(async () => {
  for (const keeper of running.splice(0)) await keeper.stop('SIGKILL');
  if (!(await host.dockerAnswers())) await host.startDocker();
  for (const { Id } of await host.docker.listContainers({ all: true }))
    await host.docker.getContainer(Id).remove({ force: true });
});

/** Node and the fake agent; the libraries are the host's, which the agent's container can see. */
async function importAgent(): Promise<void> {
  const directory = '/run/test/agent-image';
  mkdirSync(directory, { recursive: true });
  copyFileSync(process.env.TEST_NODE ?? process.execPath, join(directory, 'node'));
  copyFileSync(join(import.meta.dirname, '../support/fake-agent.ts'), join(directory, 'fake-agent.ts'));
  const archive = spawn('tar', ['-c', '-C', directory, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const changes = 'ENTRYPOINT ["/node", "/fake-agent.ts"]';
  const progress = await host.docker.importImage(archive.stdout, {
    repo: 'fake/ecs-agent',
    tag: 'latest',
    changes,
  });
  await new Promise<void>((resolve, reject) => {
    host.docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
  rmSync(directory, { recursive: true });
}

class Keeping {
  readonly root = host.newRoot();
  readonly #env: Record<string, string>;

  constructor(mode: 'binary' | 'container', plan: readonly FakeStart[] = [], config = '') {
    const program = furnish(pathsBelow(this.root), 51_678, { plan, config });
    this.#env = {
      ROOT: this.root,
      DOCKER_HOST: 'unix:///run/docker.sock',
      ECS_AGENT: mode,
      ECS_AGENT_BINARY: program,
      ECS_AGENT_IMAGE: IMAGE,
    };
  }

  begin(env: Readonly<Record<string, string>> = {}): ServiceProcess {
    const keeper = new ServiceProcess(this.root, {
      entry: 'fake-agent-host.ts',
      env: { ...this.#env, ...env },
    });
    running.push(keeper);
    return keeper;
  }

  async registered(env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
    const keeper = this.begin(env);
    await keeper.message(REGISTERED);
    return keeper;
  }

  /** The process in the ledger. */
  get agent(): { readonly pid: number; readonly startTime: string } {
    return JSON.parse(readFileSync(join(pathsBelow(this.root).ledger, 'ecs-agent/facts.json'), 'utf8'));
  }

  get isInLedger(): boolean {
    return existsSync(join(pathsBelow(this.root).ledger, 'ecs-agent'));
  }
}

async function agentContainers(): Promise<string[]> {
  const all = await host.docker.listContainers({ all: true });
  return all.flatMap(({ Names }) => Names);
}

for (const mode of ['binary', 'container'] as const) {
  suite(`an agent as a ${mode}`, () => {
    test(`registers, and is stopped with the service (${mode})`, async () => {
      const keeping = new Keeping(mode);
      const keeper = await keeping.registered();
      const { pid } = keeping.agent;
      assert.deepEqual(identify(pid), keeping.agent);
      await keeper.message('Docker answers with 200');
      assert.equal(await keeper.stop(), 0, keeper.log());
      assert.equal(identify(pid), undefined);
      assert.ok(!keeping.isInLedger);
      assert.deepEqual(await agentContainers(), []);
      assert.deepEqual(
        keeper.lines.filter(({ level }) => ['warn', 'error'].includes(level)),
        [],
      );
    });

    test(`is restarted when it exits, unless its code is 5 (${mode})`, async () => {
      const keeping = new Keeping(mode, [{ exit: 2 }, { exit: 5 }]);
      const keeper = keeping.begin();
      await keeper.message('the host drains');
      const ends = keeper.lines.filter(
        ({ level, msg }) => level === 'error' && msg.startsWith('the ECS agent'),
      );
      assert.deepEqual(
        ends.map(({ msg }) => /exit code \d/.exec(msg)?.[0]),
        ['exit code 2', 'exit code 5'],
      );
      // Docker passes on a container's output whenever it likes.
      if (mode === 'binary') assert.ok(String(ends[1]?.lastLines).includes('Ends with 5 on purpose'));
      assert.equal(await keeper.stop(), 0);
    });

    test(`is stopped by the next service if a killed one left it behind (${mode})`, async () => {
      const keeping = new Keeping(mode);
      const first = await keeping.registered();
      const left = keeping.agent;
      await first.stop('SIGKILL');
      assert.ok(isRunning(left));
      const second = await keeping.registered();
      await second.message('stopping the ECS agent of a crashed service');
      assert.equal(isRunning(left), false);
      assert.notDeepEqual(keeping.agent, left);
      assert.equal(await second.stop(), 0);
      assert.deepEqual(await agentContainers(), []);
    });

    test(`is stopped by the next service if that is configured without an agent (${mode})`, async () => {
      const keeping = new Keeping(mode);
      const first = await keeping.registered();
      const left = keeping.agent;
      await first.stop('SIGKILL');
      const second = keeping.begin({ ECS_AGENT: 'none' });
      await second.message('keeps none');
      assert.equal(isRunning(left), false);
      assert.ok(!keeping.isInLedger);
      assert.deepEqual(await agentContainers(), []);
      assert.equal(await second.stop(), 0);
    });

    test(`is killed if Docker is lost before it has registered, and restarted when Docker is back (${mode})`, async () => {
      const keeping = new Keeping(mode, [{ hangs: true }, {}]);
      const keeper = keeping.begin();
      await keeper.message('Docker answers with 200');
      await keeper.message('started the ECS agent');
      const first = keeping.agent;
      await host.stopDocker('SIGKILL');
      assert.ok(isRunning(first));
      keeper.child.kill('SIGUSR2');
      await keeper.message('the agent knows that Docker is lost');
      assert.equal(isRunning(first), false);
      await host.startDocker();
      await keeper.message(REGISTERED);
      assert.equal(await keeper.stop(), 0, keeper.log());
    });
  });
}

suite('the container of an agent', () => {
  test('has what an agent needs, and reaches Docker only through the proxy', async () => {
    const keeping = new Keeping('container');
    const keeper = await keeping.registered();
    const { HostConfig, Config } = await host.docker.getContainer('ecs-agent').inspect();
    assert.equal(HostConfig.NetworkMode, 'host');
    assert.equal(HostConfig.UsernsMode, 'host');
    assert.equal(HostConfig.Init, true);
    assert.deepEqual(HostConfig.CapAdd?.map((name: string) => name.replace('CAP_', '')).toSorted(), [
      'NET_ADMIN',
      'SYS_ADMIN',
    ]);
    assert.notEqual(HostConfig.Privileged, true);
    assert.ok(['', 'no'].includes(HostConfig.RestartPolicy?.Name ?? ''));
    const binds = HostConfig.Binds ?? [];
    const sockets = binds.filter((bind) => bind.includes('docker.sock'));
    assert.deepEqual(sockets, [`${keeping.root}/run/ecs-host-service/agent.sock:/var/run/docker.sock`]);
    assert.ok(binds.includes(`${keeping.root}/var/lib/ecs/data:/data`));
    assert.ok(Config.Env.includes('DOCKER_HOST=unix:///var/run/docker.sock'));
    assert.deepEqual(Config.Labels, { 'ecs-host-service.agent-of': 'the-host' });
    assert.equal(await keeper.stop(), 0);
  });

  /** @returns the directory for agent images, with one in it */
  async function saveImage(keeping: Keeping, name: string): Promise<string> {
    const cache = join(keeping.root, 'var/cache/ecs');
    mkdirSync(cache, { recursive: true });
    await pipeline(await host.docker.getImage(IMAGE).get(), createWriteStream(join(cache, name)));
    return cache;
  }

  test('is made from the image in its packages if Docker has none', async () => {
    const keeping = new Keeping('container');
    await saveImage(keeping, 'ecs-agent.tar');
    await host.docker.getImage(IMAGE).remove();
    const keeper = await keeping.registered();
    await keeper.message('Docker has loaded the image of the ECS agent');
    assert.equal(await keeper.stop(), 0);
  });

  test('is made from the image that the agent fetched before it exited with code 42', async () => {
    const keeping = new Keeping('container', [{ exit: 42 }, {}], 'ECS_UPDATES_ENABLED=true');
    const cache = await saveImage(keeping, 'next.tar');
    writeFileSync(join(cache, 'desired-image'), 'next.tar\n');
    const keeper = await keeping.registered();
    const { archive } = await keeper.message('Docker has loaded the image of the ECS agent');
    assert.equal(archive, join(cache, 'next.tar'));
    await keeper.message('the ECS agent has downloaded another version of itself; starting that version');
    assert.equal(await keeper.stop(), 0);
  });

  test('is left alone if someone else made it, and the log says what to do', async () => {
    const other = await host.docker.createContainer({ name: 'ecs-agent', Image: IMAGE });
    const keeping = new Keeping('container');
    const keeper = keeping.begin();
    const { msg } = await keeper.line(({ level }) => level === 'error');
    assert.match(msg, /ecs-agent belongs to container [0-9a-f]{64}, .*docker rm --force ecs-agent/);
    assert.ok(await other.inspect());
    await other.remove();
    await keeper.message(REGISTERED);
    assert.equal(await keeper.stop(), 0);
  });

  test('is killed if it ignores SIGTERM, with a warning', async () => {
    const keeping = new Keeping('container', [{ isDeaf: true }]);
    const keeper = await keeping.registered();
    assert.equal(await keeper.stop(), 0, keeper.log());
    const { level } = await keeper.line(({ msg }) => msg.startsWith('the ECS agent did not exit when asked'));
    assert.equal(level, 'warn');
  });

  test('is made again if it was killed from outside', async () => {
    const keeping = new Keeping('container');
    const keeper = await keeping.registered();
    await host.docker.getContainer('ecs-agent').kill();
    const before = keeper.lines.length;
    await keeper.message(REGISTERED, before);
    const ends = keeper.lines.filter(({ msg }) => /exited with exit code 137/.test(msg));
    assert.equal(ends.length, 1);
    assert.equal(await keeper.stop(), 0);
  });

  test('has an unknown exit code if it ends while Docker is away', async () => {
    const keeping = new Keeping('container');
    const keeper = await keeping.registered();
    await host.stopDocker('SIGKILL');
    await kill(keeping.agent);
    await keeper.message(
      'the ECS agent exited with an exit code that Docker cannot tell, and the service restarts it; the last lines of its output say why',
    );
    await host.startDocker();
    await keeper.message(REGISTERED, keeper.lines.length);
    assert.equal(await keeper.stop(), 0);
  });

  test('is reported once if it cannot be removed because Docker stays away', async () => {
    await host.stopDocker();
    await host.startDocker(['--live-restore']);
    const keeping = new Keeping('container');
    const keeper = await keeping.registered({ TEST_DOCKER_AWAY: '100' });
    await host.stopDocker('SIGKILL');
    keeper.child.kill('SIGUSR2');
    await keeper.message('the ECS agent has exited, as requested');
    const from = keeper.lines.length;
    await host.startDocker();
    await keeper.message(REGISTERED, from);
    const warnings = keeper.lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    assert.equal(warnings.length, 2, String(warnings));
    assert.match(
      warnings[1] as string,
      /^could not remove the ended container of the ECS agent; it stays until the next start/,
    );
    assert.equal(await keeper.stop(), 0);
  });

  test('stays the agent if it outlives Docker for a while', async () => {
    await host.stopDocker();
    await host.startDocker(['--live-restore']);
    const keeping = new Keeping('container');
    const keeper = await keeping.registered();
    const agent = keeping.agent;
    await host.stopDocker('SIGKILL');
    keeper.child.kill('SIGUSR2');
    await keeper.message('the agent knows that Docker is lost');
    assert.ok(isRunning(agent));
    await host.startDocker(['--live-restore']);
    await fetch('http://127.0.0.1:51678/log', {
      method: 'POST',
      body: 'level=info time=t msg="after the gap"',
    });
    await keeper.message('after the gap');
    assert.deepEqual(keeping.agent, agent);
    assert.equal(await keeper.stop(), 0, keeper.log());
    assert.deepEqual(await agentContainers(), [], keeper.log());
    await host.stopDocker();
    await host.startDocker();
  });
});

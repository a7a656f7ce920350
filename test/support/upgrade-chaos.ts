/**
 * One upgrade in which the old service, the new one, the launcher, the clean-up or Docker is killed. Whatever it is, and
 * whenever: nobody loses a container that could be kept, nothing leaks, the webserver is told the truth, and the next
 * service accepts calls.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FLAGS } from '../../scripts/node-flags.ts';
import { host as hostContainer, OK, startValues, token } from './callers.ts';
import { ConfigHost } from './config-host.ts';
import { HAND_OVER_STEPS } from './hand-over-steps.ts';
import { Operator } from './operator.ts';
import type { S3 } from './s3.ts';
import { SECRET } from './secrets.ts';
import { SERVICE, type ServiceProcess } from './service-process.ts';
import { receiptOf, until } from './site.ts';
import type { TestHost } from './test-host.ts';
import type { World } from './world.ts';

/** Who dies: the service, the launcher, or Docker, which is started again. With `stop`, an operator stops the service. */
const WAYS = ['SIGKILL', 'throw', 'launcher', 'Docker', 'stop'] as const;
const USER = 1000;
const SOCKET = '/run/upgrade-chaos.sock';
const BURY = [process.execPath, ...NODE_FLAGS, SERVICE, 'bury'].join(' ');
/** The clean-up dies before or after its work. */
const DYING_BURY = { before: 'kill -KILL $$', after: `${BURY}; kill -KILL $$` } as const;

export interface UpgradeDeath {
  readonly who: 'old' | 'new';
  readonly step: string;
  readonly way: (typeof WAYS)[number];
  /** Nobody else dies then. */
  readonly bury?: keyof typeof DYING_BURY;
}

export const UPGRADE_DEATHS: readonly UpgradeDeath[] = [
  ...(['old', 'new'] as const).flatMap((who) =>
    HAND_OVER_STEPS[who].flatMap((step) => WAYS.map((way) => ({ who, step, way }))),
  ),
  ...(['before', 'after'] as const).map(
    (bury) => ({ who: 'old', step: 'none', way: 'SIGKILL', bury }) as const,
  ),
];

export function nameOf({ who, step, way, bury }: UpgradeDeath): string {
  return bury ? `bury ${bury} its work` : `${who}: ${step}: ${way}`;
}

export interface UpgradeStage {
  readonly host: TestHost;
  readonly world: World;
  readonly s3: S3;
}

/** To be called once on each host. */
export function linkDocker(): void {
  symlinkSync('/run/docker.sock', SOCKET);
}

interface Used {
  readonly docker: string;
  readonly id: string;
  readonly port: number;
  readonly started: string;
}

export class DyingUpgrade {
  readonly #stage: UpgradeStage;
  readonly #death: UpgradeDeath;
  readonly #root: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #whose: { readonly user_id: string };

  constructor(stage: UpgradeStage, death: UpgradeDeath) {
    const { host, world, s3 } = stage;
    this.#stage = stage;
    this.#death = death;
    this.#root = host.newRoot();
    world.webserver.requests.splice(0);
    this.#whose = { user_id: nameOf(death) };
    const own = { APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET: SECRET, ROOT: this.#root };
    // Nobody else starts a Docker Engine at this socket.
    this.#env = { ...world.settings, ...s3.settings, ...own, DOCKER_HOST: `unix://${SOCKET}` };
  }

  async run(): Promise<void> {
    const { host } = this.#stage;
    // The next one must not find what a failure leaves.
    await this.#run().catch(async (error: unknown) => {
      await host.finish().catch(() => {});
      throw error;
    });
    await host.finish();
  }

  async #run(): Promise<void> {
    const { host } = this.#stage;
    const { bury } = this.#death;
    const dying = await host
      .start({
        entry: '../chaos/dying-in-upgrade.ts',
        arguments: [JSON.stringify(this.#death)],
        env: this.#env,
        // A busy machine is no death.
        launcher: ['--watchdog', '60'],
        ...(bury && { bury: ['sh', '-c', DYING_BURY[bury]] }),
      })
      .ready();
    await this.#stage.world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
    const used = await this.#use(dying);
    await hostContainer(dying);
    const isOver = await this.#upgrade(dying);
    await this.#assertTold(dying);
    const service = isOver ? await host.start({ env: this.#env }).ready() : dying;
    await this.#assertKept(used, service);
    await this.#assertNoOrphans();
    await hostContainer(service);
    assert.equal(await service.stop(), 0, service.log());
    await this.#assertSaved();
  }

  /** Makes a container for a user, who writes a file. */
  async #use(service: ServiceProcess): Promise<Used> {
    const { host } = this.#stage;
    const docker = await hostContainer(service);
    const [id, port] = await Promise.all([host.containerIdOf(docker), host.hostPort(docker)]);
    assert.deepEqual(await startValues(service, port, this.#whose), OK);
    assert.deepEqual(await token(service, port, this.#whose), OK);
    const path = join(this.#root, 'fractal', id, 'userConfigs/unpacked_configs/work');
    writeFileSync(path, this.#whose.user_id);
    chownSync(path, USER, USER);
    return { docker, id, port, started: await this.#startOf(docker) };
  }

  /** @returns when it was started; empty if it does not run */
  async #startOf(docker: string): Promise<string> {
    const { State } = await this.#stage.host.docker.getContainer(docker).inspect();
    return State.Running ? State.StartedAt : '';
  }

  /** @returns whether the launcher has ended */
  async #upgrade(service: ServiceProcess): Promise<boolean> {
    const { host } = this.#stage;
    const from = service.lines.length;
    service.child.kill('SIGUSR1');
    const ended = service.ended().then(() => true);
    if (!this.#death.bury) {
      const line = await service.wroteLike(/^dying /);
      if (this.#death.way === 'Docker') {
        await host.stopDocker('SIGKILL');
        await host.startDocker();
        execFileSync('kill', ['-URG', line.slice('dying '.length)]);
      }
    }
    const tookOver = service
      .line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from)
      .then(() => false);
    tookOver.catch(() => {});
    return await (this.#death.way === 'Docker' ? Promise.race([tookOver.catch(() => ended), ended]) : ended);
  }

  /** An operator asks for a stop, or nobody is left to keep the descriptors of a service, so it stops instead. */
  get #isStop(): boolean {
    const { step, way } = this.#death;
    return way === 'stop' || (way === 'launcher' && step === 'storing descriptors');
  }

  /** Whether the webserver must be told that the host dies; undefined: either is true. */
  get #isToTell(): boolean | undefined {
    const { who, way, bury } = this.#death;
    if (bury) return false;
    if (way === 'Docker' || (way === 'launcher' && who === 'new')) return undefined;
    return way !== 'launcher' || this.#isStop;
  }

  /** A crash is reported with its cause. A hand-over that the next service can complete is none. */
  async #assertTold(service: ServiceProcess): Promise<void> {
    const { way, bury } = this.#death;
    const isToTell = this.#isToTell;
    const told = () =>
      this.#stage.world.beats.filter(({ fields }) => fields.IsDyingHeartbeat === 'True').length;
    if (isToTell) await until('the webserver is told', () => told() > 0);
    if (isToTell !== undefined) assert.equal(told(), Number(isToTell), service.log());
    if (bury || (way !== 'SIGKILL' && way !== 'throw')) return;
    const fatal = service.lines.filter(({ level }) => level === 'fatal');
    const said = service.lines.filter(({ level }) => level === 'error').concat(fatal);
    assert.ok(fatal.length > 0, service.log());
    const why = way === 'throw' ? /fails on purpose/ : /by SIGKILL/;
    assert.match(said.map(({ msg }) => msg).join('\n'), why, service.log());
  }

  /** A container in use runs on, or it has ended as in a stop. */
  async #assertKept({ docker, id, port, started }: Used, service: ServiceProcess): Promise<void> {
    const { who, way } = this.#death;
    const now = await this.#startOf(docker).catch(() => '');
    const mayEnd = way === 'Docker' || this.#isStop || (way === 'launcher' && who === 'new');
    if (this.#isStop) assert.equal(now, '', service.log());
    if (now === '' && mayEnd) {
      const { resources } = await receiptOf(this.#root, id);
      for (const one of resources)
        assert.ok(one.released || one.kind === 'docker container', JSON.stringify(one));
      return;
    }
    assert.equal(now, started, service.log());
    assert.deepEqual(await token(service, port, this.#whose), OK);
  }

  /** The service knows every container that runs. */
  async #assertNoOrphans(): Promise<void> {
    const { containers } = (await new Operator(this.#root).get('/v1/containers?limit=1000')).body;
    const known = containers.map(({ docker }: { readonly docker: string }) => docker);
    const running = (await this.#stage.host.docker.listContainers()).map(({ Id }) => Id);
    assert.deepEqual(new Set(running), new Set(known));
  }

  async #assertSaved(): Promise<void> {
    await using next = await ConfigHost.open(this.#stage.s3);
    const { files, outcome } = await next.begin({ userId: this.#whose.user_id, appName: 'demo' });
    assert.equal(outcome, 'restored', "the user's files are lost");
    assert.equal(readFileSync(join(files, 'work'), 'utf8'), this.#whose.user_id);
  }
}
